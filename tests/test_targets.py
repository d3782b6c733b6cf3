"""Artifacts of one target as a source of another: through the API, no network, no Go."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from toys import step

from k8sbuild import api
from k8sbuild.build import host_platform
from k8sbuild.errors import BuildError, PlanError, UsageError, ValidateError
from k8sbuild.kinds import Check, Option, PluginInfo, Source, Step, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from toys import Make, Named, RequestFor

    from k8sbuild.build import Build


TAKEN = ("fetch:toy/tool/tool", "fetch:toy/tool/more/lib")


def tool(plugin: Make, text: str = "saw", **hooks: Any) -> Named:
    """Make the plugin that offers the target ``tool``: a file and a folder, and a check that fails."""

    def compiled(build: Build) -> list[Step]:
        params = {"tool": f"{text} of {build.target} {build.k8s}\n"}
        return [step("tool", "write", params=params), step("lib", "write", params={"more/lib": "lib\n"})]

    artifacts = {"tool{suffix}": "compile:tool/tool/tool", "more": "compile:tool/lib/more"}
    given = {
        "plugin": PluginInfo(name="tool", targets=("tool",)),
        "targets": [Target(name="tool", help="", artifacts=artifacts, defaults={"k8s": "v1.0.0"})],
        "compile": compiled,
        "validate": [Check(name="bad", run="engine_steps:check", inputs=(), params={"bad": True})],
    }
    return plugin("tool", **{**given, **hooks})


def toy(plugin: Make, name: str = "tool", takes: tuple[str, ...] = TAKEN, **hooks: Any) -> Named:
    """Make the plugin of the target ``toy``, which reads what it takes from the target ``name``."""
    given = {
        "plugin": PluginInfo(name="toy", targets=("toy",)),
        "targets": [Target(name="toy", help="", artifacts={"toy": "compile:toy/all/all"})],
        "fetch": [Source.target(name)],
        "compile": [step("all", "join", inputs=takes, params={"reads": list(takes)})],
    }
    return plugin(**{**given, **hooks})


def states(report: api.Report) -> dict[str, str]:
    return {outcome.step: outcome.state for outcome in report.outcomes}


TOOLS = {"options": [Option(name="teeth", help="how many", type="int", default=8)]}


def test_an_option_of_a_plugin_that_takes_no_part_is_refused(plugin: Make, request_for: RequestFor) -> None:
    other = plugin("other", plugin=PluginInfo(name="other", targets=("elsewhere",)), **TOOLS)
    with pytest.raises(
        UsageError, match=r"--set other\.teeth: the plugin other takes no part in the target toy"
    ) as caught:
        api.plan(request_for(toy(plugin), tool(plugin), other, set=["other.teeth=9"]))
    assert (caught.value.reason, "other is for: no target" in caught.value.hint) == ("option-unused", True)
    # Variables and files are for all targets of a project.
    api.plan(request_for(toy(plugin), tool(plugin), other, env={"K8SBUILD_OTHER_TEETH": "9"}))


def test_an_option_of_another_target_that_is_taken_is_used(plugin: Make, request_for: RequestFor) -> None:
    api.plan(request_for(toy(plugin), tool(plugin, **TOOLS), set=["tool.teeth=9"]))


def test_what_another_target_makes_is_an_input(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(toy(plugin), tool(plugin))
    report = api.build(request)
    assert (request.root / "dist/artifacts/toy").read_text() == "saw of tool v1.31.4\nlib\n"
    assert [artifact.name for artifact in report.artifacts] == ["toy"]
    inputs = json.loads((request.root / "dist/artifacts/build-toy-linux-amd64.json").read_text())["inputs"]
    assert set(inputs["plugins"]) == {"tool", "toy"}
    assert {"compile:tool/lib", "compile:tool/tool"} < set(inputs["trees"])
    # Its steps are those of its own build: what the one made, the other reuses. Its checks are its own.
    with pytest.raises(ValidateError, match="it is bad"):
        api.build(request_for(tool(plugin), target="tool"))
    again = api.build(request_for(tool(plugin), target="tool", skip_validate=True))
    assert states(again) == {"compile:tool/tool": "reused", "compile:tool/lib": "reused"}


def test_a_change_there_runs_what_reads_it(plugin: Make, request_for: RequestFor) -> None:
    api.build(request_for(toy(plugin), tool(plugin)))
    assert set(states(api.build(request_for(toy(plugin), tool(plugin)))).values()) == {"reused"}
    changed = request_for(toy(plugin), tool(plugin, "axe"))
    why = {row.step: row.why for row in api.plan(changed).rows if row.state != "reused"}
    assert list(why) == ["compile:tool/tool", "fetch:toy/tool", "compile:toy/all"]
    assert "param:tool" in why["compile:tool/tool"]
    api.build(changed)
    assert (changed.root / "dist/artifacts/toy").read_text().startswith("axe of tool")


def test_nothing_of_it_runs_when_nobody_asks(plugin: Make, request_for: RequestFor) -> None:
    own = step("all", "write", params={"all": "own"})
    unread = request_for(toy(plugin, compile=[own]), tool(plugin))
    assert states(api.build(unread)) == {"compile:toy/all": "ran"}


def test_it_is_whole_after_the_fetch_stage(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(toy(plugin), tool(plugin))
    fetched = api.build(request, until="fetch")
    assert set(states(fetched)) == {"compile:tool/tool", "compile:tool/lib", "fetch:toy/tool"}
    assert states(api.build(request))["compile:tool/tool"] == "reused"


def test_targets_share_a_step_that_is_the_same(plugin: Make, request_for: RequestFor) -> None:
    def both(text: Callable[[Build], str]) -> Named:
        made = lambda build: [step("base", "write", params={"base": text(build)})]  # noqa: E731
        return plugin("both", plugin=PluginInfo(name="both"), compile=made)

    base = "compile:both/base/base"
    saw = step("tool", "join", inputs=(base,), params={"reads": [base]}, outputs=("all",))
    artifacts = {"tool": "compile:tool/tool/all"}
    hooks = {"targets": [Target(name="tool", help="", artifacts=artifacts)], "compile": [saw]}
    plugins = toy(plugin, takes=("fetch:toy/tool/tool", base)), tool(plugin, **hooks)
    request = request_for(*plugins, both(lambda build: "same\n"))
    api.build(request)
    assert (request.root / "dist/artifacts/toy").read_text() == "same\nsame\n"
    with pytest.raises(PlanError, match="toy and tool both have the step compile:both/base, each its own"):
        api.plan(request_for(*plugins, both(lambda build: build.target)))


def test_a_target_that_nobody_offers(plugin: Make, request_for: RequestFor) -> None:
    with pytest.raises(PlanError, match=r"plugin toy takes artifacts of the target 'tol'.*'tool'") as caught:
        api.plan(request_for(toy(plugin, "tol"), tool(plugin)))
    assert caught.value.reason == "unknown-target"


def test_targets_that_need_each_other(plugin: Make, request_for: RequestFor) -> None:
    with pytest.raises(PlanError, match="toy → tool → toy") as caught:
        api.plan(request_for(toy(plugin), tool(plugin, fetch=[Source.target("toy")])))
    assert caught.value.reason == "dependency-cycle"


@pytest.mark.parametrize(
    ("targets", "target", "chosen"),
    [
        ({"toy": False}, "", "toy"),
        ({"tool": False, "toy": True}, "", "toy"),
        ({"tool": False, "toy": True}, "tool", "tool"),
    ],
)
def test_what_is_built_where_nobody_says(
    plugin: Make, request_for: RequestFor, targets: dict[str, bool], target: str, chosen: str
) -> None:
    offered = [Target(name=name, help="", artifacts={}, default=default) for name, default in targets.items()]
    assert api.setup(request_for(plugin(targets=offered), target=target)).target.name == chosen


@pytest.mark.parametrize("default", [True, False])
def test_a_target_must_be_named_where_several_could_be_meant(
    plugin: Make, request_for: RequestFor, default: bool
) -> None:
    offered = [Target(name=name, help="", artifacts={}, default=default) for name in ("tool", "toy")]
    request = request_for(plugin(targets=offered), target="")
    with pytest.raises(UsageError, match="any of these targets could be meant: tool, toy") as caught:
        api.setup(request)
    assert caught.value.reason == "target-ambiguous"
    assert "--target=tool" in caught.value.hint
    assert api.options(request), "what only looks goes on"


def test_the_default_target_has_the_plain_build_json(plugin: Make, request_for: RequestFor) -> None:
    for default in (False, True):
        toy = Target(name="toy", help="", artifacts={"toy": "compile:toy/all/all"}, default=default)
        steps = [step("all", "write", params={"all": ""}, outputs=("all",))]
        request = request_for(plugin(targets=[toy], compile=steps))
        api.build(request)
    assert {path.name for path in (request.root / "dist/artifacts").glob("b*.json")} == {
        "build.json",
        f"build-toy-{host_platform()}.json",
    }


@pytest.mark.parametrize(
    ("value", "reason", "said"),
    [("wrong", "bad-value", "this is wrong"), ("odd", "hook-failed", "plugin toy (in-process) raised AssertionError")],
)
def test_values_of_options_are_looked_at_before_anything_else(
    plugin: Make, request_for: RequestFor, value: str, reason: str, said: str
) -> None:
    asked: list[str] = []

    def fetch(build: Build) -> list[Source]:
        asked.append(build.target)
        return []

    option = Option(name="size", help="of the toy", check="engine_steps:look")
    makes = [step("all", "write", params={"all": ""})]
    named = toy(plugin, options=[option], fetch=fetch, compile=makes)
    assert api.plan(request_for(named, **{"toy.size": "right"})).rows
    assert asked == ["toy"]
    with pytest.raises(BuildError, match=re.escape(said)) as caught:
        api.plan(request_for(named, **{"toy.size": value}))
    assert caught.value.reason == reason
    assert asked == ["toy"], "no hook was called"
    other = request_for(named, tool(plugin, validate=[]), target="tool", env={"K8SBUILD_TOY_SIZE": value})
    assert api.plan(other).rows, "the plugin takes no part in that target"
