"""The programs of live checks: a small one stands for the server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from k8sbuild_single_binary_checks import servers

from k8sbuild.errors import ValidateError
from k8sbuild.testing import steps

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

PROGRAM = """#!{python} -IS
import os, signal, socket, sys
def end(*_):
    os._exit({code})
signal.signal(signal.SIGTERM, {handler})
print(sys.argv[1:], flush=True)
if {ready}:
    address = os.environ["NOTIFY_SOCKET"].replace("@", "\\0")
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1\\n", address)
    signal.pause()
sys.exit(7)
"""


@pytest.fixture
def ctx(tmp_path: Path) -> StepContext:
    return steps.context(tmp_path, {})


def program(folder: Path, **values: Any) -> Path:
    path = folder / "program"
    path.write_text(PROGRAM.format(**{"python": sys.executable, "code": 0, "handler": "end", "ready": True, **values}))
    path.chmod(0o755)
    return path


def test_a_server_is_ready_and_stops_in_order(ctx: StepContext, tmp_path: Path) -> None:
    with servers.start(ctx, program(tmp_path), tmp_path / "data", "--server-mode=ha") as server:
        assert server.process.poll() is None
        assert server.rss() > 0
        assert 0 < server.stop() < servers.STOP
    log = ctx.log_file.read_text()
    assert f"'--data-dir={tmp_path}/data'" in log
    assert "'--server-mode=ha'" in log


def test_a_killed_server_is_gone(ctx: StepContext, tmp_path: Path) -> None:
    with servers.start(ctx, program(tmp_path), tmp_path / "data") as server:
        server.kill()
        assert server.process.returncode == -9


def test_one_that_ends_before_it_is_ready(ctx: StepContext, tmp_path: Path) -> None:
    ended = pytest.raises(ValidateError, match="ended with exit code 7")
    with ended as caught, servers.start(ctx, program(tmp_path, ready=False), tmp_path / "data"):
        pytest.fail("it was never ready")
    assert caught.value.reason == "boot-failed"


@pytest.mark.parametrize(
    ("values", "said"),
    [({"code": 3}, "exit code 3 after SIGTERM"), ({"handler": "signal.SIG_IGN"}, "still running")],
)
def test_one_that_does_not_stop_in_order(
    ctx: StepContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(servers, "STOP", 0.3)
    with (
        servers.start(ctx, program(tmp_path, **values), tmp_path / "data") as server,
        pytest.raises(ValidateError, match=said),
    ):
        server.stop()
