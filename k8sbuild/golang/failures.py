"""What the ``go`` client's error texts mean."""

from __future__ import annotations

import re

from k8sbuild.errors import BuildError, FetchError
from k8sbuild.store.files import disk_full, is_full

__all__ = ["failure", "reason_of"]

# First match wins; the texts are those of Go 1.21 to 1.27.
_REASONS: tuple[tuple[str, str], ...] = (
    ("checksum-mismatch", r"checksum mismatch|SECURITY ERROR|does not match checksum|invalid signature"),
    ("offline", r"GOPROXY=off"),
    ("go-too-old", r"requires go (?:>|\\u003e)= [\w.]+ \(running go"),
    ("network-error", (r"dial tcp|no such host|connection re(?:fused|set)|i/o timeout|TLS handshake|unreachable"
                      r"|proxyconnect|x509:|unexpected EOF|Client\.Timeout|deadline exceeded|: EOF$")),
    ("checksum-missing", r"/lookup/\S+: 4\d\d "),
    ("module-not-found", (r"404 Not Found|410 Gone|unknown revision|no matching versions|no such file or directory"
                         r"|not found|unrecognized import path|invalid version|malformed module path")),
    ("proxy-error", r"(?:4\d\d|5\d\d) [A-Z]|unexpected status|GOPROXY list|invalid proxy|Bad Gateway|Forbidden"),
)  # fmt: skip

_HINTS = {
    "checksum-mismatch": "the proxy gave other bytes than the checksum database knows: check GOPROXY, do not use them",
    "offline": "run `k8sbuild fetch` once with the network",
    "go-too-old": "no pinned Go is as new: take an older version, or name a newer Go with --toolchain=PATH",
    "checksum-missing": (
        "the module may well be there, but the checksum database (or the proxy that answers for it) has no sum for it: "
        "take a version that it knows, or try another GOPROXY"
    ),
    "module-not-found": "check the path and version; `k8sbuild versions` lists what is known",
    "proxy-error": "the module proxy refuses: check GOPROXY and credentials, or another proxy; try again later for 5xx",
    "network-error": "check the network, HTTPS_PROXY and GOPROXY",
    "go-failed": "the log has the whole output",
}


def reason_of(text: str) -> str:
    """Return the stable reason for an error text of ``go``.

    >>> reason_of("a@v1: reading file:///p/a/@v/v1.info: 403 Forbidden")
    'proxy-error'
    """
    found = (reason for reason, pattern in _REASONS if re.search(pattern, text, re.MULTILINE))
    return next(found, "go-failed")


def failure(module: str, text: str, *, log: str = "") -> BuildError:
    """Return the error for a failed ``go`` command.

    Args:
        module: the module, or what was done, for the message.
        text: the error output.
        log: file with the whole output.
    """
    if is_full(text):
        return disk_full(f"{module}: {_short(text)}", log=log)
    reason = reason_of(text)
    needed = re.search(r"requires go >= ([\w.]+)", text)
    return FetchError(
        f"{module}: {_short(text).removeprefix(module + ': ')}",
        reason=reason,
        hint=_HINTS[reason],
        details={"module": module, **({"go": needed[1]} if needed else {})},
        log=log,
    )


def _short(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line and not line.startswith("go: downloading")]
    return "\n".join(lines[-8:]) or "no output"
