"""Keys, differences, the pool, events and commands."""

from __future__ import annotations

import importlib
import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.engine import code, events, keys, local, pool
from k8sbuild.engine.plan import difference
from k8sbuild.engine.pool import Pool, available_memory
from k8sbuild.engine.process import Processes
from k8sbuild.errors import BuildError, Interrupted, PlanError
from k8sbuild.testing.files import write

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Thing:
    name: str
    size: int = 3
    labels: Mapping[str, str] = field(default_factory=dict)


def test_data_of_kinds_leaves_defaults_out() -> None:
    assert keys.as_data(Thing("a")) == {"name": "a"}
    assert keys.as_data(Thing("a", 4, {"z": "1", "b": "2"})) == {"name": "a", "size": 4, "labels": {"b": "2", "z": "1"}}
    assert keys.as_data((Thing("a"), {"x": [Thing]})) == [{"name": "a"}, {"x": [Thing]}]


def test_keys_depend_on_content_not_on_order() -> None:
    assert keys.key_of({"a": "1", "b": "2"}) == keys.key_of({"b": "2", "a": "1"}) != keys.key_of({"a": "1", "b": "3"})
    assert keys.literal([1, "é"]) == '[1,"é"]'
    assert keys.literal("x" * 300).startswith("sha256:")


NONE = BuildError("there is none", reason="missing")


def test_files_of_a_folder(tmp_path: Path) -> None:
    names = ("b/x", "a", ".hidden", "b/__pycache__/x.pyc", ".git/config", "a~", "b/y.swp")
    write(tmp_path, {name: name for name in names})
    before = local.components("n", local.folder(tmp_path, NONE))
    assert list(before) == ["file:n/a", "file:n/b/x"]
    (tmp_path / "a").chmod(0o755)
    after = local.components("n", local.folder(tmp_path, NONE))
    assert {name for name in after if after[name] != before[name]} == {"file:n/a"}
    assert local.components("n", local.file(tmp_path / "b/x", NONE)) == {"file:n/x": keys.digest(b"b/x")}
    for read in (local.folder, local.file):
        with pytest.raises(BuildError, match="there is none"):
            read(tmp_path / "none", NONE)


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "0001-x.patch")
    with pytest.raises(PlanError, match=r"0001-x\.patch is no regular file") as caught:
        local.folder(tmp_path, NONE)
    assert caught.value.reason == "not-a-file"


def test_links_to_folders_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "lib/real").mkdir(parents=True)
    (tmp_path / "lib/real/x").write_text("x")
    (tmp_path / "lib/link").symlink_to("real")
    with pytest.raises(PlanError, match="lib: link: a link to a folder") as caught:
        local.folder(tmp_path / "lib", NONE)
    assert caught.value.reason == "linked-folder"
    assert list(local.code(tmp_path / "lib")) == ["real/x"], "a plugin reaches its patches by such a link"
    (tmp_path / "all").symlink_to("lib/real")
    assert list(local.folder(tmp_path / "all", NONE)) == ["x"], "the folder itself may be one"
    (tmp_path / "lib/real/gone").symlink_to("nowhere")
    with pytest.raises(BuildError, match=r"cannot read .*/gone"):
        local.folder(tmp_path / "lib/real", NONE)


@pytest.mark.parametrize("layout", ["keys_module.py", "keys_package/__init__.py", "keys_namespace/part.py"])
def test_code_that_changes_changes_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / layout
    file.parent.mkdir(exist_ok=True)
    file.write_text("x = 1\n")
    importlib.invalidate_caches()
    run = layout.partition("/")[0].removesuffix(".py") + ".part:run"
    before = code.read_digest(run)
    assert code.read_digest(run) == before
    file.write_text("x = 2\n")
    assert code.read_digest(run) != before


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({}, {"a": "1"}, "never ran here"),
        ({"a": "1"}, {"a": "1"}, "its result is not in the store"),
        ({"a": "1", "b": "1"}, {"a": "2", "c": "1"}, "a changed, c is new, b is gone"),
        (
            dict.fromkeys("abcdef", "1"),
            dict.fromkeys("abcdef", "2"),
            "a changed, b changed, c changed, d changed and 2 more",
        ),
    ],
)
def test_differences_have_names(old: dict[str, str], new: dict[str, str], said: str) -> None:
    assert difference(old, new) == said


