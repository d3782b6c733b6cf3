"""The plugin ``stranger``: an option, a patch, an overlay file, a step and a check for the tiny distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import Check, Edit, Option, Overlay, PatchSeries, PluginInfo, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

BINARY = "compile:tiny/tiny/tiny"
CARD = "package:stranger/card"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who this is."""
    return PluginInfo(name="stranger", requires=("tiny",), after=("tiny",), targets=("tiny",))


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Let the user choose the greeting."""
    yield Option(name="greeting", help="word that the card begins with", default="Hello")


@hookimpl
def k8sbuild_patch(build: Build) -> Iterator[PatchSeries | Edit]:
    """Unlink the cloud providers, then remove what nothing links any more."""
    yield PatchSeries(name="no-cloud", source="kubernetes", root="patches/kubernetes")
    yield Edit(
        name="cloud-package",
        source="kubernetes",
        path="pkg/cloud/cloud.go",
        op="delete-file",
        why="nothing links it after the series",
    )


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[Overlay]:
    """Add a command to the program."""
    yield Overlay(name="greet", root="overlay")


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[Step]:
    """Write a card with what the program says."""
    yield Step(
        name="card",
        stage="package",
        run="k8sbuild_stranger.work:card",
        inputs=(BINARY,),
        outputs=("card.txt",),
        params={"greeting": build.option("greeting"), "binary": BINARY},
    )


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check that no cloud provider is left."""
    inputs = (BINARY, CARD)
    params = {"binary": BINARY, "card": f"{CARD}/card.txt", "greeting": build.option("greeting")}
    yield Check(name="no-cloud", run="k8sbuild_stranger.work:no_cloud", inputs=inputs, params=params)
