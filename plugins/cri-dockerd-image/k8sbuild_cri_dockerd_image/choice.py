"""What the options of a build mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sbuild.kinds import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k8sbuild.build import Build

__all__ = ["KICBASE_VERSION", "NAME", "RUNTIMES", "Choice", "Runtime", "choice", "is_kicbase"]

#: The plugin's name: the second part of its addresses.
NAME = "cri-dockerd-image"

#: What a kubelet and its container runtime run, whatever the runtime is.
_PACKAGES = (
    "?essential",
    "ca-certificates",
    "conntrack",
    "containernetworking-plugins",
    "curl",
    "dbus",
    "ebtables",
    "ethtool",
    "iproute2",
    "iptables",
    "kmod",
    "mount",
    "procps",
    "socat",
    "systemd",
    "systemd-sysv",
    "util-linux",
)
#: ``kicbase``, ``kicbase:TAG``, ``kicbase@DIGEST``, ``kicbase:TAG@DIGEST``.
_KICBASE = re.compile(r"kicbase(?::(?P<tag>[^@/]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?")
KICBASE_VERSION = "v0.0.47"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A container runtime.

    Args:
        socket: where the kubelet finds it.
        unit: that a program which talks to the runtime itself needs.
        units: that the kubelet needs.
        load: the command that loads the tar of an image.
        list: the command that lists containers.
        package: Debian's, with what it needs.
        program: what a base must have.
        config: file of the plugin with the runtime's configuration, and its place.
    """

    socket: str
    unit: str
    units: tuple[str, ...]
    load: str
    list: str
    package: str
    program: str
    config: tuple[str, str]


RUNTIMES: Mapping[str, Runtime] = {
    "cri-dockerd": Runtime(
        socket="/var/run/cri-dockerd.sock",
        unit="docker.service",
        units=("docker.service", "cri-docker.socket"),
        load="docker load --quiet --input",
        list="docker ps",
        package="docker.io",
        program="dockerd",
        config=("daemon.json", "/etc/docker/daemon.json"),
    ),
    "containerd": Runtime(
        socket="/run/containerd/containerd.sock",
        unit="containerd.service",
        units=("containerd.service",),
        load="ctr --namespace=k8s.io images import",
        list="ctr --namespace=k8s.io containers list",
        package="containerd",
        program="containerd",
        config=("containerd.toml", "/etc/containerd/config.toml"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Runtime and base of an image.

    Args:
        runtime: key of :data:`RUNTIMES`.
        base: ``kicbase``, ``debian`` or ``file``.
        where: version of kicbase, suite of Debian, or path of the file.
    """

    runtime: str
    base: str
    where: str

    @property
    def address(self) -> str:
        """Where the build has the base."""
        return f"package:{NAME}/root/root.tar" if self.base == "debian" else f"fetch:{NAME}/{self.base}"

    @property
    def kicbase(self) -> tuple[str, str]:
        """The tag and the digest of kicbase that are asked for; the default's tag where another base is.

        >>> Choice(runtime="containerd", base="kicbase", where="v1@sha256:2").kicbase
        ('v1', 'sha256:2')
        """
        tag, at, digest = self.where.partition("sha256:")
        return (tag.rstrip("@"), at + digest) if self.base == "kicbase" else (KICBASE_VERSION, "")

    def source(self, build: Build) -> Source:
        """Return what is fetched for the base."""
        if self.base == "debian":
            packages = (*_PACKAGES, RUNTIMES[self.runtime].package)
            return Source.debian("debian", self.where, packages, build.platform.arch)
        if self.base == "file":
            return Source(name="file", version="local", locations={"path": self.where}, layout="as-is")
        place = f"gcr.io/k8s-minikube/kicbase#{build.platform}"
        return Source(name="kicbase", version=self.where, locations={"oci": place}, layout="as-is")


def is_kicbase(base: str) -> bool:
    """Say whether a base is kicbase, of whatever version.

    >>> [is_kicbase(text) for text in ("kicbase", "kicbase:v0.0.46", "kicbase@sha256:1", "kicbase.tar")]
    [True, True, False, False]
    """
    return _KICBASE.fullmatch(base) is not None


def choice(build: Build) -> Choice:
    """Read the options.

    >>> from types import SimpleNamespace
    >>> options = {"base": "kicbase:v0.0.46", "runtime": "containerd", "suite": "bookworm"}
    >>> choice(SimpleNamespace(option=options.__getitem__))
    Choice(runtime='containerd', base='kicbase', where='v0.0.46')
    """
    base, runtime = str(build.option("base")), str(build.option("runtime"))
    if base == "debian":
        return Choice(runtime=runtime, base="debian", where=str(build.option("suite")))
    found = _KICBASE.fullmatch(base)
    if found is None:
        return Choice(runtime=runtime, base="file", where=base)
    tag = found["tag"] or ("" if found["digest"] else KICBASE_VERSION)
    return Choice(runtime=runtime, base="kicbase", where="@".join(filter(None, (tag, found["digest"]))))
