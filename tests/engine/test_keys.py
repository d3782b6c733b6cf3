"""What makes two steps one: results are shared where everything that decides them is equal, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild import api
from k8sbuild.engine.address import parse
from k8sbuild.errors import CodegenError, ValidateError
from k8sbuild.kinds import Check, Step, SystemdUnit, Target, Template
from k8sbuild.project import prepare
from k8sbuild.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from toys import Make, RequestFor


def target(**artifacts: str) -> list[Target]:
    return [Target(name="toy", help="", artifacts=artifacts)]


ONE = Step(name="one", stage="compile", run="engine_steps:write", params={"one": "1"}, outputs=("one",))


def test_two_functions_with_equal_inputs_both_run(plugin: Make, request_for: RequestFor) -> None:
    checks = [
        Check(name=name, run=f"engine_steps:{run}", inputs=("compile:toy/one/one",), params={"bad": True})
        for name, run in (("a", "nothing"), ("b", "check"))
    ]
    with pytest.raises(ValidateError, match="it is bad"):
        api.build(request_for(plugin(targets=target(one="compile:toy/one/one"), compile=[ONE], validate=checks)))


def test_a_unit_is_checked_where_a_template_gave_the_same_bytes(
    plugin: Make, request_for: RequestFor, tmp_path: Path
) -> None:
    hooks: dict[str, Any] = {"targets": target(t="codegen:toy/t/f", u="codegen:toy/u/f"), "compile": []}
    toy = plugin(**hooks, codegen=[Template(name="t", path="f", file="f"), SystemdUnit(name="u", path="f", file="f")])
    (tmp_path / "toy/f").write_text("no unit\n")
    with pytest.raises(CodegenError, match="f:1: not a unit file's line"):
        api.build(request_for(toy))


def test_what_a_step_promises_is_part_of_its_key(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    def key(*outputs: str) -> str:
        step = Step(name="one", stage="compile", run="engine_steps:write", params={"one": "1"}, outputs=outputs)
        toy = plugin(targets=target(one="compile:toy/one/one"), compile=[step])
        return api.plan(request_for(toy)).rows[0].key

    assert key() != key("one")


def test_steps_whose_addresses_look_alike_do_not_meet(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    """``x/y-z`` and ``x-y/z`` run at the same time, each in a folder of its own with a log of its own."""

    def meet(name: str, mine: str, other: str) -> Step:
        params = {"folder": str(tmp_path), "mine": mine, "other": other}
        return Step(name=name, stage="compile", run="engine_steps:meet", params=params, outputs=(mine,))

    addresses = {"a": "compile:x/y-z/a", "b": "compile:x-y/z/b"}
    first = plugin("x", targets=target(**addresses), compile=[meet("y-z", "a", "b")])
    request = request_for(first, plugin("x-y", compile=[meet("z", "b", "a")]))
    report = api.build(request)
    store = Store(tmp_path / "cache/store")
    trees = {o.step: list(store.load(o.result.tree).entries) for o in report.outcomes if o.result}
    assert trees == {parse(address).step: [name] for name, address in addresses.items()}
    logs = request.root / ".k8sbuild/logs"
    assert {p.relative_to(logs).as_posix().partition("/")[2] for p in logs.rglob("*.log")} == {
        "compile/x/y-z.log", "compile/x-y/z.log"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["..", "."])
def test_a_step_has_a_folder_of_its_own(plugin: Make, request_for: RequestFor, tmp_path: Path, name: str) -> None:
    step = Step(name=name, stage="compile", run="engine_steps:nothing")
    toy = plugin(targets=target(one="compile:toy/one/one"), compile=[ONE, step])
    with pytest.raises(Exception, match="must have a name without"):
        prepare(request_for(toy), log=tmp_path / "log")
