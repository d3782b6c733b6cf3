"""crictl, which shows pods and containers as the kubelet's runtime has them: kicbase brings it, Debian does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.kinds import Artifact, GoBinary, ImageFile, Option
from k8sbuild.upstream import Upstream, address

from .choice import NAME, choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

__all__ = ["CRICTL", "PROGRAM", "artifact", "file", "options", "program", "wanted"]

CRICTL = Upstream(plugin=NAME, name="cri-tools", path="sigs.k8s.io/cri-tools", version="v1.34.0", go="1.24.0")
PROGRAM = address(NAME, "crictl")


def options() -> Iterator[Option]:
    """Yield its version, and whether there is one."""
    yield from CRICTL.options()
    yield Option(name="crictl", help="crictl in an image on Debian's base", type="bool", default=True)


def wanted(build: Build) -> bool:
    """Say whether the image gets it."""
    return choice(build).base == "debian" and bool(build.option("crictl"))


def program(build: Build) -> GoBinary:
    """Return the program."""
    return GoBinary(
        name="crictl",
        package=f"{CRICTL.path}/cmd/crictl",
        module=f"{NAME}/{CRICTL.name}",
        ldflags={f"{CRICTL.path}/pkg/version.Version": CRICTL.chosen(build)},
    )


def file() -> ImageFile:
    """Return it as a file of the image."""
    return ImageFile(name="crictl", address=PROGRAM, path="/usr/local/bin/crictl", mode=0o755)


def artifact(folder: str) -> Artifact:
    """Return it as a file of the folder that Docker makes the same image from."""
    return Artifact(name="crictl", file=f"{folder}{{suffix}}/files/crictl", address=PROGRAM)
