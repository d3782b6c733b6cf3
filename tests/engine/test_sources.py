"""Sources in a folder of this machine: fetched, patched by plugins and by the project, packed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild import api, hookimpl
from k8sbuild.engine.lower.programs import overlay_files
from k8sbuild.errors import BuildError, CodegenError, ConfigError, PatchError, PlanError
from k8sbuild.kinds import Archive, ArchiveFile, Edit, Overlay, PatchSeries, PluginInfo, Source, Step, Target, Template
from k8sbuild.project import prepare
from k8sbuild.report import answers
from k8sbuild.testing.files import ledger, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from toys import Make, RequestFor

    from k8sbuild.engine.events import Event


PATCHED = "patch:toy/lib"
EDIT = Edit(name="e", source="lib", path="b", op="replace", text="two", new="2")


def patch(old: str, new: str) -> str:
    return f"--- a/a\n+++ b/a\n@@ -1,1 +1,1 @@\n-{old}\n+{new}\n"


@pytest.fixture
def toy(plugin: Make, tmp_path: Path) -> tuple[str, ModuleType]:
    write(tmp_path / "lib", {"a": "one\n", "b": "two\n"})
    series = {"patches/0001-a.patch": patch("one", "1"), "patches/ledger.toml": ledger("0001-a.patch")}
    write(tmp_path / "toy", {**series, "unit": "for @ARCH@\n"})
    source = Source(name="lib", version="v1.0.0", locations={"path": str(tmp_path / "lib")}, layout="as-is")
    members = (
        ArchiveFile(name="lib", address=PATCHED, path="lib"),
        ArchiveFile(name="unit", address="codegen:toy/unit/etc/unit", path="unit"),
    )
    lib = {"unit": "codegen:toy/unit/etc/unit"} | {f"lib/{name}": f"{PATCHED}/{name}" for name in "ab"}
    artifacts = {"tar": "package:toy/tar/x-v1.31.4.tar.zst", **lib}
    hooks: dict[str, Any] = {
        "targets": [Target(name="toy", help="", artifacts=artifacts)],
        "fetch": [source],
        "patch": [PatchSeries(name="fixes", source="lib", root="patches"), EDIT],
        "codegen": [Template(name="unit", path="unit", file="etc/unit", values={"ARCH": "{arch}"})],
        "package": [Archive(name="tar", file="x-{k8s}.tar.zst", members=members)],
    }
    return plugin(**hooks)


def test_series_edits_and_the_projects_own_patches(
    toy: tuple[str, ModuleType], request_for: RequestFor, tmp_path: Path
) -> None:
    request = request_for(toy)
    report = api.build(request)
    folder = request.root / "dist/artifacts"
    assert ((folder / "lib/a").read_text(), (folder / "lib/b").read_text()) == ("1\n", "2\n")
    assert (folder / "tar").is_file()
    facts = {o.step: o.to_dict()["facts"] for o in report.outcomes}[PATCHED]
    assert facts["changed"] == 2
    assert set(facts["touched"]) == {"a", "b"}
    assert {o.state for o in api.build(request).outcomes if o.step != "fetch:toy/lib"} == {"reused"}

    (request.root / "k8sbuild.toml").write_text('[patches]\nlib = "mine"\n')
    write(request.root / "mine", {"0001-more.patch": patch("1", "uno"), "ledger.toml": ledger("0001-more.patch")})
    rows = {row.step: row.why for row in api.plan(request).rows if row.state == "runs"}
    assert "file:project/project/0001-more.patch is new" in rows[PATCHED]
    api.build(request)
    assert (folder / "lib/a").read_text() == "uno\n"


def test_an_edit_that_changed_is_named(toy: tuple[str, ModuleType], request_for: RequestFor) -> None:
    api.build(request_for(toy))
    items = [PatchSeries(name="fixes", source="lib", root="patches"), replace(EDIT, new="II")]
    for yielded, why in ((items, "changed"), (items[::-1], "changed"), (items[:1], "is gone")):
        toy[1].k8sbuild_patch = hookimpl(lambda build, now=yielded: now)  # type: ignore[attr-defined]
        rows = {row.step: row.why for row in api.plan(request_for(toy)).rows if row.state == "runs"}
        assert f"param:patches/edit:toy/e {why}" in rows[PATCHED]
        assert "series:" not in rows[PATCHED]


def test_a_fast_archive_is_not_taken_for_the_other(toy: tuple[str, ModuleType], request_for: RequestFor) -> None:
    levels = []
    for fast in (True, False):
        request = request_for(toy, fast=fast)
        states = {o.step: o.state for o in api.build(request).outcomes}
        assert states["package:toy/tar"] == "ran"
        document = json.loads((request.root / "dist/artifacts/build-toy-linux-amd64.json").read_text())
        levels.append(document["inputs"]["compression"]["package:toy/tar"])
    assert levels == [1, 6]


def test_series_are_applied_in_the_order_of_plugins(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    """Who yields a source, in an earlier stage, does not come first for that."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/a").write_text("one\n")
    for name, old, new in (("early", "one", "1"), ("late", "1", "uno")):
        write(tmp_path / name, {"0001-a.patch": patch(old, new), "ledger.toml": ledger("0001-a.patch")})
    source = Source(name="lib", version="v1.0.0", locations={"path": str(tmp_path / "lib")}, layout="as-is")
    series = [PatchSeries(name="s", source="lib", root=".")]
    target = Target(name="toy", help="", artifacts={"a": "patch:late/lib/a"})
    late = plugin(
        "late", plugin=PluginInfo(name="late", after=("early",)), targets=[target], fetch=[source], patch=series
    )
    request = request_for(late, plugin("early", patch=series))
    api.build(request)
    assert (request.root / "dist/artifacts/a").read_text() == "uno\n"


