"""The plugin ``tiny``: fetches the fake Kubernetes and builds one program of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from k8sbuild import hookimpl
from k8sbuild.build import host_platform
from k8sbuild.kinds import (
    Archive,
    ArchiveFile,
    Check,
    GoBinary,
    GoModule,
    GoRequire,
    Option,
    Overlay,
    PluginInfo,
    Source,
    Target,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

BINARY = "compile:tiny/tiny/tiny"
_VERSION = "k8s.io/component-base/version"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who this is."""
    return PluginInfo(name="tiny", targets=("tiny",), pins="pins.toml")


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the one target."""
    yield Target(
        name="tiny",
        help="the fake upstream's API server as one program",
        artifacts={
            "tiny{suffix}": BINARY,
            "tiny-{k8s}-{os}-{arch}.tar.zst": "package:tiny/archive/tiny-{k8s}-{os}-{arch}.tar.zst",
        },
        defaults={"k8s": "v1.99.3"},
    )


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare what `test` and `lint` ask of the program's module."""
    yield Option(name="coverage", help="percentage of statements that tests must reach", type="int", default=0)
    yield Option(name="linters", help="addresses of linters", type="list", default=())


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch Kubernetes."""
    locations = {"gomod": "k8s.io/kubernetes"}
    yield Source(name="kubernetes", version=build.k8s, locations=locations, layout="canonical")


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire | Overlay]:
    """Make the program's module from the overlay, Kubernetes and a storage module that raises a dependency."""
    yield GoModule(
        name="server",
        path="example.org/tiny",
        go="1.24",
        coverage=cast(int, build.option("coverage")),
        test_inputs={"TINY_BINARY": BINARY},
        linters=cast("tuple[str, ...]", build.option("linters")),
    )
    yield GoRequire(name="kubernetes", path="k8s.io/kubernetes", source="kubernetes")
    yield GoRequire(name="store", path="example.org/store", version="v0.1.0")
    yield Overlay(name="server", root="overlay")


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the program."""
    values = {
        "gitVersion": "{k8s}",
        "gitCommit": "{commit}",
        "gitTreeState": "{tree_state}",
        "buildDate": "{date}",
        "gitMajor": "{major}",
        "gitMinor": "{minor}",
    }
    yield GoBinary(name="tiny", package="./cmd/server", ldflags={f"{_VERSION}.{n}": v for n, v in values.items()})


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[Archive]:
    """Pack the program and its licences."""
    members = (ArchiveFile(name="tiny", address=BINARY, path="bin/tiny", mode=0o755),)
    yield Archive(name="archive", file="tiny-{k8s}-{os}-{arch}.tar.zst", members=members, licences=(BINARY,))


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check what the program says of itself, and that it serves."""
    yield Check(
        name="version",
        run="k8sbuild_tiny.checks:version",
        inputs=(BINARY,),
        params={"k8s": build.k8s, "binary": BINARY},
        enabled=build.platform == host_platform(),
        why="a program for another platform cannot be run here",
    )
    yield Check(name="ready", run="k8sbuild_tiny.checks:ready", inputs=(BINARY,), params={"binary": BINARY}, live=True)
