"""Asks a container registry: manifests, blobs, tags; with a token where it wants one.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from k8sbuild import oci
from k8sbuild.errors import FetchError

from . import _http

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeVar

    from k8sbuild.progress import Progress

    _T = TypeVar("_T")

__all__ = ["Place", "Registry", "place_of"]

_LOCATION = re.compile(
    r"(?P<scheme>https?://)?(?P<host>[A-Za-z0-9.-]+(:\d+)?)/(?P<repository>[a-z0-9]+([._/-]+[a-z0-9]+)*)(#(?P<platform>\w+-\w+))?"
)
_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an image is.

    Args:
        base: of the registry's addresses, ``https://example.org``.
        repository: in it.
        platform: ``os-arch`` of the image that is wanted, where the location says it.
    """

    base: str
    repository: str
    platform: str


def place_of(location: str) -> Place:
    """Read ``[http://]HOST/REPOSITORY[#OS-ARCH]``.

    Raises:
        FetchError: ``bad-image-location``, also for a plain ``http://`` that leaves this machine.

    >>> place_of("example.org/group/name#linux-arm64")
    Place(base='https://example.org', repository='group/name', platform='linux-arm64')
    """
    found = _LOCATION.fullmatch(location)
    if found is None:
        raise FetchError(
            f"{location!r} is no place of an image",
            reason="bad-image-location",
            hint="write it like example.org/group/name or example.org/group/name#linux-amd64; the version is the tag",
        )
    base = (found["scheme"] or "https://") + found["host"]
    _refuse_plain(base)
    return Place(base=base, repository=found["repository"], platform=found["platform"] or "")


def _refuse_plain(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise FetchError(
            f"{url}: plain HTTP is for registries on this machine only",
            reason="bad-image-location",
            hint="use https",
        )


class Registry:
    """One repository of a registry.

    Args:
        env: the user's environment: proxies, netrc.
    """

    def __init__(self, place: Place, env: Mapping[str, str]) -> None:
        self._place = place
        self._env = env
        self._token = ""

    def manifest(self, reference: str) -> tuple[str, bytes]:
        """Return digest and bytes of the index or manifest that a tag or digest names."""
        accept = ", ".join((*oci.INDEXES, *oci.MANIFESTS))
        body = self._asked(f"manifests/{reference}", {"Accept": accept})
        return f"sha256:{sha256(body).hexdigest()}", body

    def tags(self) -> list[str]:
        """Return the tags that the registry names at once; big ones name some only."""
        found = json.loads(self._asked("tags/list", {}))
        return [str(tag) for tag in found.get("tags") or ()]

    def blob(self, digest: str, target: Path, progress: Progress) -> str:
        """Download a blob, resuming what is there of it; return the digest of what came."""

        def load(headers: Mapping[str, str]) -> str:
            url = self._url(f"blobs/{digest}")
            return _http.download(url, target, env=self._env, progress=progress, headers=headers)

        return f"sha256:{self._allowed(load)}"

    def _url(self, path: str) -> str:
        return f"{self._place.base}/v2/{self._place.repository}/{path}"

    def _asked(self, path: str, headers: Mapping[str, str]) -> bytes:
        url = self._url(path)
        return self._allowed(lambda own: _http.ask(url, env=self._env, headers={**headers, **own}).body)

    def _allowed(self, act: Callable[[Mapping[str, str]], _T]) -> _T:
        """Ask with the token that there is; with a new one where the registry wants that."""
        try:
            return act(self._headers())
        except FetchError as error:
            if not error.details.get("challenge"):
                raise
            self._token = self._new_token(str(error.details["challenge"]))
        try:
            return act(self._headers())
        except FetchError as error:
            raise self._refused(error.message) if error.reason == "http-error" else error from None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _new_token(self, challenge: str) -> str:
        kind, _, rest = challenge.partition(" ")
        said = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if kind.lower() != "bearer" or not said.get("realm"):
            raise self._refused("it wants a name and a password")
        _refuse_plain(said["realm"])
        scope = said.get("scope") or f"repository:{self._place.repository}:pull"
        query = {"scope": scope, **{name: said[name] for name in ("service",) if name in said}}
        try:
            body = _http.ask(f"{said['realm']}?{urlencode(query)}", env=self._env, headers={}).body
            found = json.loads(body)
            return str(found.get("token") or found["access_token"])
        except FetchError as error:
            raise self._refused(error.message) if error.reason == "http-error" else error from None
        except (ValueError, KeyError, AttributeError):
            raise self._refused(f"{said['realm']} gave no token") from None

    def _refused(self, why: str) -> FetchError:
        return FetchError(
            f"{self._place.repository}: the registry does not give it: {why}",
            reason="auth-failed",
            hint="no such repository, or not for you; credentials are taken from netrc, for the host that gives tokens",
        )
