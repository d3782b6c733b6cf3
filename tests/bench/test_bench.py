"""The pure parts of the benchmarks; the measurements themselves are `nox -s bench`."""

from __future__ import annotations

import doctest
import json
import os
import pkgutil
import re
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from k8sbuild_single_binary_checks.servers import free_ports

import bench
from bench import page, plain, separate, stats, timing
from bench.line import Outcome
from bench.lines import LINES, edit, same_bytes
from bench.servers import CommandError, memory_of, running, wait_for
from k8sbuild.patching.parse import parse

ROOT = Path(__file__).parents[2]
MODULES = [module.name for module in pkgutil.walk_packages(bench.__path__, "bench.") if "__main__" not in module.name]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS).failed == 0


def test_the_page_is_made_from_the_results() -> None:
    results = json.loads((ROOT / "docs/benchmarks.json").read_text("utf-8"))
    assert (ROOT / "docs/benchmarks.md").read_text("utf-8") == page.render(results, LINES)
    assert set(results["lines"]) <= {line.name for line in LINES}


def test_results_name_no_machine_and_no_path() -> None:
    text = (ROOT / "docs/benchmarks.json").read_text("utf-8")
    assert os.uname().nodename not in text
    assert not re.search(r"/(tmp|home|root|work)/", text)


def test_every_line_says_what_it_is() -> None:
    assert len({line.name for line in LINES}) == len(LINES)
    for line in LINES:
        assert line.how.endswith("."), line.name
        assert "|" not in line.what + line.target, line.name


def test_a_missed_target_is_shown() -> None:
    outcome = Outcome(measured="2.00", met=False, samples={"one, s": [1.23456]}, facts={"more": {"a": [1, 2]}})
    row = {"date": "2026-01-01", "load": 7.0, **outcome.to_dict()}
    results = {
        "lines": {LINES[0].name: row},
        "command": "nox -s bench",
        "machine": dict.fromkeys(("cores", "processor", "architecture", "memory_gib", "kernel", "load_at_start"), 1),
        "versions": dict.fromkeys(("k8sbuild", "commit", "python"), "1"),
    }
    text = page.render(results, LINES)
    assert "| 2.00 | **missed** |" in text
    assert "busy with other work" in text
    assert "| one, s | 1.235 |" in text
    assert "| more | a 1, 2 |" in text


#: Holds memory until that was noticed.
HOLDER = """
import sys, time
from pathlib import Path
x = bytearray(64 << 20)
print(len(x))
while not Path(sys.argv[1]).exists():
    time.sleep(0.01)
"""


def test_a_run_reports_what_it_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noticed, real = tmp_path / "noticed", timing.peak_mib

    def look(pid: int) -> float:
        peak = real(pid)
        # By then it would have been noticed.
        if peak > 64 or time.monotonic() > end:
            noticed.touch()
        return peak

    end = time.monotonic() + 30
    monkeypatch.setattr(timing, "peak_mib", look)
    argv = [sys.executable, "-c", HOLDER, noticed]
    done = timing.run(argv, cwd=tmp_path, env={}, log=tmp_path / "log")
    assert done.out == f"{64 << 20}\n"
    assert 0 < done.cpu < done.seconds + 10
    assert 64 < done.peak < 200


def test_a_childs_memory_is_not_the_process_own(tmp_path: Path) -> None:
    big = "x = bytearray(300 << 20); import time; time.sleep(0.05)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {big!r}], check=True)"
    done = timing.run([sys.executable, "-c", code], cwd=tmp_path, env={}, log=tmp_path / "log")
    assert done.peak < 200


def test_a_failed_command_is_an_error_with_its_words(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('no such luck')"]
    with pytest.raises(timing.CommandError, match="no such luck"):
        timing.run(argv, cwd=tmp_path, env={}, log=tmp_path / "log")


def test_every_second_round_goes_backwards() -> None:
    turns: list[str] = []
    found = timing.alternate(3, lambda n: turns.append(f"a{n}"), lambda n: turns.append(f"b{n}"))
    assert turns == ["a0", "b0", "b1", "a1", "a2", "b2"]
    assert [len(side) for side in found] == [3, 3]


def test_medians_do_not_follow_an_outlier() -> None:
    assert stats.ratio([1.0, 1.0, 50.0], [2.0, 2.0, 2.0]) == 0.5
    assert stats.spread([1.0, 1.0, 50.0]) == 49.0


def test_the_last_build_of_a_log_is_the_command() -> None:
    lines = ["$ go list -deps ./x", "a", "$ go build -p=1 -o a ./x", "exit 1"]
    lines.append("$ go build -p=2 -o 'a b' '-ldflags=-s -w' ./x")
    assert plain.command_of(lines) == ("go", "build", "-p=2", "-ldflags=-s -w", "./x")


def result(cache: Path, step: str, tree: str) -> Path:
    path = cache / "store" / "results" / tree[:2] / f"{tree}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"result": {"step": step, "tree": f"sha256:{tree}"}}))
    return path


def test_only_the_named_steps_are_forgotten(tmp_path: Path) -> None:
    kept, gone = result(tmp_path, "fetch:a/b", "aa"), result(tmp_path, "compile:a/b", "bb")
    plain.forget(tmp_path, "compile:")
    assert (kept.exists(), gone.exists()) == (True, False)


def test_the_edit_changes_one_line_of_patch_and_file(tmp_path: Path) -> None:
    patch = edit.patch_of("cmd/a/app", "begin")
    assert [file.new for file in parse("p", patch.encode()).files] == ["cmd/a/app/zz_benchmark.go"]
    file = tmp_path / "file"
    file.write_text(patch)
    edit.edit(file, "next")
    pairs = zip(patch.splitlines(), file.read_text().splitlines(), strict=True)
    changed = [(old, new) for old, new in pairs if old != new]
    assert changed == [('+var benchmark = "begin"', '+var benchmark = "next"')]


def test_digests_are_those_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text("feed  k8s\nfeed  k8s.tar\n")
    (tmp_path / "k8s").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert same_bytes.digests(tmp_path) == {"k8s": empty}


def test_both_sides_get_the_same_ports_and_files() -> None:
    cluster = separate.Cluster(
        ours=Path("k8s"), programs=Path("p"), files=Path("f"), api=1, manager=2, scheduler=3, etcd=4, peer=5
    )
    assert "--https-listen-port=1" in cluster.single(Path("d"))
    assert {"--secure-port=1", "--client-ca-file=f/tls/client-ca.crt"} <= set(cluster.apiserver())
    assert "--kubeconfig=f/cred/client-kube-scheduler.kubeconfig" in cluster.kube_scheduler()
    assert "--secure-port=2" in cluster.controller_manager()


def test_a_server_is_waited_for_weighed_and_killed(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "health").write_text("ok")
    argv = [sys.executable, "-m", "http.server", str(port), "--bind=127.0.0.1", f"--directory={tmp_path}"]
    with running(argv, tmp_path / "log") as server:
        wait_for(f"http://127.0.0.1:{port}/health")
        memory = memory_of([server])
    assert 5 < memory.rss < 200
    assert 0 < memory.pss <= memory.rss
    assert server.returncode is not None


def test_a_server_that_ended_is_an_error(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('broken')"]
    with pytest.raises(CommandError, match="broken"), running(argv, tmp_path / "log") as server:
        server.wait()


def test_an_unknown_line_is_refused_with_the_known_ones() -> None:
    argv = [sys.executable, "-m", "bench", "nonsense"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "there are: noop" in done.stderr


def test_peak_of_a_process_that_is_gone_is_nothing() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert timing.peak_mib(child.pid) == 0
