"""A loopback HTTP server that fails by script, for tests of downloads.

::

    with serve(folder, {"/a.tar.gz": [Fault.error(500), Fault.truncate(1000)]}) as server:
        download(server.url("a.tar.gz"))        # 500, then cut short, then whole
    assert [request.status for request in server.requests] == [500, 206, 200]
"""

from __future__ import annotations

import json
import re
import socket
import threading
from base64 import b64encode
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Fault", "Realm", "Request", "Server", "serve"]

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one answer; use the functions that make one.

    Args:
        kind: what happens.
        status: of ``error``.
        after: bytes of the body that are sent before ``stall`` and ``truncate`` happen.
    """

    kind: Literal["none", "error", "stall", "truncate", "no-ranges", "new-etag", "corrupt"]
    status: int = 0
    after: int = 0

    @staticmethod
    def none() -> Fault:
        """Answer as it should be; for scripts that fail later."""
        return Fault(kind="none")

    @staticmethod
    def error(status: int = 500) -> Fault:
        """Answer with an error status; with a realm, 401 says that the token is no longer good."""
        return Fault(kind="error", status=status)

    @staticmethod
    def stall(after: int = 0) -> Fault:
        """Send ``after`` bytes, then nothing more until the client leaves or the server stops."""
        return Fault(kind="stall", after=after)

    @staticmethod
    def truncate(after: int) -> Fault:
        """Close the connection after ``after`` bytes of the announced body."""
        return Fault(kind="truncate", after=after)

    @staticmethod
    def no_ranges() -> Fault:
        """Ignore a Range header: the whole file with status 200."""
        return Fault(kind="no-ranges")

    @staticmethod
    def new_etag() -> Fault:
        """Show another ETag, as if the file had changed; a resume with If-Range gets all of it."""
        return Fault(kind="new-etag")

    @staticmethod
    def corrupt() -> Fault:
        """Change one byte in the middle of the body."""
        return Fault(kind="corrupt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """What a server guards with a token, as registries of images do; the token is had at ``/token``.

    Args:
        token: that requests must carry.
        below: the path below which they must.
        login: ``user:password`` that must be given for the token; by default everybody gets it.
    """

    token: str
    below: str = "/v2/"
    login: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that was answered: method, path, headers (names in lower case), status."""

    method: str
    path: str
    headers: Mapping[str, str]
    status: int


@dataclass(slots=True)
class Server:
    """A running server: where it is, and what it was asked."""

    address: str
    requests: list[Request] = field(default_factory=list)

    def url(self, path: str) -> str:
        """Return the address of a file of the folder."""
        return f"{self.address}/{path.lstrip('/')}"


