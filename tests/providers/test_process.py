from __future__ import annotations

import os
import signal
import threading
import time
from contextvars import copy_context
from pathlib import Path

import pytest

from k8sbuild.engine.process import Processes, current
from k8sbuild.errors import Interrupted
from k8sbuild.providers.process import run

ENV = {"PATH": os.environ["PATH"]}


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    done = run(["sh", "-c", "echo out; echo why >&2; exit 3"], cwd=tmp_path, env=ENV, log=tmp_path / "new" / "log")
    assert (done.code, done.out, done.err) == (3, b"out\n", "why\n")
    assert (tmp_path / "new" / "log").read_text().endswith("why\nexit 3\n")


@pytest.mark.parametrize("trap", ["", "trap '' TERM;"], ids=["ends", "ignores-term"])
def test_an_interrupt_ends_the_whole_group(trap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k8sbuild.engine.process._GRACE", 0.3)
    pid = tmp_path / "pid"

    def interrupt() -> None:
        # The command is known as ours a moment after it runs.
        while not (pid.exists() and pid.read_text().endswith("\n") and current.get().groups()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", f"{trap} sleep 60 & echo $! > {pid}; wait; wait"], cwd=tmp_path, env=ENV, log=tmp_path / "log")
    thread.join()
    end = time.monotonic() + 5
    while _alive(int(pid.read_text())) and time.monotonic() < end:
        time.sleep(0.01)
    assert not _alive(int(pid.read_text()))


def test_commands_of_a_fetch_end_with_its_run(tmp_path: Path) -> None:
    processes = Processes()

    def stop() -> None:
        while not processes.groups():
            time.sleep(0.01)
        processes.stop()

    def fetch() -> None:
        current.set(processes)
        with pytest.raises(Interrupted):
            run(["sleep", "60"], cwd=tmp_path, env=ENV, log=tmp_path / "log")

    thread = threading.Thread(target=stop)
    thread.start()
    copy_context().run(fetch)
    thread.join()


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
