"""What is declared of another project's programs, and the constants that a program is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8sbuild import hookimpl
from k8sbuild.kinds import Check, GoBinary, GoModule, GoRequire, PluginInfo, Source, Target
from k8sbuild.stages import constants
from k8sbuild.testing.checks import conforms, contributions, sample_build
from k8sbuild.testing.steps import context
from k8sbuild.upstream import Upstream, address, checked, target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from k8sbuild.build import Build

TOOL = Upstream(plugin="tools", name="tool", path="example.org/tool", version="v1.2.3", go="1.24.0", module="program")


class Plugin:
    """One that builds a program of another project."""

    @hookimpl
    def k8sbuild_plugin(self) -> PluginInfo:
        """Say who this is."""
        return PluginInfo(name="tools", targets=("tools",))

    @hookimpl
    def k8sbuild_targets(self) -> Iterator[Target]:
        """Offer the target."""
        yield target("tools", ["tool"], help="a tool", k8s="v1.31.4")

    @hookimpl
    def k8sbuild_options(self) -> Iterator[Any]:
        """Declare the version."""
        yield from TOOL.options()

    @hookimpl
    def k8sbuild_fetch(self, build: Build) -> Iterator[Source]:
        """Fetch the module."""
        yield TOOL.source(build)

    @hookimpl
    def k8sbuild_codegen(self, build: Build) -> Iterator[GoModule | GoRequire]:
        """Make the module."""
        yield from TOOL.code()

    @hookimpl
    def k8sbuild_compile(self, build: Build) -> Iterator[GoBinary]:
        """Compile the tool."""
        yield GoBinary(name="tool", package=TOOL.path)

    @hookimpl
    def k8sbuild_validate(self, build: Build) -> Iterator[Check]:
        """Check the tool."""
        yield checked(build, {address("tools", "tool"): TOOL.chosen(build)}, ["--version"])


def test_a_plugin_of_another_projects_program_is_what_plugins_must_be() -> None:
    conforms(Plugin(), sample_build(Plugin(), target="tools"))


def test_what_is_yielded_belongs_together() -> None:
    given = contributions(Plugin(), sample_build(Plugin(), target="tools", tool="v1.3.0"))
    assert given["k8sbuild_fetch"] == (Source(name="tool", version="v1.3.0", locations={"gomod": "example.org/tool"}),)
    module, require = given["k8sbuild_codegen"]
    assert (module.name, module.path, module.go) == ("program", "k8sbuild.dev/tool", "1.24.0")
    assert (require.source, require.path, require.module) == ("tool", TOOL.path, "tools/program")
    (check,) = given["k8sbuild_validate"]
    (made,) = given["k8sbuild_targets"]
    assert set(check.inputs) == set(check.params["programs"]) == set(made.artifacts.values())
    assert check.params["programs"] == {"compile:tools/tool/tool": "v1.3.0"}


def test_the_option_of_the_version_has_the_names_that_are_asked_for() -> None:
    (option,) = TOOL.options()
    assert (option.name, option.default, option.source) == ("tool", "v1.2.3", "tool")
    named = Upstream(
        plugin="tools", name="tool", path="example.org/tool", version="v1", go="1.24.0", option="version", env=("TOOL",)
    )
    (option,) = named.options()
    assert (option.name, option.env) == ("version", ("TOOL",))


def test_constants_are_texts_of_their_package(tmp_path: Path) -> None:
    file = "pkg/tool/zz_generated_image.go"
    ctx = context(tmp_path, {"file": file, "constants": {"image": 'a/b:"v1"', "version": "v1"}})
    constants.generate(ctx)
    text = (ctx.out / file).read_text(encoding="utf-8")
    assert "\npackage tool\n" in text
    assert 'const image = "a/b:\\"v1\\""\nconst version = "v1"\n' in text
