"""Requests to an API server at a fixed rate, and how long each took."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .timing import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Answers", "Request", "Target", "send"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An API server on a port of loopback, and who asks it."""

    port: int
    certificate: tuple[Path, Path]

    def connect(self) -> http.client.HTTPSConnection:
        """Return a new connection."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Who answers is known: the port is one that this process has just given to a child.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(*self.certificate)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request with JSON."""

    method: str
    path: str
    body: object = None


@dataclass(slots=True)
class Answers:
    """What came of requests: seconds from when each was due, and what the refused ones said."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def send(target: Target, requests: Iterable[Request], *, rate: float, clients: int) -> Answers:
    """Send requests, ``rate`` of them a second, from some clients at once; they begin in their order.

    A request that waits for a free client is late, and its time counts from when it was due.
    """
    answers, source, began = Answers(), _Shared(enumerate(requests)), time.monotonic()

    def work() -> None:
        with closing(target.connect()) as connection:
            for number, request in source:
                due = began + number / rate
                time.sleep(max(0.0, due - time.monotonic()))
                error = _ask(connection, request)
                answers.seconds.append(time.monotonic() - due)
                answers.errors.extend([error] if error else [])

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not answers.seconds:
        raise CommandError("no request was sent")
    return answers


class _Shared:
    """An iterator for several threads."""

    def __init__(self, items: Iterator[tuple[int, Request]]) -> None:
        self._items, self._lock = items, threading.Lock()

    def __iter__(self) -> Iterator[tuple[int, Request]]:
        return self

    def __next__(self) -> tuple[int, Request]:
        with self._lock:
            return next(self._items)


def _ask(connection: http.client.HTTPSConnection, request: Request) -> str:
    """Return what went wrong, empty if nothing."""
    body = None if request.body is None else json.dumps(request.body)
    try:
        connection.request(request.method, request.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return f"{request.method} {request.path}: {type(error).__name__}: {error}"
    if answer.status < http.client.MULTIPLE_CHOICES:
        return ""
    return f"{request.method} {request.path}: {answer.status} {text[:200].decode(errors='replace')}"
