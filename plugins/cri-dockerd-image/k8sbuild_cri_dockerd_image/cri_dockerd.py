"""cri-dockerd: where its source is, and how it is compiled from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.kinds import GoBinary, GoModule, Source, on_github

from .choice import NAME

if TYPE_CHECKING:
    from k8sbuild.build import Build

__all__ = ["MODULE", "module", "program", "source"]

MODULE = "github.com/Mirantis/cri-dockerd"


def source(build: Build) -> Source:
    """Return its source, as it is: with the code of other modules that it is released with."""
    own = str(build.option("cri-dockerd-source"))
    given = {"git" if "://" in own or own.startswith("git@") else "path": own}
    usual = on_github(MODULE.removeprefix("github.com/"))
    version = str(build.option("cri-dockerd"))
    return Source(name="cri-dockerd", version=version, locations=given if own else usual, layout="as-is")


def module() -> GoModule:
    """Return its module, which is that source."""
    return GoModule(name="cri-dockerd", path=MODULE, go="1.22.0", source="cri-dockerd")


def program(build: Build) -> GoBinary:
    """Return the program, which says its version as upstream's does; Docker's way compiles the same sources so."""
    version = str(build.option("cri-dockerd")).removeprefix("v")
    return GoBinary(
        name="cri-dockerd",
        package=".",
        module=f"{NAME}/cri-dockerd",
        ldflags={f"{MODULE}/cmd/version.Version": version},
    )