@pytest.mark.parametrize(("source", "state"), [("lib", "patched"), ("kubernetes", "clean")])
def test_a_target_says_of_which_source_it_is_a_release(
    toy: tuple[str, ModuleType], request_for: RequestFor, tmp_path: Path, source: str, state: str
) -> None:
    target = Target(name="toy", help="", artifacts={"a": f"{PATCHED}/a"}, source=source)
    toy[1].k8sbuild_targets = hookimpl(lambda: [target])  # type: ignore[attr-defined]
    assert prepare(request_for(toy), log=tmp_path / "log").resolved.tree_state == state


def test_a_series_without_a_folder(toy: tuple[str, ModuleType], request_for: RequestFor, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "toy/patches")
    with pytest.raises(PatchError, match="no such folder of patches") as caught:
        api.build(request_for(toy))
    assert (caught.value.reason, caught.value.message.partition(":")[0]) == ("series-missing", "toy/fixes")


@pytest.mark.parametrize("command", [api.plan, api.build])
def test_a_template_without_a_file(
    toy: tuple[str, ModuleType], request_for: RequestFor, tmp_path: Path, command: Callable[..., object]
) -> None:
    (tmp_path / "toy/unit").unlink()
    with pytest.raises(CodegenError, match="plugin toy: unit: no template") as caught:
        command(request_for(toy))
    assert caught.value.reason == "template-missing"


def test_an_overlay_without_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CodegenError, match="toy/first: no folder") as caught:
        overlay_files(SimpleNamespace(name="toy", folder=tmp_path), Overlay(name="first", root="none"))  # type: ignore[arg-type]
    assert caught.value.reason == "overlay-missing"


@pytest.mark.parametrize("file", ["unit", "patches/0001-a.patch"])
def test_an_edit_during_a_build_is_of_the_next_one(
    toy: tuple[str, ModuleType], request_for: RequestFor, tmp_path: Path, file: str
) -> None:
    """What is stored under a key is what the key says, although the file changed before its step ran."""
    path = tmp_path / "toy" / file
    old = path.read_text()

    def edit(event: Event) -> None:
        if event.kind == "plan":
            path.write_text(old.replace("for", "of").replace("\n+1", "\n+uno"))

    request = request_for(toy)
    api.build(request, observers=(("editor", edit),))
    edited = [a.sha256 for a in api.build(request).artifacts]
    path.write_text(old)
    first = [a.sha256 for a in api.build(request).artifacts]
    assert first != edited
    assert {o.state for o in api.build(request).outcomes if o.step != "fetch:toy/lib"} == {"reused"}
    assert (request.root / "dist/artifacts/lib/a").read_text() == "1\n"
    assert (request.root / "dist/artifacts/unit").read_text() == "for amd64\n"


