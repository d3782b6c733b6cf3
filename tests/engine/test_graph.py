"""Addresses, contributions and the graph that they become."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild import api, hookspecs
from k8sbuild.engine.address import Address, parse
from k8sbuild.engine.contribute import ALLOWED
from k8sbuild.engine.graph import Node, connect
from k8sbuild.errors import BuildError, ConfigError, PlanError, PluginError, UsageError
from k8sbuild.kinds import (
    STAGES,
    Archive,
    ArchiveFile,
    Artifact,
    Check,
    Collect,
    Edit,
    Generator,
    GoBinary,
    GoModule,
    GoReplace,
    GoRequire,
    Option,
    Overlay,
    Provider,
    Source,
    Step,
    Target,
    Template,
)
from k8sbuild.project import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from toys import Make, RequestFor

    from k8sbuild.kinds import Stage


TARGET = [Target(name="toy", help="", artifacts={"toy": "compile:toy/all/all"})]


def step(name: str, stage: Any = "compile", **fields: Any) -> Step:
    return Step(name=name, stage=stage, run="engine_steps:nothing", **fields)


def node(text: str, *inputs: str) -> Node:
    address = parse(text)
    return Node(
        address=address,
        kind="Step@1",
        step=step(address.name, address.stage),
        inputs=tuple(parse(given) for given in inputs),
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_hook_says_all_that_it_may_yield(stage: Stage) -> None:
    said = inspect.signature(getattr(hookspecs, f"k8sbuild_{stage}")).return_annotation
    assert set(re.findall(r"\w+", said)) == {"Iterable", *(kind.__name__ for kind in ALLOWED[stage])}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("compile:toy/all", Address("compile", "toy", "all")),
        ("codegen:toy/all/cmd/main.go", Address("codegen", "toy", "all", "cmd/main.go")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "compile", "compile:toy", "compile:/x", "compile:toy/", "compil:toy/x", "toy/x"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(PlanError, match="is no address") as caught:
        parse(text)
    assert caught.value.reason == "bad-address"


def test_each_step_comes_after_its_inputs() -> None:
    graph = connect([node("compile:a/z", "compile:a/y"), node("compile:a/y", "fetch:a/x"), node("fetch:a/x")])
    assert list(graph.nodes) == ["fetch:a/x", "compile:a/y", "compile:a/z"]
    assert list(graph.wanted(["compile:a/y/file"]).nodes) == ["fetch:a/x", "compile:a/y"]
    with pytest.raises(PlanError, match="no step 'compile:a/w'"):
        graph.wanted(["compile:a/w"])


@pytest.mark.parametrize(
    ("nodes", "reason", "said"),
    [
        ([node("compile:a/x"), node("compile:a/x")], "duplicate-step", "compile:a/x"),
        ([node("compile:a/x", "compile:a/xx")], "unknown-address", "did you mean 'compile:a/x'"),
        ([node("fetch:a/x", "compile:a/y"), node("compile:a/y")], "stage-order", "needs compile:a/y"),
        ([node("compile:a/x", "compile:a/x")], "dependency-cycle", "compile:a/x → compile:a/x"),
        (
            [node("compile:a/x", "compile:a/y"), node("compile:a/y", "compile:a/x/file")],
            "dependency-cycle",
            "compile:a/x → compile:a/y",
        ),
    ],
)
def test_edges_that_do_not_fit(nodes: list[Node], reason: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        connect(nodes)
    assert caught.value.reason == reason
    assert said in caught.value.message


EDIT = Edit(name="e", source="kuberntes", path="x", op="delete-file")
MODULES = [GoModule(name=name, path=name, go="1.24") for name in "ab"]
GENERATOR = Generator(name="g", run="engine_steps:nothing")


@pytest.mark.parametrize(
    ("hooks", "kind", "reason", "said"),
    [
        ({"compile": [Check(name="c", run="x:y", inputs=())]}, PluginError, "bad-contribution", "yielded Check"),
        ({"compile": [step("all"), step("all")]}, PluginError, "duplicate-name", "two Step named 'all'"),
        ({"compile": [step("a/b")]}, PlanError, "bad-address", "without '/' and ':'"),
        ({"compile": [step("")]}, PlanError, "bad-address", "the Step ''"),
        ({"compile": [step("all", needs_network=True)]}, PlanError, "network-step", "only the fetch stage"),
        (
            {"compile": [step("all", params={"x": {1, 2}})]},
            PluginError,
            "bad-contribution",
            "plugin toy: Step all: params is {'x': {1, 2}}; it must be a mapping",
        ),
        ({"compile": [step("all", inputs=("compile:toy/al",))]}, PlanError, "unknown-address", "'compile:toy/all'"),
        ({"compile": [step("all", inputs=("toy/al",))]}, PlanError, "bad-address", "'toy/al'"),
        ({"patch": [EDIT]}, PlanError, "unknown-source", "Edit 'e' is for the source 'kuberntes'"),
        ({"codegen": [GENERATOR]}, PlanError, "unknown-module", "Generator g must name one of the modules (none)"),
        (
            {"codegen": [Generator(name="g", run="x:y", module="toy/main")]},
            PlanError,
            "unknown-module",
            "Generator g must name one of the modules (none), not 'toy/main'",
        ),
        ({"compile": [GoBinary(name="b", package=".")]}, PlanError, "unknown-module", "GoBinary b"),
        *(
            ({"codegen": [*MODULES, item]}, PlanError, "unknown-module", f"one of the modules toy/a, toy/b{said}")
            for item, said in (
                (Overlay(name="o", root="x"), ""),
                (GoRequire(name="r", path="p", version="v1.0.0"), ""),
                (GoReplace(name="r", path="p", version="v1.0.0", module="toy/bb"), ", not 'toy/bb'; did you mean"),
            )
        ),
        (
            {"targets": [Target(name="toy", help="", artifacts={}, defaults={"k9s": "v1"})]},
            ConfigError,
            "unknown-option",
            "target toy has a default for 'k9s', which nobody declares; did you mean 'k8s'",
        ),
        (
            {"package": [Archive(name="tar", file="x", members=(), licences=("compile:toy/all",))]},
            PlanError,
            "unknown-address",
            "no such GoBinary",
        ),
        (
            {
                "package": [
                    Archive(name="tar", file="x", members=()),
                    ArchiveFile(name="more", address="a", path="b", archive="toy/tra"),
                ]
            },
            PlanError,
            "unknown-archive",
            "plugin toy: more is for no archive of this build: 'toy/tra'; did you mean 'toy/tar'",
        ),
        ({"package": [Archive(name="tar", file="{k9s}", members=())]}, PlanError, "unknown-placeholder", "{k8s}, {os}"),
        (
            {"package": [Archive(name="tar", file="x", members=(ArchiveFile(name="m", address="a", path="{"),))]},
            PlanError,
            "unknown-placeholder",
            "Archive tar: '{'",
        ),
        (
            {"codegen": [Template(name="t", path="t", file="t", values={"X": "{arc}"})]},
            PlanError,
            "unknown-placeholder",
            "plugin toy: Template t: '{arc}'",
        ),
        ({"targets": [*TARGET, *TARGET]}, ConfigError, "target-twice", "offered by toy and toy"),
        ({"targets": []}, UsageError, "unknown-target", "no plugin that takes part offers a target"),
        ({"targets": [Target(name="tyo", help="", artifacts={})]}, UsageError, "unknown-target", "did you mean 'tyo'"),
        (
            {"targets": [Target(name="toy", help="", artifacts={"{x}": "compile:toy/all"})]},
            PlanError,
            "unknown-placeholder",
            "target toy",
        ),
        (
            {"targets": [Target(name="toy", help="", artifacts={"toy": "compile:toy/all"})]},
            PlanError,
            "artifact-without-path",
            "target toy: the artifact 'toy' is the whole output of compile:toy/all",
        ),
        (
            {"package": [Artifact(name="more", file="toy", address="compile:toy/all")]},
            PlanError,
            "artifact-without-path",
            "plugin toy: the artifact 'toy' is the whole output of compile:toy/all",
        ),
        (
            {"package": [Artifact(name=n, file="{arch}", address="compile:toy/all/all") for n in ("one", "two")]},
            PlanError,
            "artifact-twice",
            "plugin toy: there is an artifact 'amd64' already",
        ),
        ({"options": ["colour"]}, PluginError, "bad-contribution", "k8sbuild_options yielded str; it may yield Option"),
        ({"options": [Option(name="x", help="", flag="--jobs")]}, ConfigError, "option-clash", "k8sbuild and toy"),
        (
            {"providers": [Provider(name="git", kind="git", resolve="x:y", fetch="x:y")]},
            ConfigError,
            "provider-twice",
            "'git' of toy",
        ),
    ],
)
def test_mistakes_of_plugins_are_named(
    plugin: Make, request_for: RequestFor, hooks: dict[str, Any], kind: type[BuildError], reason: str, said: str
) -> None:
    given = {"targets": TARGET, "compile": [step("all")], **hooks}
    with pytest.raises(kind) as caught:
        api.plan(request_for(plugin(**given)))
    assert caught.value.reason == reason
    assert said in caught.value.message


def test_hooks_are_asked_once_and_for_versions_that_are_not_exact_once_before(
    plugin: Make, request_for: RequestFor, tmp_path: Path
) -> None:
    asked: list[str] = []

    def fetch(build: Any) -> list[Source]:
        asked.append(build.k8s)
        where = {"path": str(tmp_path)}
        return [Source(name=name, version="", locations=where, layout="as-is") for name in ("kubernetes", "lib")]

    lib = Option(name="lib", help="version", type="version", source="lib", default="v1.0.0")
    given = {"targets": TARGET, "compile": [step("all")], "fetch": fetch, "options": [lib]}
    api.plan(request_for(plugin(**given)))
    assert asked == ["v1.31.4"]
    api.plan(request_for(plugin(**given), k8s="trunk", set=["toy.lib=trunk"]))
    assert asked == ["v1.31.4", "trunk", "trunk"]


def test_sources_that_differ_clash(plugin: Make, request_for: RequestFor) -> None:
    def other(name: str, folder: str) -> Any:
        source = Source(name="s", version="v1.0.0", locations={"path": folder}, layout="as-is")
        return plugin(name, targets=TARGET if name == "toy" else [], fetch=[source], compile=[step("all")])

    with pytest.raises(ConfigError, match="a and toy fetch different sources named 's'"):
        api.plan(request_for(other("toy", "/x"), other("a", "/y")))


def test_a_name_may_be_used_again_in_another_stage(plugin: Make, request_for: RequestFor) -> None:
    steps = [step("all", "codegen"), step("all", inputs=("codegen:toy/all",))]
    rows = api.plan(request_for(plugin(targets=TARGET, compile=steps))).rows
    assert [row.step for row in rows] == ["codegen:toy/all", "compile:toy/all"]


def test_collections_by_label(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    """A generator's parameters and inputs name what other plugins yield, in the engine's order."""
    labelled = Overlay(name="one", root="x", labels={"register": "pkg/one"})
    plain = Overlay(name="two", root="x")
    steps = [
        step("all", params={"found": Collect(kind="Overlay", label="register")}, inputs=(Collect(kind="Template"),))
    ]
    templates = [Template(name=n, path="t", file="t") for n in ("s", "t")]
    module = GoModule(name="m", path="m", go="1.24")
    toy = plugin(targets=TARGET, codegen=[module, labelled, plain, *templates], compile=steps)
    (tmp_path / "toy/t").write_text("")
    prepared = prepare(request_for(toy, plugin("a", codegen=[labelled])), log=tmp_path / "log")
    found = prepared.graph.nodes["compile:toy/all"]
    assert found.step.params["found"] == [["a", "one", "pkg/one"], ["toy", "one", "pkg/one"]]
    assert found.step.inputs == ("codegen:toy/s", "codegen:toy/t")
