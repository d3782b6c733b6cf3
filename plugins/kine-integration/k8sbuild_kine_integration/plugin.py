"""Kine: fetched, patched, and added to the single binary as its storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.build import Build, matches
from k8sbuild.kinds import GoReplace, GoRequire, Option, Overlay, PatchSeries, PluginInfo, Source

from .modules import LOWERED

if TYPE_CHECKING:
    from collections.abc import Iterator

KINE = "github.com/k3s-io/kine"
#: The oldest release whose SQLite driver needs no C compiler.
PURE_GO = ">=0.16.4"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are: part of the target ``k8s``."""
    return PluginInfo(name="kine-integration", after=("single-binary",), requires=("single-binary",), targets=("k8s",))


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare ``--kine``."""
    yield Option(
        name="kine",
        help="Kine version",
        type="version",
        default="v0.16.4",
        flag="--kine",
        env=("KINE_VERSION",),
        source="kine",
    )


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch Kine."""
    yield Source(
        name="kine",
        version=str(build.option("kine")),
        layout="module",
        locations={
            "gomod": KINE,
            "git": f"https://{KINE}",
            "archive": f"https://{KINE}/archive/refs/tags/{{version}}.tar.gz",
        },
    )


@hookimpl
def k8sbuild_patch(build: Build) -> Iterator[PatchSeries]:
    """Patch Kine."""
    yield PatchSeries(name="kine", source="kine", root="patches/kine")


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoRequire | GoReplace | Overlay]:
    """Add the storage provider, and keep Kubernetes' own module versions where Kine compiles with them."""
    pure = matches(str(build.option("kine")), PURE_GO)
    yield GoRequire(name="kine", path=KINE, source="kine", cgo=not pure)
    yield Overlay(name="storage", root="overlay", labels={"register": "pkg/kine"})
    if build.k8s_in(">=1.31,<1.32") and pure:
        for path, version in LOWERED:
            yield GoReplace(name=path, path=path, version=version, why="Kubernetes' own version; Kine compiles with it")
