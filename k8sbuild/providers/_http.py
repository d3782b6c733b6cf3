"""HTTP downloads: resumed, retried with back-off, checked while they stream. The only use of httpx."""

from __future__ import annotations

import json
import ssl
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

    from k8sbuild.progress import Progress

__all__ = ["Answer", "Policy", "ask", "download", "exists"]


#: Bytes that a document may have which is kept in memory.
_SMALL = 64 << 20


class Policy:
    """How patient a download is.

    Args:
        attempts: tries in all.
        connect: seconds for a connection.
        stall: seconds in which at least ``least`` bytes must come.
        wait: seconds before the first retry; doubled each time, up to 30.
    """

    def __init__(
        self, *, attempts: int = 6, connect: float = 20, stall: float = 30, least: int = 1024, wait: float = 0.5
    ):
        self.attempts = attempts
        self.connect = connect
        self.stall = stall
        self.least = least
        self.wait = wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said: headers with names in lower case, and the body."""

    headers: Mapping[str, str]
    body: bytes


class _AgainError(Exception):
    """An answer after which another try makes sense; ``after`` are seconds that the server asked for."""

    def __init__(self, message: str, after: float = 0) -> None:
        super().__init__(message)
        self.after = after


def download(
    url: str,
    target: Path,
    *,
    env: Mapping[str, str],
    progress: Progress = lambda _what, _done, _total: None,
    what: str = "",
    policy: Policy | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Download ``url`` to ``target`` and return the sha256 in hex.

    A broken download is kept as ``<target>.part`` and resumed with If-Range, so
    that what changed on the server is taken from its start. Status 5xx and 429,
    and connections that fail or stall, are tried again; other 4xx are not.

    Args:
        url: http or https.
        target: file to write; appears only when whole.
        env: proxies (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), NETRC, SSL_CERT_FILE.
        progress: called as ``progress(what, done, total)`` with bytes; total 0 where not known.
        headers: of the request; with ``Authorization`` the netrc file is not looked at.

    Raises:
        FetchError: reasons ``not-found``, ``http-error``, ``network-error``.

    >>> download("https://example.org/k.tar.gz", Path("k.tar.gz"), env={})  # doctest: +SKIP
    'a3f1…'
    """
    policy = policy or Policy()
    report = what or url

    def attempt(client: httpx.Client) -> str:
        return _Download(client, url, target, policy, lambda done, total: progress(report, done, total)).run()

    return str(_patiently(url, env, policy, attempt, headers))


def ask(url: str, *, env: Mapping[str, str], headers: Mapping[str, str], policy: Policy | None = None) -> Answer:
    """Return a small document of a server.

    Raises:
        FetchError: reasons ``not-found``, ``http-error`` (with the server's ``challenge`` in the details where it
            wants credentials), ``network-error``.
    """
    found: list[Answer] = []

    def attempt(client: httpx.Client) -> None:
        with client.stream("GET", url) as answer:
            _check(answer)
            body = b"".join(_up_to(answer, _SMALL))
            found.append(Answer(headers=dict(answer.headers), body=body))

    _patiently(url, env, policy or Policy(), attempt, headers)
    return found[-1]


def _up_to(answer: httpx.Response, most: int) -> Iterator[bytes]:
    size = 0
    for block in answer.iter_raw():
        size += len(block)
        if size > most:
            raise FetchError(
                f"{answer.url}: more than {most} bytes", reason="http-error", hint="check that the location is right"
            )
        yield block


def exists(url: str, env: Mapping[str, str], policy: Policy | None = None) -> bool:
    """Tell whether ``url`` can be downloaded.

    Raises:
        FetchError: the server or the network fails.
    """

    def attempt(client: httpx.Client) -> bool:
        answer = client.head(url)
        # Some servers answer GET only.
        if answer.status_code not in (403, 405, 501):
            _check(answer, missing_is_fine=True)
        return answer.status_code not in (404, 410)

    return bool(_patiently(url, env, policy or Policy(), attempt))