@contextmanager
def serve(
    folder: Path, faults: Mapping[str, Sequence[Fault]] | None = None, *, realm: Realm | None = None
) -> Iterator[Server]:
    """Serve a folder on a free loopback port until the block ends.

    Args:
        folder: whose files are served; those outside never are.
        faults: by path (``"/a.tar.gz"``), one for each request in turn; then answers are right.
        realm: what is given with a token only.
    """
    stop = threading.Event()
    script = {path: deque(steps) for path, steps in (faults or {}).items()}
    server = _Listener(folder.resolve(), script, stop, realm)
    # A short poll only: shutdown waits for it.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="faulty-server")
    thread.start()
    try:
        yield server.state
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Listener(ThreadingHTTPServer):
    def __init__(
        self, folder: Path, script: Mapping[str, deque[Fault]], stop: threading.Event, realm: Realm | None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.script, self.stop, self.realm = folder, script, stop, realm
        self.lock = threading.Lock()
        self.state = Server(f"http://127.0.0.1:{self.server_address[1]}")

    def next_fault(self, path: str) -> Fault:
        with self.lock:
            steps = self.script.get(path)
            return steps.popleft() if steps else Fault.none()

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: clients of these tests hang up on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *args: object) -> None:
        """Keep quiet: requests are recorded."""

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        fault = self.server.next_fault(path)
        file = (self.server.folder / path.lstrip("/")).resolve()
        realm = self.server.realm
        if fault.kind == "error" and not (realm and fault.status == 401):
            self._fail(path, fault.status)
        elif realm and path == "/token":
            self._give(path, realm)
        elif realm and (fault.kind == "error" or not self._carries(realm, path)):
            self._challenge(path)
        elif path == "/v2/" and file.is_dir():
            # How clients of a registry ask whether it is one.
            self._send(path, b"{}", fault, body=body)
        elif not file.is_relative_to(self.server.folder) or not file.is_file():
            self._fail(path, 404)
        else:
            self._send(path, file.read_bytes(), fault, body=body)

    def _carries(self, realm: Realm, path: str) -> bool:
        return not path.startswith(realm.below) or self.headers.get("Authorization") == f"Bearer {realm.token}"

    def _give(self, path: str, realm: Realm) -> None:
        login = f"Basic {b64encode(realm.login.encode()).decode()}"
        if realm.login and self.headers.get("Authorization") != login:
            self._fail(path, 401)
        else:
            self._send(path, json.dumps({"token": realm.token}).encode(), Fault.none(), body=True)

    def _challenge(self, path: str) -> None:
        said = f'Bearer realm="{self.server.state.address}/token",service="stand-in"'
        self._fail(path, 401, {"WWW-Authenticate": said})

    def _fail(self, path: str, status: int, headers: Mapping[str, str] | None = None) -> None:
        self._record(path, status)
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, path: str, data: bytes, fault: Fault, *, body: bool) -> None:
        etag = f'"{sha256(data).hexdigest()[:16]}{"-new" if fault.kind == "new-etag" else ""}"'
        span = None if fault.kind == "no-ranges" else self._span(len(data), etag)
        first, last = span or (0, len(data))
        if first >= len(data) and span:
            self._fail(path, 416)
            return
        self._record(path, 206 if span else 200)
        self.send_response(206 if span else 200)
        self.send_header("Content-Type", _type_of(path, data))
        self._headers(etag, (first, last, len(data)) if span else None, last - first, fault)
        if body:
            self._body(_spoilt(data[first:last], fault), fault)

    def _span(self, size: int, etag: str) -> tuple[int, int] | None:
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or self.headers.get("If-Range", etag) != etag:
            return None
        return int(match[1]), min(int(match[2]) + 1, size) if match[2] else size

    def _headers(self, etag: str, span: tuple[int, int, int] | None, length: int, fault: Fault) -> None:
        self.send_header("ETag", etag)
        self.send_header("Accept-Ranges", "none" if fault.kind == "no-ranges" else "bytes")
        self.send_header("Content-Length", str(length))
        if span:
            self.send_header("Content-Range", f"bytes {span[0]}-{span[1] - 1}/{span[2]}")
        self.end_headers()

    def _body(self, data: bytes, fault: Fault) -> None:
        if fault.kind not in ("stall", "truncate"):
            self.wfile.write(data)
            return
        self.wfile.write(data[: fault.after])
        self.wfile.flush()
        self.close_connection = True
        if fault.kind == "stall":
            self._wait()
        # At once, so that the client sees the end and not a reset.
        self.connection.shutdown(socket.SHUT_WR)

    def _wait(self) -> None:
        """Wait until the client hung up or the server stops."""
        self.connection.settimeout(0.05)
        while not self.server.stop.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue

    def _record(self, path: str, status: int) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.state.requests.append(Request(method=self.command, path=path, headers=headers, status=status))


def _type_of(path: str, data: bytes) -> str:
    """Return the media type of an answer: a manifest's is what it says itself, as Docker wants it."""
    try:
        return str(json.loads(data)["mediaType"]) if "/manifests/" in path else "application/octet-stream"
    except (ValueError, KeyError, TypeError):
        return "application/json"


def _spoilt(data: bytes, fault: Fault) -> bytes:
    if fault.kind != "corrupt" or not data:
        return data
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
