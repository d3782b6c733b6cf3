"""Runs that fail: what is said, what is kept, what is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from toys import ALL, chain, failure, last_log, states, step, target

from k8sbuild import api
from k8sbuild.engine import events
from k8sbuild.errors import CompileError, PlanError, PluginError, StoreError, ToolError
from k8sbuild.kinds import Step

if TYPE_CHECKING:
    from toys import Make, RequestFor


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        ({"outputs": ("none",)}, "missing-output", "did not make its output 'none'"),
        (
            {"inputs": ("compile:toy/one/none",), "params": {"reads": ["compile:toy/one/none"]}},
            "missing-output",
            "none",
        ),
    ],
)
def test_missing_files_are_named(
    plugin: Make, request_for: RequestFor, fields: dict[str, Any], reason: str, said: str
) -> None:
    hooks = chain()
    given = {"inputs": ("compile:toy/one/one",), "params": {"reads": ["compile:toy/one/one"]}, **fields}
    hooks["compile"][1] = step("all", "join", **given)
    error = failure(request_for(plugin(**hooks)), PlanError)
    assert (error.reason, error.step) == (reason, ALL)
    assert said in error.message


def test_a_step_that_raises_is_named_with_its_place(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**target(step("all", "crash"))))
    error = failure(request, PluginError)
    assert (error.reason, error.step) == ("step-raised", ALL)
    assert "engine_steps:crash raised ValueError: oops" in error.message
    assert "engine_steps.py:" in error.details["place"]
    kinds = [record["event"] for record in last_log(request)]
    assert kinds[-2:] == ["step-failed", "run-failed"]


def test_a_command_that_fails_shows_its_end_and_its_log(plugin: Make, request_for: RequestFor) -> None:
    error = failure(request_for(plugin(**target(step("all", "fail")))))
    assert (error.reason, error.step) == ("command-failed", ALL)
    assert error.message.endswith("exit code 3\nbefore\nwhy")
    assert Path(error.log).read_text().endswith("before\nwhy\nexit 3\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["no-such-program", "x"], "no-such-program cannot be started: No such file"),
        (["/"], "/ cannot be started: Permission denied"),
        ([], "no command: it is empty"),
        (["echo", "a\0b"], "or has a NUL"),
    ],
)
@pytest.mark.parametrize("run", ["command", "serve"])
def test_a_command_that_cannot_be_started(
    plugin: Make, request_for: RequestFor, argv: list[str], said: str, run: str
) -> None:
    error = failure(request_for(plugin(**target(step("all", run, params={"argv": argv})))), ToolError)
    assert (error.reason, error.step, said in error.message) == ("command-not-started", ALL, True)
    assert "python" not in error.hint


@pytest.mark.parametrize("writer", ["exec head", "trap '' XFSZ; head"])
def test_a_limit_of_file_sizes_is_as_a_full_disk(plugin: Make, request_for: RequestFor, writer: str) -> None:
    argv = ["bash", "-c", f"ulimit -f 8; {writer} -c 99999 /dev/zero > big"]
    error = failure(request_for(plugin(**target(step("all", "command", params={"argv": argv})))), StoreError)
    assert (error.reason, "ulimit -f" in error.hint) == ("disk-full", True)


@pytest.mark.parametrize(("run", "said"), [("engine_steps:none", "none"), ("no_such_module:run", "no_such_module")])
def test_a_run_function_that_is_not_there(plugin: Make, request_for: RequestFor, run: str, said: str) -> None:
    error = failure(request_for(plugin(**target(Step(name="all", stage="compile", run=run)))), PlanError)
    assert (error.reason, said in error.message) == ("bad-run-function", True)


def test_what_is_finished_is_kept(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    first = step("one", "initial", params={"text": "a"})
    second = step("all", "stumble", inputs=("compile:toy/one",), params={"until": str(tmp_path / "now")})
    request = request_for(plugin(**target(first, second, artifact=f"{ALL}/all")))
    assert failure(request, CompileError).step == ALL
    (tmp_path / "now").touch()
    assert states(api.build(request, until="compile")) == {"one": "reused", "all": "ran"}


def test_no_step_starts_after_a_failure(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    began = tmp_path / "began"
    steps = [step("a", "crash"), *(step(f"b{n}", "slow", params={"began": str(began)}) for n in range(6))]
    ends = tuple(f"compile:toy/{s.name}" for s in steps)
    request = request_for(plugin(**target(*steps, step("all", "nothing", inputs=ends), artifact=f"{ALL}/all")), jobs=1)
    assert failure(request).step == "compile:toy/a"
    assert not began.exists()


def test_a_failed_run_says_what_failed_and_what_was_stopped(
    plugin: Make, request_for: RequestFor, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    steps = [step("early", "initial", params={"text": "a"}), step("held", "sleep", params={"pid": str(began)})]
    steps += [step("bad", "fail_after", params={"other": str(began)})]
    ends = tuple(f"compile:toy/{s.name}" for s in steps)
    last = step("all", "nothing", inputs=ends)
    request = request_for(plugin(**target(*steps, last)), jobs=3)
    error = failure(request)
    assert (error.reason, error.step) == ("command-failed", "compile:toy/bad")
    report = api.explain(request)
    rows = {row.step.rpartition("/")[2]: row for row in report.steps}
    assert {name: row.state for name, row in rows.items()} == {
        "early": "finished", "held": "stopped", "bad": "failed", "all": "not-started"
    }  # fmt: skip
    assert rows["held"].why == "compile:toy/bad failed"
    assert (report.state, report.error["reason"]) == ("failed", "command-failed")
    assert rows["bad"].error["log"] == error.log
    assert {"kind", "param:other"} <= rows["bad"].after.keys()
    plan = {row.step.rpartition("/")[2]: row.why for row in api.plan(request).rows}
    assert (plan["early"], plan["held"], plan["bad"]) == ("", "stopped last time", "failed last time")


DRIVER = """\
import sys, types
from pathlib import Path
sys.path.insert(0, {site!r})
from k8sbuild import api, hookimpl
from k8sbuild.kinds import PluginInfo, Step, Target
toy = types.ModuleType("toy")
toy.__file__ = {pid!r}
step = Step(name="all", stage="compile", run="engine_steps:sleep", params={{"pid": {pid!r}}})
hooks = {{"plugin": PluginInfo(name="toy"), "compile": [step],
          "targets": [Target(name="toy", help="", artifacts={{"toy": "compile:toy/all/all"}})]}}
for name, given in hooks.items():
    setattr(toy, "k8sbuild_" + name, hookimpl(lambda given=given: given))
flags = {{"plugin": ["toy"], "target": "toy", "k8s": "v1.31.4"}}
api.build(api.Request(flags=flags, env={{"K8SBUILD_CACHE_DIR": {cache!r}}}, root=Path({root!r}), extra=(("toy", toy),)))
"""


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_commands_end_with_the_run(tmp_path: Path, by: int) -> None:
    pid = tmp_path / "pid"
    site = str(Path(__file__).parent / "site")
    text = DRIVER.format(site=site, pid=str(pid), cache=str(tmp_path / "cache"), root=str(tmp_path))
    run = subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL, env=dict(os.environ))
    end = time.monotonic() + 20
    while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.02)
    command = int(pid.read_text())
    assert not _gone(command)
    run.send_signal(by)
    assert run.wait(20) != 0
    end = time.monotonic() + 5
    while not _gone(command) and time.monotonic() < end:
        time.sleep(0.02)
    assert _gone(command)
    last = list(events.read(events.runs(tmp_path / ".k8sbuild/runs")[-1]))[-1]["event"]
    assert last == ("step-started" if by == signal.SIGKILL else "run-failed")
