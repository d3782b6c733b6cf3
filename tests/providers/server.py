"""An HTTP server that fails as told."""

from __future__ import annotations

from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Event


@dataclass(slots=True)
class Script:
    """What the server gives, and how it fails: one word of ``faults`` a request, then none.

    ``500``, ``404``, …: that status; ``cut``: half of the body, then the connection closes;
    ``stall``: half of the body, then nothing until ``release``.
    """

    body: bytes = b""
    etag: str = '"one"'
    faults: list[str] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    release: Event = field(default_factory=Event)


class Handler(BaseHTTPRequestHandler):
    script: Script

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        script = self.script
        script.seen.append({"path": self.path, **dict(self.headers.items())})
        fault = script.faults.pop(0) if script.faults else ""
        if fault.isdecimal():
            self.send_response(int(fault))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = self._start()
        content = script.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", script.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(script.body) - 1}/{len(script.body)}")
        self.end_headers()
        if body:
            self.wfile.write(content[: len(content) // 2] if fault else content)
            self.wfile.flush()
        if fault == "stall":
            script.release.wait(20)
        self.close_connection = True

    def _start(self) -> int:
        asked = self.headers.get("Range", "")
        fresh = self.headers.get("If-Range") == self.script.etag
        return int(asked.removeprefix("bytes=").rstrip("-")) if asked and fresh else 0
