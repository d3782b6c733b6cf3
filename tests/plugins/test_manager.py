"""Loading, checking, ordering and asking plugins."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild import hookimpl
from k8sbuild.errors import ConfigError, PluginError
from k8sbuild.kinds import Archive, ArchiveFile, Collect, GoModule, PatchSeries, PluginInfo, Step
from k8sbuild.plugins import Plugins, load

if TYPE_CHECKING:
    from toys import Make, Named

CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


def broken(*plugins: Named) -> PluginError:
    """Load plugins of which one is broken; its error."""
    name = plugins[-1][0]
    (found,) = [b for b in load(plugins).broken if b.name == name]
    return found.error


def chosen(*plugins: Named, **how: Any) -> list[str]:
    names = [name for name, _ in plugins]
    return [plugin.name for plugin in load(plugins).select(**({"only": names} | how))]


def info(name: str, **fields: Any) -> dict[str, PluginInfo]:
    return {"plugin": PluginInfo(name=name, **fields)}


def test_a_plugin_is_asked_with_what_it_wants(plugin: Make, tmp_path: Path) -> None:
    toy = plugin(options=["o"], fetch=lambda build: iter([build, 2]), patch=lambda: None, codegen=7)
    plugins = load([toy])
    loaded = plugins.get("toy")
    assert (loaded.folder, loaded.distribution, loaded.version) == (tmp_path / "toy", "in-process", "")
    assert plugins.ask(loaded, "k8sbuild_options") == ["o"]
    assert plugins.ask(loaded, "k8sbuild_fetch", build=1) == [1, 2]
    assert plugins.ask(loaded, "k8sbuild_patch", build=1) == []
    assert plugins.ask(loaded, "k8sbuild_codegen", build=1) == [7]
    assert plugins.ask(loaded, "k8sbuild_package", build=1) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Step(name="s", stage="patch", run="m:f", cores="a"), "Step s: cores is 'a'; it must be int"),  # type: ignore[arg-type]
        (Step(name="s", stage="patch", run="m:f", cores=True), "Step s: cores is True; it must be int"),
        (Step(name="s", stage="nope", run="m:f"), "Step s: stage is 'nope'; it must be one of 'fetch', 'patch'"),  # type: ignore[arg-type]
        (Step(name="s", stage="patch", run="m:f", env={"A": 1}), "env is {'A': 1}; it must be Mapping[str, str]"),  # type: ignore[dict-item]
        (Step(name="s", stage="patch", run="m:f", params={"n": float("nan")}), "params is {'n': nan}; it must be"),
        (Step(name="s", stage="patch", run="m:f", params={"n": CIRCLE}), "params is {'n': [[...]]}; it must be"),
        (Step(name="s", stage="patch", run="m:f", params={"n": {1}}), "it must be a mapping of names to JSON data"),  # type: ignore[dict-item]
        (Step(name="s", stage="patch", run="m:f", inputs="fetch:a/b"), "it must be tuple[str | Collect, ...]"),  # type: ignore[arg-type]
        (Step(name=7, stage="patch", run="m:f"), "Step: name is 7; it must be str"),  # type: ignore[arg-type]
        (
            Archive(name="a", file="a", members=(ArchiveFile(name="m", address="x:a/b", path="p", mode="rw"),)),  # type: ignore[arg-type]
            "ArchiveFile m: mode is 'rw'; it must be int | None",
        ),
    ],
)
def test_a_field_of_another_type_is_refused(plugin: Make, wrong: Any, said: str) -> None:
    plugins = load([plugin(patch=[wrong])])
    with pytest.raises(PluginError) as caught:
        plugins.ask(plugins.get("toy"), "k8sbuild_patch")
    assert caught.value.message.startswith("plugin toy: ")
    assert said in caught.value.message
    assert caught.value.reason == "bad-contribution"


@pytest.mark.parametrize("wrong", [{"before": 7}, {"before": "x"}, {"targets": ["k8s"]}, {"api": 1}])
def test_plugin_info_with_a_field_of_another_type_breaks_its_plugin(plugin: Make, wrong: dict[str, Any]) -> None:
    error = broken(plugin(**info("toy", **wrong)))
    assert error.reason == "bad-contribution"
    assert f"plugin toy: PluginInfo toy: {next(iter(wrong))} is" in error.message


def test_fields_of_their_types_are_taken(plugin: Make) -> None:
    params: dict[str, Any] = {"a": [1, 2.5, None, {"b": ("c", True)}], "d": Collect(kind="Overlay")}
    given = [
        Step(name="s", stage="patch", run="m:f", inputs=("a", Collect(kind="Source")), params=params),
        PatchSeries(name="p", source="s", root="r", only=None),
        GoModule(name="m", path="p", go="1.24", coverage=80),
    ]
    plugins = load([plugin(patch=given)])
    assert plugins.ask(plugins.get("toy"), "k8sbuild_patch") == given


def test_an_object_can_be_a_plugin() -> None:
    class Toy:
        @hookimpl
        def k8sbuild_plugin(self) -> PluginInfo:
            return PluginInfo(name="toy")

        @hookimpl
        def k8sbuild_options(self) -> list[int]:
            return [1]

    plugins = load([("toy", Toy())])
    assert plugins.ask(plugins.get("toy"), "k8sbuild_options") == [1]
    assert plugins.get("toy").folder == Path(__file__).parent


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ({"fetch": lambda buidl: []}, "buidl"),
        ({"fetsh": []}, "unknown hook k8sbuild_fetsh; did you mean 'k8sbuild_fetch'"),
        ({"plugin": "toy"}, "returned str, not PluginInfo"),
        ({"plugin": lambda: 1 // 0}, "ZeroDivisionError"),
        ({"plugin": PluginInfo(name="other")}, "calls itself 'other'"),
    ],
)
def test_a_broken_plugin_is_named(plugin: Make, hooks: dict[str, Any], said: str) -> None:
    error = broken(plugin(**hooks))
    assert said in error.message
    assert "plugin toy (in-process)" in error.message
    assert error.reason == "plugin-broken"
    assert "--no-plugin=toy" in error.hint


def test_a_hook_without_its_mark_is_an_error(plugin: Make) -> None:
    toy = plugin()
    toy[1].k8sbuild_fetch = lambda build: []  # type: ignore[attr-defined]
    assert "k8sbuild_fetch lacks @hookimpl" in broken(toy).message


def test_a_module_that_a_plugin_imports_is_no_hook(plugin: Make) -> None:
    toy = plugin()
    toy[1].k8sbuild_toy = sys  # type: ignore[attr-defined]
    assert load([toy]).get("toy")


def test_a_plugin_that_says_nothing_of_itself(plugin: Make) -> None:
    toy = plugin()
    del toy[1].k8sbuild_plugin
    assert "k8sbuild_plugin" in broken(toy).message


def test_the_hook_api_has_a_version(plugin: Make) -> None:
    error = broken(plugin(**info("toy", api=">=2")))
    assert (error.reason, "wants hook API >=2; this is 1.0" in error.message) == ("plugin-api", True)


def test_a_broken_plugin_stops_only_what_needs_it(plugin: Make) -> None:
    plugins = load([plugin("good"), plugin("bad", plugin="x"), plugin("user", **info("user", requires=("bad",)))])
    plugins.select(only=["good"]).require_whole()
    plugins.select(without=["bad", "user"]).require_whole()
    for only in ("bad", "user"):
        with pytest.raises(PluginError, match=r"plugin bad|user requires bad"):
            plugins.select(only=[only]).require_whole()
    with pytest.raises(PluginError, match="plugin bad"):
        plugins.select(without=["user"]).require_whole()


def test_twins_are_named_and_the_first_stays_whole(plugin: Make) -> None:
    first, second = plugin(options=["first"]), plugin(options=["second"])
    error = broken(first, second)
    assert (error.reason, error.message) == (
        "plugin-twice",
        "plugin toy is provided by in-process and by in-process",
    )
    plugins = load([first, second])
    assert plugins.ask(plugins.get("toy"), "k8sbuild_options") == ["first"]


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_hook_that_raises_names_plugin_hook_and_place(plugin: Make, error: type[BaseException]) -> None:
    def fetch(build: object) -> Any:
        yield 1
        raise error("no luck")

    plugins = load([plugin(fetch=fetch)])
    said = rf"plugin toy .* raised {error.__name__} in k8sbuild_fetch: no luck"
    with pytest.raises(PluginError, match=said) as caught:
        plugins.ask(plugins.get("toy"), "k8sbuild_fetch", build=1)
    assert caught.value.reason == "hook-failed"
    assert caught.value.details["place"].startswith(f"{__file__}:")


def test_a_plugin_that_ends_the_process_is_broken(plugin: Make) -> None:
    def ending() -> None:
        raise SystemExit(0)

    (broken,) = load([plugin(plugin=ending)]).broken
    assert broken.error.reason == "plugin-broken"


def test_an_error_of_ours_in_a_hook_stays_itself(plugin: Make) -> None:
    def fetch() -> None:
        raise ConfigError("mine", reason="mine")

    plugins = load([plugin(fetch=fetch)])
    with pytest.raises(ConfigError, match="mine"):
        plugins.ask(plugins.get("toy"), "k8sbuild_fetch")


def test_order_is_before_and_after_then_names(plugin: Make) -> None:
    plugins = [
        plugin("a", **info("a", after=("c", "not-there"))),
        plugin("b"),
        plugin("c"),
        plugin("d", **info("d", before=("b",))),
    ]
    assert chosen(*plugins) == chosen(*reversed(plugins)) == ["c", "a", "d", "b"]


class Mute(BaseException):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(("error", "said"), [(GeneratorExit(), ""), (Mute(), "its text raised ValueError ")])
def test_whatever_a_hook_raises_is_told_with_its_place(plugin: Make, error: BaseException, said: str) -> None:
    def raising() -> None:
        raise error

    plugins = load([plugin(options=raising)])
    with pytest.raises(PluginError) as caught:
        plugins.ask(plugins.get("toy"), "k8sbuild_options")
    start = f"plugin toy (in-process) raised {type(error).__name__} in k8sbuild_options: {said}({__file__}:"
    assert caught.value.message.startswith(start)
    assert "GeneratorExit" in broken(plugin(plugin=next_exit)).message


def next_exit() -> PluginInfo:
    raise GeneratorExit


def test_what_a_hook_prints_is_no_answer(plugin: Make, capsys: pytest.CaptureFixture[str]) -> None:
    plugins = load([plugin(options=lambda: print("hello"))])
    plugins.ask(plugins.get("toy"), "k8sbuild_options")
    assert capsys.readouterr() == ("", "hello\n")


def test_text_that_cannot_be_written_is_refused(plugin: Make) -> None:
    plugins = load([plugin(patch=[PatchSeries(name="a", source="b", root="c\udcff")])])
    with pytest.raises(PluginError, match=r"root is 'c.udcff'; it must be str"):
        plugins.ask(plugins.get("toy"), "k8sbuild_patch")


def test_a_hook_that_does_not_end_is_named(plugin: Make) -> None:
    plugins = load([plugin(options=lambda: count())])
    with pytest.raises(PluginError, match="raised ValueError in k8sbuild_options: it yields more than") as caught:
        plugins.ask(plugins.get("toy"), "k8sbuild_options")
    assert caught.value.hint.startswith("--no-plugin=toy")


def test_a_circle_is_shown(plugin: Make) -> None:
    with pytest.raises(PluginError, match=r"a → b → a|b → a → b") as caught:
        chosen(plugin("a", **info("a", after=("b",))), plugin("b", **info("b", after=("a",))))
    assert caught.value.reason == "plugin-cycle"


def test_conflicts_and_how_to_part_them(plugin: Make) -> None:
    plugins = [plugin("a", **info("a", conflicts=("b",))), plugin("b")]
    with pytest.raises(PluginError, match="plugin a conflicts with b") as caught:
        chosen(*plugins)
    assert (caught.value.reason, caught.value.hint) == ("plugin-conflict", "--no-plugin=b or --no-plugin=a")
    assert chosen(*plugins, without=["b"]) == ["a"]


def test_only_brings_what_it_requires(plugin: Make) -> None:
    plugins = [
        plugin("a", **info("a", requires=("b~=1.0",))),
        plugin("b", **info("b", requires=("c!=9",))),
        plugin("c"),
        plugin("d"),
    ]
    assert chosen(*plugins, only=["a"]) == ["a", "b", "c"]
    with pytest.raises(PluginError, match="plugin b requires c!=9, which is left out") as caught:
        chosen(*plugins, only=["a"], without=["c"])
    assert (caught.value.reason, caught.value.hint) == ("plugin-requires", "let it take part, or --no-plugin=b")
    with pytest.raises(PluginError, match="plugin b requires c!=9, which is not there"):
        load(plugins[:2]).select()


def test_a_requirement_has_a_version(plugin: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "installed"
    (folder / "k8sbuild_old-0.3.dist-info").mkdir(parents=True)
    (folder / "k8sbuild_old-0.3.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: k8sbuild-old\nVersion: 0.3\n"
    )
    (folder / "k8sbuild_old-0.3.dist-info/entry_points.txt").write_text("[k8sbuild]\nold = old_plugin\n")
    (folder / "old_plugin.py").write_text(
        "from k8sbuild import hookimpl\nfrom k8sbuild.kinds import PluginInfo\n\n\n"
        "@hookimpl\ndef k8sbuild_plugin():\n    return PluginInfo(name='old')\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    user, fine = (
        plugin("user", **info("user", requires=("old>=0.4",))),
        plugin("fine", **info("fine", requires=("old>=0.3",))),
    )
    assert chosen(fine) == ["fine", "old"]
    old = load().get("old")
    assert (old.distribution, old.version, old.folder) == ("k8sbuild-old", "0.3", folder)
    with pytest.raises(PluginError, match=r"user requires old>=0\.4; old 0\.3 is installed"):
        chosen(user)
    assert chosen(plugin("newer", **info("newer", conflicts=("old<0.3",))), only=["newer", "old"]) == ["newer", "old"]
    with pytest.raises(PluginError, match=r"older conflicts with old<0\.4"):
        chosen(plugin("older", **info("older", conflicts=("old<0.4",))), only=["older", "old"])


@pytest.mark.parametrize("field", ["requires", "conflicts"])
def test_a_requirement_that_is_none_is_refused(plugin: Make, field: str) -> None:
    with pytest.raises(PluginError, match="plugin a names 'b >< 1'") as caught:
        chosen(plugin("a", **info("a", **{field: ("b >< 1",)})), plugin("b"))
    assert (caught.value.reason, "--no-plugin=a" in caught.value.hint) == ("bad-requirement", True)


@pytest.mark.parametrize("how", [{"only": ["tyo"]}, {"only": ["toy"], "without": ["tyo"]}])
def test_an_unknown_plugin_is_suggested(plugin: Make, how: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match="no plugin 'tyo' is installed; did you mean 'toy'"):
        chosen(plugin(), **how)


def test_targets(plugin: Make) -> None:
    plugins: Plugins = load([plugin("all"), plugin("some", **info("some", targets=("x", "y")))])
    assert [plugins.get(n).contributes_to(t) for n in ("all", "some") for t in ("x", "z")] == [True, True, True, False]
