from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import FetchError
from k8sbuild.providers import _http
from k8sbuild.providers._http import Policy
from k8sbuild.testing.server import Fault, Server, serve

if TYPE_CHECKING:
    from pathlib import Path

BODY = bytes(range(256)) * 2000
HALF = len(BODY) // 2
CUT, AGAIN, STALL = Fault.truncate(HALF), Fault.truncate(HALF // 2), Fault.stall(HALF)
QUICK = Policy(attempts=3, stall=1, wait=0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return what the server gives: ``x``."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served/x").write_bytes(BODY)
    return tmp_path / "served"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "got").mkdir()
    return tmp_path / "got/x"


def get(server: Server, target: Path) -> str:
    return _http.download(server.url("x"), target, env={}, policy=QUICK)


@pytest.mark.parametrize(
    "faults",
    [[Fault.error(500), Fault.error(503)], [Fault.error(429)], [CUT], [STALL], [CUT, Fault.error(500)], [CUT, AGAIN]],
    ids=lambda faults: "-".join(fault.kind for fault in faults),
)
def test_faults_that_pass(faults: list[Fault], folder: Path, target: Path) -> None:
    with serve(folder, {"/x": faults}) as server:
        assert get(server, target) == sha256(BODY).hexdigest()
    assert target.read_bytes() == BODY
    assert len(server.requests) == len(faults) + 1
    assert [path.name for path in target.parent.iterdir()] == ["x"]


def test_a_cut_download_is_resumed(folder: Path, target: Path) -> None:
    with serve(folder, {"/x": [CUT]}) as server:
        get(server, target)
    first, second = server.requests
    assert (first.status, second.status) == (200, 206)
    assert second.headers["range"] == f"bytes={HALF}-"
    assert second.headers["if-range"]


def test_a_server_without_ranges_is_asked_for_all(folder: Path, target: Path) -> None:
    with serve(folder, {"/x": [CUT, Fault.no_ranges()]}) as server:
        assert get(server, target) == sha256(BODY).hexdigest()
    assert [request.status for request in server.requests] == [200, 200]


def test_a_later_run_resumes_and_takes_new_content_whole(folder: Path, target: Path) -> None:
    with serve(folder, {"/x": [CUT, Fault.error(500), Fault.error(500)]}) as server:
        with pytest.raises(FetchError) as caught:
            get(server, target)
        assert caught.value.reason == "network-error"
        assert not target.exists()
        assert target.with_name("x.part").exists()
        (folder / "x").write_bytes(BODY[::-1])
        assert get(server, target) == sha256(BODY[::-1]).hexdigest()
    assert "range" in server.requests[-1].headers


@pytest.mark.parametrize(("status", "reason"), [(404, "not-found"), (403, "http-error")])
def test_client_errors_are_not_retried(status: int, reason: str, folder: Path, target: Path) -> None:
    with serve(folder, {"/x": [Fault.error(status)]}) as server, pytest.raises(FetchError) as caught:
        get(server, target)
    assert caught.value.reason == reason
    assert len(server.requests) == 1


def test_no_server(target: Path) -> None:
    with pytest.raises(FetchError) as caught:
        _http.download("http://127.0.0.1:1/x", target, env={}, policy=QUICK)
    assert caught.value.reason == "network-error"


def test_retries_print_nothing(target: Path) -> None:
    text = """
from pathlib import Path
from k8sbuild.errors import FetchError
from k8sbuild.providers._http import Policy, download
try:
    download("http://127.0.0.1:1/x", Path("x"), env={}, policy=Policy(attempts=2, wait=0.01))
except FetchError as error:
    print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", text], cwd=target.parent, capture_output=True, text=True, check=True)
    assert "(2 tries)" in done.stdout
    assert done.stderr == ""


def test_the_users_proxy_counts(folder: Path, target: Path) -> None:
    with serve(folder) as server:
        _http.download("http://example.invalid/x", target, env={"HTTP_PROXY": server.address}, policy=QUICK)
        assert server.requests[0].headers["host"] == "example.invalid"
        env = {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
        second = target.with_name("y")
        assert _http.download(server.url("x"), second, env=env, policy=QUICK) == sha256(BODY).hexdigest()


def test_exists(folder: Path) -> None:
    with serve(folder, {"/x": [Fault.error(404), Fault.error(500)]}) as server:
        assert not _http.exists(server.url("x"), {}, QUICK)
        assert _http.exists(server.url("x"), {}, QUICK)
