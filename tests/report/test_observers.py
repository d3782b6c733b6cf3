"""Live progress on a real pseudo-terminal, and lines elsewhere."""

from __future__ import annotations

import io
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from k8sbuild.engine.events import Event
from k8sbuild.report.live import progress
from k8sbuild.report.plain import Plain
from k8sbuild.report.stream import say
from k8sbuild.report.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = "compile:single-binary/k8s"


def of(kind: str, **data: object) -> Event:
    return Event(kind=kind, step=STEP, data=data)


RUN = [
    Event(kind="run-started", data={"target": "k8s", "k8s": "v1.31.4", "platform": "linux-amd64"}),
    Event(kind="plan", data={"steps": [{"state": "runs"}, {"state": "reused"}, {"state": "skipped"}]}),
    of("step-started", why="param:tags changed"),
    of("progress", what="packages", done=120, total=1874),
]


class Screen:
    """A pseudo-terminal whose output is kept."""

    def __init__(self) -> None:
        master, slave = os.openpty()
        self.stream = os.fdopen(slave, "w")
        self._seen = b""
        self._thread = threading.Thread(target=self._read, args=(master,))
        self._thread.start()

    def _read(self, master: int) -> None:
        while True:
            try:
                block = os.read(master, 4096)
            except OSError:
                break
            if not block:
                break
            self._seen += block
        os.close(master)

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + 30
        while text.encode() not in self._seen:
            assert time.monotonic() < end, f"{text!r} was never shown: {self._seen!r}"
            time.sleep(0.01)

    def text(self) -> str:
        self.stream.close()
        self._thread.join()
        return self._seen.decode()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("CI", raising=False)
    screen = Screen()
    yield screen
    screen.text()


def test_terminal_shows_rows_and_leaves_lines(screen: Screen) -> None:
    observer = progress(screen.stream)
    assert isinstance(observer, Terminal)
    with observer:
        for event in RUN:
            observer(event)
        screen.wait_for("120 of 1874 packages")
        observer(of("step-finished", seconds=42.0, why="param:tags changed"))
        observer(of("warning", message="the disk is nearly full"))
    text = screen.text()
    assert "k8s v1.31.4 linux-amd64" in text
    assert "0 of 3 steps" in text
    assert "✓" in text
    assert "42 s" in text
    assert "the disk is nearly full" in text


def test_terminal_marks_what_failed(screen: Screen) -> None:
    with progress(screen.stream) as observer:
        for event in [*RUN, of("step-failed")]:
            observer(event)
    assert "✗" in screen.text()


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_ci_and_dumb_terminals_get_lines(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert isinstance(progress(screen.stream), Plain)


def test_plain_lines_tell_a_run() -> None:
    stream, now = io.StringIO(), [100.0]
    with Plain(stream, every=20, clock=lambda: now[0]) as plain:
        for event in RUN:
            plain(event)
        now[0] += 21
        plain(of("progress", what="packages", done=900, total=1874))
        plain(of("progress", what="packages", done=901, total=1874))
        plain(of("step-finished", seconds=252.0))
        plain(of("step-reused"))
        plain(of("step-failed"))
        plain(of("warning", message="careful"))
    assert stream.getvalue().splitlines() == [
        "resolve  versions and build lists",
        "build    k8s v1.31.4 linux-amd64",
        "plan     3 steps: 1 reused, 1 to run or to look at",
        f"start    {STEP}: param:tags changed",
        f"...      {STEP}: 900 of 1874 packages",
        f"done     {STEP} (4 min 12 s)",
        f"FAILED   {STEP}",
        "warning  careful",
    ]


def test_saying_to_a_closed_pipe_is_quiet() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        say("nobody hears this", stream)
        say("nor this", stream)