def test_the_pool_gives_no_more_than_there_is() -> None:
    shared = Pool(3, 100)
    with shared.take(0, 5000) as cores:
        assert cores == 3
    taken: list[int] = []
    most: list[int] = []

    def work() -> None:
        with shared.take(2, 60) as cores:
            taken.append(cores)
            most.append(len(taken))
            time.sleep(0.01)
            taken.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6
    with pytest.raises(ValueError, match="x"), shared.take(3, 100):
        raise ValueError("x")
    with shared.take(3, 100) as cores:
        assert cores == 3, "what a failed step took came back"


def test_memory_is_what_the_control_group_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 4194304 kB\n", "/sys/fs/cgroup/memory.max": "max"}

    def read(path: Path, **_: Any) -> str:
        if str(path) not in files:
            raise FileNotFoundError(path)
        return files[str(path)]

    monkeypatch.setattr(pool.Path, "read_text", read)
    assert available_memory() == 4096
    files["/sys/fs/cgroup/memory.max"] = str(1 << 30)
    assert available_memory() == 1024
    files["/sys/fs/cgroup/memory.max"] = "4096"
    assert available_memory() == 256
    files["/proc/meminfo"] = ""
    files["/sys/fs/cgroup/memory.max"] = "max"
    assert available_memory() == 1024


def test_the_run_log_keeps_what_happened(tmp_path: Path) -> None:
    seen: list[str] = []

    def blind(event: events.Event) -> None:
        raise ValueError("blind")

    log = events.RunLog(tmp_path / "runs" / "a.jsonl", (("blind", blind), ("eyes", lambda e: seen.append(e.kind))))
    log.emit("step-started", "compile:toy/x", path=Path("p"), why="")
    log.emit("progress", "compile:toy/x", done=1)
    log.close()
    with log.path.open("a") as file:
        file.write('{"half": ')
    records = list(events.read(log.path))
    assert [record["event"] for record in records] == ["step-started", "warning"]
    assert records[0] == {"time": records[0]["time"], "event": "step-started", "step": "compile:toy/x", "path": "p"}
    assert seen == ["warning", "step-started", "progress"]
    assert events.runs(tmp_path / "runs") == [log.path]


def test_run_ids_sort_by_time_and_differ() -> None:
    ids = []
    for _ in range(20):
        ids.append(events.new_run_id())
        time.sleep(0.00001)
    assert sorted(set(ids)) == ids


ENV = {"PATH": "/usr/bin:/bin", "X": "ö"}


def test_commands_have_their_own_environment_and_log(tmp_path: Path) -> None:
    processes = Processes()
    log = tmp_path / "logs" / "x.log"
    lines: list[str] = []
    argv = ["sh", "-c", 'echo "$X"; umask; env | wc -l; printf "\\377"; exit 4']
    code, output = processes.run(argv, cwd=tmp_path, env=ENV, log=log, on_line=lines.append)
    assert code == 4
    assert output.startswith("ö\n0022\n")
    assert lines == output.splitlines()
    text = log.read_text()
    assert text.startswith("$ sh -c ")
    assert text.endswith("exit 4\n")
    assert processes.groups() == []


def test_stop_ends_commands_even_those_that_do_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k8sbuild.engine.process._GRACE", 0.3)
    processes = Processes()
    ready = threading.Semaphore(0)
    ended: list[str] = []

    def run(script: str) -> None:
        def line(_: str) -> None:
            ready.release()

        with pytest.raises(Interrupted) as caught:
            processes.run(["sh", "-c", script], cwd=tmp_path, env=ENV, log=tmp_path / "log", on_line=line)
        ended.append(caught.value.reason)

    scripts = ["echo a; sleep 60", "trap '' TERM; echo b; while :; do sleep 0.1; done"]
    threads = [threading.Thread(target=run, args=(script,)) for script in scripts]
    for thread in threads:
        thread.start()
        assert ready.acquire(timeout=10)
    assert len(processes.groups()) == 2
    processes.stop()
    for thread in threads:
        thread.join(10)
    assert ended == ["interrupted"] * 2
    with pytest.raises(Interrupted):
        processes.run(["true"], cwd=tmp_path, env=ENV, log=tmp_path / "log")


def test_a_server_lives_as_long_as_its_block(tmp_path: Path) -> None:
    processes = Processes()
    with processes.running(["sh", "-c", "echo up; sleep 60"], cwd=tmp_path, env=ENV, log=tmp_path / "log") as child:
        assert child.poll() is None
        assert processes.groups() == [child.pid]
    assert child.returncode == -9
    assert processes.groups() == []
    assert (tmp_path / "log").read_text().startswith("$ sh -c")


def test_the_json_form_of_events() -> None:
    event = events.Event(kind="warning", time=1.23456, data={"message": "x"})
    assert json.loads(event.to_json()) == {"time": 1.235, "event": "warning", "message": "x"}
