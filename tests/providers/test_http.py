from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import FetchError
from k8sbuild.providers import _http
from k8sbuild.providers._http import Policy

if TYPE_CHECKING:
    from pathlib import Path

    from .server import Script

BODY = bytes(range(256)) * 2000
QUICK = Policy(attempts=3, stall=0.3, wait=0.01)


def get(server: Script, target: Path) -> str:
    server.body = server.body or BODY
    return _http.download(server.url + "/x", target, env={}, policy=QUICK)


@pytest.mark.parametrize("faults", [["500", "503"], ["429"], ["cut"], ["stall"], ["cut", "500"], ["cut", "cut"]])
def test_faults_that_pass(faults: list[str], server: Script, tmp_path: Path) -> None:
    server.faults = list(faults)
    assert get(server, tmp_path / "x") == sha256(BODY).hexdigest()
    assert (tmp_path / "x").read_bytes() == BODY
    assert len(server.seen) == len(faults) + 1
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_cut_download_is_resumed(server: Script, tmp_path: Path) -> None:
    server.faults = ["cut"]
    get(server, tmp_path / "x")
    assert server.seen[1]["Range"] == f"bytes={len(BODY) // 2}-"
    assert server.seen[1]["If-Range"] == '"one"'


def test_a_later_run_resumes_and_takes_new_content_whole(server: Script, tmp_path: Path) -> None:
    server.faults = ["cut", "500", "500"]
    with pytest.raises(FetchError) as caught:
        get(server, tmp_path / "x")
    assert caught.value.reason == "network-error"
    assert not (tmp_path / "x").exists()
    assert (tmp_path / "x.part").exists()
    server.body, server.etag = BODY[::-1], '"two"'
    assert get(server, tmp_path / "x") == sha256(BODY[::-1]).hexdigest()
    assert "Range" in server.seen[-1]


@pytest.mark.parametrize(("status", "reason"), [("404", "not-found"), ("403", "http-error")])
def test_client_errors_are_not_retried(status: str, reason: str, server: Script, tmp_path: Path) -> None:
    server.faults = [status]
    with pytest.raises(FetchError) as caught:
        get(server, tmp_path / "x")
    assert caught.value.reason == reason
    assert len(server.seen) == 1


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        _http.download("http://127.0.0.1:1/x", tmp_path / "x", env={}, policy=QUICK)
    assert caught.value.reason == "network-error"


def test_the_users_proxy_counts(server: Script, tmp_path: Path) -> None:
    server.body = BODY
    _http.download("http://example.invalid/x", tmp_path / "x", env={"HTTP_PROXY": server.url}, policy=QUICK)
    assert server.seen[0]["path"] == "http://example.invalid/x"
    env = {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
    assert _http.download(server.url + "/y", tmp_path / "y", env=env, policy=QUICK) == sha256(BODY).hexdigest()


def test_exists(server: Script) -> None:
    server.faults = ["404", "500"]
    assert not _http.exists(server.url + "/x", {}, QUICK)
    assert _http.exists(server.url + "/x", {}, QUICK)