def test_code_that_changes_before_its_step_runs_stops_the_build(
    plugin: Make, request_for: RequestFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "changing_steps.py"
    file.write_text("def run(ctx):\n    (ctx.out / 'x').write_text('old')\n")
    step = Step(name="get", stage="compile", run="changing_steps:run")
    toy = plugin(targets=[Target(name="toy", help="", artifacts={"x": "compile:toy/get/x"})], compile=[step])

    def edit(event: Event) -> None:
        if event.kind == "plan":
            file.write_text(file.read_text().replace("old", "new"))

    with pytest.raises(PlanError, match="the code of changing_steps:run changed") as caught:
        api.build(request_for(toy), observers=(("editor", edit),))
    assert caught.value.reason == "code-changed"


def test_a_source_that_changes_is_fetched_again(
    toy: tuple[str, ModuleType], request_for: RequestFor, tmp_path: Path
) -> None:
    request = request_for(toy)
    api.build(request)
    (tmp_path / "lib/b").write_text("two\nthree\n")
    api.build(request)
    assert (request.root / "dist/artifacts/lib/b").read_text() == "2\nthree\n"


def test_steps_of_the_fetch_stage_may_use_the_network(plugin: Make, request_for: RequestFor) -> None:
    step = Step(name="get", stage="fetch", run="engine_steps:write", params={"x": "y"}, needs_network=True)
    target = Target(name="toy", help="", artifacts={"got": "fetch:toy/get/x"})
    assert [a.name for a in api.build(request_for(plugin(targets=[target], fetch=[step]))).artifacts] == ["got"]


def test_options_and_the_json_form_of_plans(toy: tuple[str, ModuleType], request_for: RequestFor) -> None:
    assert "jobs" in api.options(request_for(toy))
    document = api.plan(request_for(toy)).to_dict()
    assert (document["target"], document["k8s"]) == ("toy", "v1.31.4")
    assert {row["step"] for row in document["steps"]} >= {PATCHED, "fetch:toy/lib", "package:toy/tar"}


def test_a_plan_says_what_the_lock_lacks_and_leaves_it(plugin: Make, request_for: RequestFor) -> None:
    source = Source(name="lib", version="v1.0.0", locations={"archive": "https://lib.invalid/x.tar.gz"}, layout="as-is")
    target = Target(name="toy", help="", artifacts={"a": "fetch:toy/lib/a"})
    request = request_for(plugin("toy", targets=[target], fetch=[source]))
    report = api.plan(request)
    assert report.unlocked == 1
    assert answers.plan(report).endswith("entries that a build adds to k8sbuild.lock: 1 or more")
    assert not (request.root / "k8sbuild.lock").exists()


@pytest.mark.parametrize(
    ("chosen", "said"),
    [("lib=git", "lib: 'git' has no location"), ("lib=paht", "lib: 'paht' is no provider; did you mean 'path'")],
)
def test_a_provider_that_does_not_fit_is_named(
    toy: tuple[str, ModuleType], request_for: RequestFor, chosen: str, said: str
) -> None:
    with pytest.raises(BuildError, match=said) as caught:
        api.build(request_for(toy, provider=chosen))
    assert caught.value.reason == "no-provider"


@pytest.mark.parametrize(
    ("config", "provider", "said"),
    [
        ('[patches]\nlbi = "mine"', "", r"\[patches\] lbi: no target has the source 'lbi'; did you mean 'lib'"),
        ('[sources.lbi]\nlocation = "x"', "", r"\[sources.lbi\]: no target has the source 'lbi'"),
        ("", "lbi=path", "--provider=lbi: no target has the source 'lbi'"),
    ],
)
def test_what_is_said_of_no_source_is_refused(
    toy: tuple[str, ModuleType], request_for: RequestFor, config: str, provider: str, said: str
) -> None:
    request = request_for(toy, provider=provider)
    (request.root / "k8sbuild.toml").write_text(config)
    with pytest.raises(ConfigError, match=said) as caught:
        api.plan(request)
    assert caught.value.reason == "unknown-source"


def test_what_is_said_of_another_targets_source_is_let_be(
    toy: tuple[str, ModuleType], plugin: Make, request_for: RequestFor
) -> None:
    step = Step(name="all", stage="compile", run="engine_steps:nothing")
    target = Target(name="other", help="", artifacts={"x": "compile:other/all/x"})
    other = plugin("other", plugin=PluginInfo(name="other", targets=("other",)), targets=[target], compile=[step])
    toy[1].k8sbuild_plugin = hookimpl(lambda: PluginInfo(name="toy", targets=("toy",)))  # type: ignore[attr-defined]
    request = request_for(toy, other, target="other")
    (request.root / "k8sbuild.toml").write_text('[patches]\nlib = "mine"')
    assert [row.step for row in api.plan(request).rows] == ["compile:other/all"]


@pytest.mark.parametrize("location", ["../lib", "./../lib", "{root}/lib"])
def test_a_folder_in_the_configuration_is_seen_from_the_project(
    toy: tuple[str, ModuleType], request_for: RequestFor, tmp_path: Path, location: str
) -> None:
    request = request_for(toy)
    (tmp_path / "lib").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(tmp_path / "project/lib")
    text = location.format(root=request.root).replace("../lib", "../project/lib")
    (request.root / "k8sbuild.toml").write_text(f'[sources.lib]\nlocation = "{text}"')
    assert "fetch:toy/lib" in {o.step for o in api.build(request).outcomes}


def test_a_provider_for_all_is_for_those_that_it_has(
    toy: tuple[str, ModuleType], plugin: Make, request_for: RequestFor, tmp_path: Path
) -> None:
    with pytest.raises(BuildError, match="--provider=archive: no source has a location for 'archive'") as caught:
        api.plan(request_for(toy, provider="archive"))
    assert caught.value.reason == "no-provider"
    (tmp_path / "more").mkdir()
    place = {"path": str(tmp_path / "more"), "archive": "https://more.invalid/x.tar.gz"}
    more = plugin("more", fetch=[Source(name="more", version="v1.0.0", locations=place, layout="as-is")])
    prepared = prepare(request_for(toy, more, provider="archive"), log=tmp_path / "log")
    kinds = {name: prepared.fetcher.kind(source) for name, source in prepared.resolved.sources.items()}
    assert kinds == {"lib": "path", "more": "archive"}
