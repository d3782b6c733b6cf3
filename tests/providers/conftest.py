from __future__ import annotations

import shutil
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from k8sbuild.golang.client import GoClient
from k8sbuild.providers.base import Context

from . import upstream as fake
from .server import Handler, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> fake.Upstream:
    return fake.make(tmp_path_factory.mktemp("upstream"))


@pytest.fixture(scope="session")
def go() -> Path:
    found = shutil.which("go")
    if not found:
        pytest.skip("no go on PATH: the go client cannot be tested")
    return Path(found)


@pytest.fixture
def client(tmp_path: Path, go: Path, upstream: fake.Upstream) -> GoClient:
    return GoClient(go=go, modcache=tmp_path / "cache" / "mod", env=upstream.env, log=tmp_path / "log")


@pytest.fixture
def context(tmp_path: Path, upstream: fake.Upstream, request: pytest.FixtureRequest) -> Callable[..., Context]:
    def make(locked: Mapping[str, str] | None = None, offline: bool = False, scratch: str = "scratch") -> Context:
        return Context(
            scratch=tmp_path / scratch,
            offline=offline,
            env=upstream.env,
            locked=locked or {},
            go=lambda: request.getfixturevalue("client"),
            log=tmp_path / "log",
        )

    return make


@pytest.fixture
def server() -> Iterator[Script]:
    script = Script()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"script": script}))
    httpd.daemon_threads = True
    thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    script.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    yield script
    script.release.set()
    httpd.shutdown()
    thread.join()
    httpd.server_close()
