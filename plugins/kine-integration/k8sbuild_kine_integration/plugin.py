"""Kine: fetched, patched, and added to the single binary as its storage."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.build import Build, matches
from k8sbuild.kinds import Edit, GoReplace, GoRequire, Option, Overlay, PatchSeries, PluginInfo, Source, on_github

from .modules import LOWERED, UNLINKED

if TYPE_CHECKING:
    from collections.abc import Iterator

KINE = "github.com/k3s-io/kine"
#: The oldest release whose SQLite driver needs no C compiler.
PURE_GO = ">=0.16.4"
#: Releases whose range streams need etcd's API 3.7, and link its server.
RANGE_STREAM = ">=0.17.1"
#: Folders of what depends on Kine's internals, by the first release that it is for, and the others.
RELEASES = {
    "0.16.5": ">=0.16.5,<0.17.3,!=0.16.6,!=0.17.0",
    "0.16.6": ">=0.16.6,!=0.17.0",
}
#: Releases whose writes our patches group; the files of ``releases/groups`` test it.
GROUPED = ">=0.16.4,<0.17.3,!=0.16.6"


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
        locations={"gomod": KINE, **on_github(KINE.removeprefix("github.com/"))},
    )


@hookimpl
def k8sbuild_patch(build: Build) -> Iterator[PatchSeries | Edit]:
    """Patch Kine: each release by the patches that the ledger says are for it, an unknown one by all."""
    kine = str(build.option("kine"))
    yield PatchSeries(name="kine", source="kine", root="patches/kine", only=patches_for(kine))
    if matches(kine, RANGE_STREAM):
        yield Edit(name="no-range-stream", source="kine", path="pkg/server/rangestream.go", op="delete-file")


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoRequire | GoReplace | Overlay]:
    """Add the storage provider, and keep Kubernetes' own module versions where Kine compiles with them."""
    pure = matches(str(build.option("kine")), PURE_GO)
    yield GoRequire(name="kine", path=KINE, source="kine", cgo=not pure)
    yield Overlay(name="storage", root="overlay", labels={"register": "pkg/kine"})
    yield Overlay(name="release", root=f"releases/{release_of(str(build.option('kine')))}")
    if matches(str(build.option("kine")), GROUPED):
        yield Overlay(name="groups", root="releases/groups")
    if pure:
        for path, version in UNLINKED:
            yield GoReplace(name=path, path=path, version=version, why="not linked; newer ones are not everywhere")
    if build.k8s_in(">=1.31,<1.32") and pure:
        for path, version in LOWERED:
            yield GoReplace(name=path, path=path, version=version, why="Kubernetes' own version; Kine compiles with it")


def release_of(kine: str) -> str:
    """Return the folder of ``releases`` that is for a version of Kine.

    >>> [release_of(version) for version in ("v0.16.4", "v0.17.0", "v0.17.2", "v0.17.5")]
    ['0.16.4', '0.16.4', '0.16.5', '0.16.6']
    """
    return next((first for first, versions in RELEASES.items() if matches(kine, versions)), "0.16.4")


def patches_for(kine: str) -> tuple[str, ...] | None:
    """Return the patches that the ledger says are for a version of Kine; None, which is all, where it knows none.

    >>> patches_for("v0.13.6") is None
    True
    """
    ledger = tomllib.loads((Path(__file__).parent / "patches/kine/ledger.toml").read_text(encoding="utf-8"))
    return tuple(name for name, entry in ledger.items() if matches(kine, entry["applies-to"])) or None
