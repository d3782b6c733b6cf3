"""Options: their sources, in order, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.errors import ConfigError, UsageError
from k8sbuild.kinds import Option
from k8sbuild.options import CORE, Declared, Value, declare, given, parse, resolve

if TYPE_CHECKING:
    from pathlib import Path

COLOUR = Option(
    name="colour", help="of the toy", default="red", flag="--colour", env=("TOY",), choices=("red", "blue", "green")
)
WORDS = Option(name="words", help="on the toy", type="list", default=("a",))
DECLARED = declare([("toy", COLOUR), ("toy", WORDS)])


def value(key: str, **sources: Any) -> Value:
    given: dict[str, Any] = {"flags": {}, "env": {}, "files": [], "defaults": {}, **sources}
    return resolve(DECLARED, **given)[key]


def test_each_source_wins_over_the_next() -> None:
    sources: list[tuple[str, Any]] = [
        ("flags", {"toy.colour": "blue"}),
        ("env", {"K8SBUILD_TOY_COLOUR": "green", "TOY": "blue"}),
        ("files", [("k8sbuild.toml", {"plugins": {"toy": {"colour": "blue"}}}), ("pyproject.toml", {})]),
        ("defaults", {"toy.colour": "green"}),
    ]
    found = [value("toy.colour", **dict(sources[n:])) for n in range(len(sources) + 1)]
    assert found == ["blue", "green", "blue", "green", "red"]
    assert value("toy.colour", env={"TOY": "blue"}) == "blue"
    files = [("k8sbuild.toml", {"jobs": 2}), ("pyproject.toml", {"jobs": 3, "out": "there"})]
    assert (value("jobs", files=files), value("out", files=files)) == (2, "there")
    assert value("toy.colour", env={"TOY": ""}) == "red", "an empty variable is an unset one"


def test_a_targets_default_for_one_option_is_not_for_a_namesake() -> None:
    assert value("toy.colour", defaults={"colour": "green"}) == "red"


def test_paths_in_a_file_are_seen_from_its_folder(tmp_path: Path) -> None:
    files = [("k8sbuild.toml", {"toolchain": "tools/go"})]
    assert value("toolchain", files=files, root=tmp_path) == str(tmp_path / "tools/go")
    assert value("toolchain", flags={"toolchain": "go"}, files=files, root=tmp_path) == "go"
    assert value("toolchain", env={"K8SBUILD_TOOLCHAIN": "/go"}, files=files, root=tmp_path) == "/go"


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ({"env": {"K8SBUILD_SET": "toy.colour=blue"}}, "K8SBUILD_SET is not read"),
        ({"files": [("k8sbuild.toml", {"set": ["toy.colour=blue"]})]}, "k8sbuild.toml: set is not read"),
    ],
)
def test_set_is_of_the_command_line_alone(sources: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        value("toy.colour", **sources)
    assert "K8SBUILD_<PLUGIN>_<OPTION>" in caught.value.hint


def test_zero_on_the_command_line_is_a_value_and_an_unset_switch_is_none() -> None:
    assert value("jobs", flags={"jobs": 0}, env={"K8SBUILD_JOBS": "3"}) == 0
    assert value("fast", flags={"fast": False}, env={"K8SBUILD_FAST": "yes"}) is True


def test_set_reaches_every_option_and_joins_lists() -> None:
    flags = {"set": ["toy.words=x,y", "toy.words=z", "toy.colour=blue", "toy.colour=green"]}
    assert value("toy.words", flags=flags) == ("x", "y", "z")
    assert value("toy.colour", flags=flags) == "green"
    assert value("toy.colour", flags={"toy.colour": "red", "set": ["toy.colour=blue"]}) == "blue"


def test_set_takes_away_what_a_file_lists() -> None:
    files = [("k8sbuild.toml", {"plugins": {"toy": {"words": ["x"]}}})]
    assert value("toy.words", flags={"set": ["toy.words="]}, files=files) == ()


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        ("toy.color=red", "unknown-option", "did you mean 'toy.colour'"),
        ("gone.speed=high", "unknown-option", "no option 'gone.speed', no plugin 'gone' takes part"),
        ("toy.colour", "bad-value", "KEY=VALUE"),
        ("toy.colour=pink", "bad-value", "^--set toy.colour: 'pink' is not one of"),
        ("jobs=many", "bad-value", "^--set jobs: 'many' is not a value of type int"),
        ("k8s=", "bad-value", "^--set k8s=: the value is empty"),
    ],
)
def test_set_refuses_what_it_does_not_know(text: str, reason: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        value("jobs", flags={"set": [text]})
    assert caught.value.reason == reason


def test_what_the_command_line_sets_is_known_by_how() -> None:
    flags = {"toy.colour": "blue", "jobs": 0, "fast": False, "set": ["toy.words=z"]}
    how = {"toy.colour": "--colour", "jobs": "--jobs", "set": "--set", "toy.words": "--set toy.words"}
    assert given(DECLARED, flags) == how


def test_an_option_of_a_plugin_that_is_left_out_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the option gone\.speed is of the plugin gone, which is left out") as caught:
        value("jobs", flags={"gone.speed": "high"})
    assert caught.value.reason == "option-unused"
    assert value("jobs", flags={"gone.speed": "", "gone.fast": False}) == 0


@pytest.mark.parametrize(
    ("kind", "raw", "read"),
    [
        ("bool", "Yes", True),
        ("bool", "off", False),
        ("bool", "", False),
        ("bool", True, True),
        ("int", " 4 ", 4),
        ("int", 4, 4),
        ("list", " a, b,,", ("a", "b")),
        ("list", ["a", " b"], ("a", "b")),
        ("str", 7, "7"),
        ("path", "x/y", "x/y"),
    ],
)
def test_values_are_read_by_type(kind: Any, raw: Any, read: Value) -> None:
    assert parse(Declared(plugin="toy", option=Option(name="o", help="h", type=kind)), raw, "here") == read


@pytest.mark.parametrize(
    ("kind", "raw"),
    [("bool", "maybe"), ("int", "-1"), ("int", True), ("int", "١"), ("path", "a\0b"), ("str", True), ("str", 1.5)],
)
def test_values_of_another_type_are_refused(kind: Any, raw: Any) -> None:
    with pytest.raises(UsageError, match=r"here: .* is not a value of type") as caught:
        parse(Declared(plugin="toy", option=Option(name="o", help="h", type=kind)), raw, "here")
    assert caught.value.hint == "toy.o: h"


def test_a_choice_is_suggested() -> None:
    with pytest.raises(UsageError, match="--colour: 'bleu' is not one of red, blue, green; did you mean 'blue'"):
        value("toy.colour", flags={"toy.colour": "bleu"})


def test_an_unknown_key_of_a_file_is_suggested() -> None:
    with pytest.raises(ConfigError, match=r"k8sbuild.toml: unknown key 'toy.colours'; did you mean 'toy.colour'"):
        value("jobs", files=[("k8sbuild.toml", {"plugins": {"toy": {"colours": 1}}})])


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (Option(name="jobs", help="", flag="--jobs"), "jobs"),
        (Option(name="other", help="", env=("K8S_VERSION",)), "K8S_VERSION"),
        (Option(name="other", help="", flag="--k8s"), "k8s"),
    ],
)
def test_a_clash_names_both_owners(other: Option, name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is declared twice, by k8sbuild and toy"):
        declare([("toy", other)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": ""}, "the name '' is not"),
        ({"name": "Two Words"}, "the name 'Two Words' is not"),
        ({"name": "a", "flag": "no dashes"}, "the flag 'no dashes' is not -- and"),
        ({"name": "a", "flag": "--"}, "the flag '--' is not"),
        ({"name": "a", "flag": "--format"}, "every command has a flag --format"),
    ],
)
def test_names_that_no_command_line_could_give_are_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=f"plugin toy: Option .*{said}") as caught:
        declare([("toy", Option(help="", **given))])
    assert caught.value.reason == "bad-contribution"


def test_names_of_an_option() -> None:
    item = DECLARED["toy.colour"]
    assert (item.key, item.flag, item.variable) == ("toy.colour", "colour", "K8SBUILD_TOY_COLOUR")
    assert DECLARED["toy.words"].flag == ""
    assert {option.name for option in CORE} <= set(DECLARED)