def _patiently(
    url: str,
    env: Mapping[str, str],
    policy: Policy,
    attempt: Callable[[httpx.Client], object],
    headers: Mapping[str, str] | None = None,
) -> object:
    import logging

    import httpx
    import stamina

    # A retry is of interest to those who listen to logs; without anybody, Python would print it.
    if not (log := logging.getLogger("stamina")).handlers:
        log.addHandler(logging.NullHandler())

    def again(error: Exception) -> bool | float:
        if isinstance(error, _AgainError):
            return error.after or True
        return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)

    tries = stamina.retry_context(
        on=again, attempts=policy.attempts, timeout=None, wait_initial=policy.wait, wait_max=30, wait_jitter=policy.wait
    )
    try:
        with _client(env, policy, headers or {}) as client:
            for each in tries:
                with each:
                    return attempt(client)
    except (_AgainError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchError(
            f"{url}: {str(error) or type(error).__name__} ({policy.attempts} tries)",
            reason="network-error",
            hint="check the network and HTTPS_PROXY; run it again to resume",
        ) from None
    raise AssertionError("the loop above returns or raises")


def _client(env: Mapping[str, str], policy: Policy, headers: Mapping[str, str]) -> httpx.Client:
    import httpx

    netrc = env.get("NETRC") or (str(Path(env["HOME"], ".netrc")) if env.get("HOME") else "")
    context = ssl.create_default_context(
        cafile=env.get("SSL_CERT_FILE") or None, capath=env.get("SSL_CERT_DIR") or None
    )
    return httpx.Client(
        timeout=httpx.Timeout(policy.stall, connect=policy.connect),
        follow_redirects=True,
        trust_env=False,
        verify=context,
        mounts=_mounts(env, context),
        auth=httpx.NetRCAuth(netrc) if "Authorization" not in headers and Path(netrc).is_file() else None,
        headers={"Accept-Encoding": "identity", "User-Agent": "k8sbuild", **headers},
    )


def _mounts(env: Mapping[str, str], context: ssl.SSLContext) -> dict[str, httpx.BaseTransport | None]:
    import httpx

    def setting(name: str) -> str:
        return env.get(name.lower()) or env.get(name.upper()) or ""

    direct = [host.strip() for host in setting("no_proxy").split(",") if host.strip()]
    if "*" in direct:
        return {}
    mounts: dict[str, httpx.BaseTransport | None] = {}
    for scheme in ("http", "https"):
        if proxy := setting(f"{scheme}_proxy") or setting("all_proxy"):
            proxy = proxy if "://" in proxy else f"http://{proxy}"
            mounts[f"{scheme}://"] = httpx.HTTPTransport(proxy=proxy, verify=context)
    # "example.org" and ".example.org" mean the host and those below it.
    for host in direct:
        plain = host.removeprefix(".")
        mounts[f"all://{plain}"] = None
        if not plain.replace(".", "").isdigit():
            mounts[f"all://*.{plain}"] = None
    return mounts


def _check(answer: httpx.Response, *, missing_is_fine: bool = False) -> None:
    status = answer.status_code
    if status == 429 or status >= 500:
        after = answer.headers.get("Retry-After", "")
        raise _AgainError(f"status {status}", min(float(after), 60) if after.isdecimal() else 0)
    missing = status in (404, 410)
    if status >= 400 and not (missing and missing_is_fine):
        raise FetchError(
            f"{answer.url}: status {status} {answer.reason_phrase}",
            reason="not-found" if missing else "http-error",
            hint="check the version and the location" if missing else "check credentials (netrc) and proxy",
            details={"challenge": answer.headers.get("WWW-Authenticate", "")} if status == 401 else {},
        )


class _Download:
    """One try: goes on with what an earlier one left, where the server still has the same."""

    def __init__(
        self, client: httpx.Client, url: str, target: Path, policy: Policy, progress: Callable[[int, int], None]
    ) -> None:
        self.client = client
        self.url = url
        self.target = target
        self.part = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        self.policy = policy
        self.progress = progress

    def run(self) -> str:
        note = self._note()
        start = self.part.stat().st_size if note else 0
        headers = {"Range": f"bytes={start}-", "If-Range": note["validator"]} if start else {}
        with self.client.stream("GET", self.url, headers=headers) as answer:
            if answer.status_code == 416:
                self._drop()
                raise _AgainError("the server refuses to resume")
            _check(answer)
            if answer.status_code != 206:
                start = 0
            elif not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                self._drop()
                raise _AgainError("the server resumes at another place than asked")
            return self._receive(answer, start)

    def _receive(self, answer: httpx.Response, start: int) -> str:
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else 0
        if not start:
            self._start(answer)
        digest = sha256()
        with self.part.open("ab" if start else "wb") as out:
            if start:
                digest.update(self.part.read_bytes())
            done = self._copy(answer, out, digest, start, total)
        if total and done != total:
            raise _AgainError(f"{done} of {total} bytes came")
        self.note.unlink(missing_ok=True)
        self.part.replace(self.target)
        return digest.hexdigest()

    def _copy(self, answer: httpx.Response, out: Any, digest: Any, done: int, total: int) -> int:
        since, mark = monotonic(), done
        for block in answer.iter_raw():
            out.write(block)
            digest.update(block)
            done += len(block)
            self.progress(done, total)
            now = monotonic()
            if done - mark >= self.policy.least:
                since, mark = now, done
            elif now - since > self.policy.stall:
                raise _AgainError(f"stalled: {done - mark} bytes in {now - since:.0f} s")
        return done

    def _start(self, answer: httpx.Response) -> None:
        """Note what tells this content from another; without that nothing is resumed."""
        tag = answer.headers.get("ETag", "")
        validator = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
        self.note.unlink(missing_ok=True)
        if validator:
            self.note.write_text(json.dumps({"url": self.url, "validator": validator}), encoding="utf-8")

    def _note(self) -> dict[str, str]:
        with suppress(OSError, ValueError):
            note: dict[str, str] = json.loads(self.note.read_text(encoding="utf-8"))
            if note["url"] == self.url and self.part.is_file():
                return note
        return {}

    def _drop(self) -> None:
        self.note.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)
