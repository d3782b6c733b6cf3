"""The faulty server does each thing that its script says, seen through a real client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from k8sbuild import oci
from k8sbuild.testing import registry
from k8sbuild.testing.server import Fault, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.bin").write_bytes(DATA)
    return tmp_path / "files"


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30, trust_env=False) as http:
        yield http


def test_serves_and_records(folder: Path, client: httpx.Client) -> None:
    with serve(folder) as server:
        assert client.get(server.url("a.bin")).content == DATA
        assert client.head(server.url("a.bin")).headers["content-length"] == str(len(DATA))
        assert client.get(server.url("none")).status_code == 404
        assert client.get(server.url("%2e%2e/secret")).status_code == 404
    assert [(r.method, r.status) for r in server.requests] == [("GET", 200), ("HEAD", 200), ("GET", 404), ("GET", 404)]
    assert server.requests[0].headers["host"] in server.address


def test_manifests_are_answered_as_registries_do(folder: Path, client: httpx.Client) -> None:
    registry.push(folder, "group/base", "v1", registry.image({"a": b"a"}))
    (folder / "v2/group/base/manifests/odd").write_text("no json")
    with serve(folder) as server:
        assert client.get(server.url("v2/")).json() == {}
        said = {name: client.get(server.url(f"v2/group/base/manifests/{name}")).headers for name in ("v1", "odd")}
        assert [found["content-type"] for found in said.values()] == [oci.MANIFEST, "application/json"]
        assert client.get(server.url("v2/group")).status_code == 404


def test_errors_come_as_often_as_the_script_says(folder: Path, client: httpx.Client) -> None:
    with serve(folder, {"/a.bin": [Fault.error(500), Fault.error(503), Fault.none()]}) as server:
        assert [client.get(server.url("a.bin")).status_code for _ in range(4)] == [500, 503, 200, 200]


def test_ranges(folder: Path, client: httpx.Client) -> None:
    with serve(folder) as server:
        url = server.url("a.bin")
        part = client.get(url, headers={"Range": "bytes=10-19"})
        rest = client.get(url, headers={"Range": "bytes=10000-"})
        beyond = client.get(url, headers={"Range": f"bytes={len(DATA)}-"})
    assert (part.status_code, part.content) == (206, DATA[10:20])
    assert rest.headers["content-range"] == f"bytes 10000-{len(DATA) - 1}/{len(DATA)}"
    assert rest.content == DATA[10000:]
    assert beyond.status_code == 416


def resumed(folder: Path, client: httpx.Client, *then: Fault) -> tuple[int, bytes]:
    """Return what comes of going on at byte 100 with the etag of a first answer."""
    with serve(folder, {"/a.bin": [Fault.none(), *then]}) as server:
        etag = client.get(server.url("a.bin")).headers["etag"]
        answer = client.get(server.url("a.bin"), headers={"Range": "bytes=100-", "If-Range": etag})
    return answer.status_code, answer.content


@pytest.mark.parametrize("fault", [Fault.no_ranges(), Fault.new_etag()])
def test_resume_is_answered_with_the_whole_file(folder: Path, client: httpx.Client, fault: Fault) -> None:
    assert resumed(folder, client, fault) == (200, DATA)


def test_resume_of_an_unchanged_file(folder: Path, client: httpx.Client) -> None:
    assert resumed(folder, client) == (206, DATA[100:])


def test_truncated(folder: Path, client: httpx.Client) -> None:
    with serve(folder, {"/a.bin": [Fault.truncate(100)]}) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(server.url("a.bin"))
        assert client.get(server.url("a.bin")).content == DATA


def test_stalled(folder: Path, client: httpx.Client) -> None:
    got: list[bytes] = []
    limit = httpx.Timeout(30, read=1)
    with (
        serve(folder, {"/a.bin": [Fault.stall(100)]}) as server,
        client.stream("GET", server.url("a.bin"), timeout=limit) as answer,
    ):
        with pytest.raises(httpx.ReadTimeout):
            got.extend(answer.iter_raw(100))
        assert int(answer.headers["content-length"]) == len(DATA)
    assert b"".join(got) == DATA[:100]


def test_corrupt(folder: Path, client: httpx.Client) -> None:
    with serve(folder, {"/a.bin": [Fault.corrupt()]}) as server:
        content = client.get(server.url("a.bin")).content
    assert len(content) == len(DATA)
    assert sum(a != b for a, b in zip(content, DATA, strict=True)) == 1
