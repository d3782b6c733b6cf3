"""What is added to the base: the same list for the image that the toolkit makes and for the Dockerfile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.kinds import ImageFile, ImageLayer, SystemdUnit, Template

from . import crictl
from .choice import NAME, RUNTIMES, Choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

__all__ = ["BASE", "CRI_DOCKERD", "HELLO", "IMAGES", "KUBELET", "PAUSE", "layers", "templates", "units"]

#: The layer that makes Debian's base what kicbase is: it is of the base, and not of what is added to that.
BASE = "base"
PAUSE = "k8sbuild.dev/pause:{k8s}"
HELLO = "k8sbuild.dev/hello-world:{k8s}"
KUBELET = f"compile:{NAME}/kubelet/kubelet"
CRI_DOCKERD = f"compile:{NAME}/cri-dockerd/cri-dockerd"
IMAGES = f"package:{NAME}/images/images.tar"
CONFIG = f"package:{NAME}/kubelet.yaml/kubelet.yaml"
MANIFEST = f"package:{NAME}/manifest/pod.yaml"
CLIENT_CA = f"package:{NAME}/kubelet.yaml/client-ca.crt"

_SYSTEM = "/etc/systemd/system"
_LIBRARY = "/lib/systemd/system"
_SCRIPTS = "/usr/local/libexec/kubelet-image"
#: Units of Debian's that have nothing to do in a container, or would change the host.
_MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "proc-sys-fs-binfmt_misc.automount",
    "proc-sys-fs-binfmt_misc.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-remount-fs.service",
    "systemd-sysctl.service",
    "systemd-timesyncd.service",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
)


def units(chosen: Choice) -> Iterator[SystemdUnit]:
    """Yield the units that are ours."""
    runtime = RUNTIMES[chosen.runtime]
    values = {
        "kubelet.service": {"RUNTIME_UNITS": " ".join(runtime.units)},
        "kubelet-images.service": {"RUNTIME_UNIT": runtime.unit},
    }
    if chosen.runtime == "cri-dockerd":
        values |= {"cri-docker.socket": {}, "cri-docker.service": {"PAUSE": PAUSE}}
    for name, texts in values.items():
        yield SystemdUnit(name=name, path=f"files/units/{name}.in", file=name, values=texts)


def templates(build: Build, chosen: Choice) -> Iterator[Template]:
    """Yield the other texts."""
    runtime, exposed = RUNTIMES[chosen.runtime], bool(build.option("expose-kubelet"))
    driver = str(build.option("cgroup-driver"))
    yield Template(
        name="kicbase.yml",
        path="files/kubelet.yaml/kicbase.yml",
        file="kicbase.yml",
        values={
            "ENDPOINT": runtime.socket,
            "ADDRESS": "0.0.0.0" if exposed else "127.0.0.1",  # noqa: S104 - asked for, with certificates
            "ANONYMOUS": str(not exposed).lower(),
            "CLIENT_CA": "/etc/kubernetes/client-ca.crt" if exposed else "",
            "CGROUP_DRIVER": driver,
        },
    )
    config, _ = runtime.config
    # "ip-forward" is off: a Docker that turns forwarding on drops what is forwarded. The bridge of the pods does it.
    drivers = {
        "daemon.json": {"CGROUP_DRIVER": driver, "SCRIPTS": _SCRIPTS},
        "containerd.toml": {"PAUSE": PAUSE, "SYSTEMD_CGROUP": str(driver == "systemd").lower()},
    }
    yield Template(name=config, path=f"files/{config}.in", file=config, values=drivers[config])
    load = {"LOAD": runtime.load}
    yield Template(name="load-images", path="files/load-images.in", file="load-images", values=load)
    socket = {"ENDPOINT": runtime.socket}
    yield Template(name="crictl.yaml", path="files/crictl.yaml.in", file="crictl.yaml", values=socket)
    yield Template(name="hello-world.yaml", path="files/hello-world.yaml.in", file="pod.yaml", values={"IMAGE": HELLO})
    for name in ("journald.conf", "network.conflist", "entrypoint", "runc-restricted"):
        yield Template(name=name, path=f"files/{name}", file=name)


def layers(build: Build, chosen: Choice) -> tuple[ImageLayer, ...]:
    """Return the layers, what changes most often last."""
    base = (ImageLayer(name=BASE, files=tuple(_base(build))),) if chosen.base == "debian" else ()
    return (
        *base,
        ImageLayer(name="programs", files=tuple(_programs(chosen))),
        ImageLayer(name="system", files=(*_system(chosen), *_links(chosen))),
        ImageLayer(name="kubelet", files=tuple(_kubelet(build))),
    )


def _base(build: Build) -> Iterator[ImageFile]:
    """Yield what kicbase has itself."""
    yield _text("entrypoint", "/usr/local/bin/entrypoint", 0o755)
    yield ImageFile(name="cni", path="/opt/cni/bin", link="/usr/lib/cni")
    if crictl.wanted(build):
        yield crictl.file()
    for unit in _MASKED:
        yield ImageFile(name=f"mask {unit}", path=f"{_SYSTEM}/{unit}", link="/dev/null")


def _programs(chosen: Choice) -> Iterator[ImageFile]:
    yield ImageFile(name="kubelet", address=KUBELET, path="/usr/local/bin/kubelet", mode=0o755)
    if chosen.runtime == "cri-dockerd":
        yield ImageFile(name="cri-dockerd", address=CRI_DOCKERD, path="/usr/local/bin/cri-dockerd", mode=0o755)


def _text(name: str, path: str, mode: int = 0o644) -> ImageFile:
    return ImageFile(name=name, address=f"codegen:{NAME}/{name}/{name}", path=path, mode=mode)


def _system(chosen: Choice) -> Iterator[ImageFile]:
    for unit in units(chosen):
        yield _text(unit.name, f"{_SYSTEM}/{unit.name}")
    config, place = RUNTIMES[chosen.runtime].config
    yield _text(config, place)
    if chosen.runtime == "cri-dockerd":
        yield _text("runc-restricted", f"{_SCRIPTS}/runc-restricted", 0o755)
    yield _text("crictl.yaml", "/etc/crictl.yaml")
    yield _text("journald.conf", "/etc/systemd/journald.conf.d/10-container.conf")
    yield _text("load-images", f"{_SCRIPTS}/load-images", 0o755)
    yield ImageFile(name="images", address=IMAGES, path="/usr/local/share/kubelet-image/images.tar", mode=0o644)
    # By its name before those that come with other runtimes of kicbase's, which know no ports of the node.
    yield _text("network.conflist", "/etc/cni/net.d/10-pods.conflist")


def _links(chosen: Choice) -> Iterator[ImageFile]:
    """Yield what enables units, and turns off those that would fail."""
    enabled = {"kubelet.service": _SYSTEM, "kubelet-images.service": _SYSTEM}
    enabled |= {unit: _LIBRARY for unit in RUNTIMES[chosen.runtime].units if unit.endswith(".service")}
    for unit, folder in enabled.items():
        path = f"{_SYSTEM}/multi-user.target.wants/{unit}"
        yield ImageFile(name=f"enable {unit}", path=path, link=f"{folder}/{unit}")
    if chosen.runtime == "cri-dockerd":
        path = f"{_SYSTEM}/sockets.target.wants/cri-docker.socket"
        yield ImageFile(name="enable cri-docker.socket", path=path, link=f"{_SYSTEM}/cri-docker.socket")
    yield ImageFile(name="default", path=f"{_SYSTEM}/default.target", link=f"{_LIBRARY}/multi-user.target")


def _kubelet(build: Build) -> Iterator[ImageFile]:
    yield ImageFile(name="kubelet.yaml", address=CONFIG, path="/kubelet.yaml", mode=0o644)
    yield ImageFile(name="manifest", address=MANIFEST, path="/etc/kubernetes/manifests/hello-world.yaml", mode=0o644)
    if build.option("expose-kubelet"):
        yield ImageFile(name="client-ca", address=CLIENT_CA, path="/etc/kubernetes/client-ca.crt", mode=0o644)
