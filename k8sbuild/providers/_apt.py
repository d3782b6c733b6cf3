"""Archives of Debian packages as this machine's apt is configured, and what their signed Release files list.

Source: sources.list(5), https://wiki.debian.org/DebianRepository/Format
"""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild import debian
from k8sbuild.errors import FetchError, ToolError

from . import _http
from .process import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .base import Context

__all__ = ["Repository", "configured", "packages_of", "verifier"]

#: Where apt's configuration is, and the variable that names another place.
ETC, VARIABLE = "/etc/apt", "K8SBUILD_APT_DIR"
_ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_OPENERS: Mapping[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    "": bytes,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One suite of an archive.

    Args:
        address: of the archive, without a slash at the end.
        suite: name of the folder below ``dists``.
        components: ``main``, …
        keys: files with the keys that may sign it, or one key as text; empty for those that apt trusts.
    """

    address: str
    suite: str
    components: tuple[str, ...]
    keys: tuple[str, ...] = ()


def configured(env: Mapping[str, str]) -> list[Repository]:
    """Return what apt's configuration names on servers, first ``sources.list``, then ``sources.list.d`` by name.

    Whether apt trusts an archive without a signature makes no difference here.
    """
    etc = Path(env.get(VARIABLE) or ETC)
    found: list[Repository] = []
    for file in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*"))]:
        if file.suffix in (".list", ".sources") and file.is_file():
            text = file.read_text(encoding="utf-8")
            found += _lines(text) if file.suffix == ".list" else _stanzas(text)
    return [repository for repository in found if repository.address.startswith(("http://", "https://"))]


def _lines(text: str) -> Iterator[Repository]:
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(\S.*)", line.partition("#")[0].strip())
        if match:
            options = dict(word.partition("=")[::2] for word in (match[1] or "").split())
            keys = tuple(filter(None, options.get("signed-by", "").split(",")))
            address = match[2].rstrip("/")
            yield Repository(address=address, suite=match[3], components=tuple(match[4].split()), keys=keys)


def _stanzas(text: str) -> Iterator[Repository]:
    for fields in debian.stanzas(text):
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in ("no", "false"):
            signed = fields.get("signed-by", "")
            keys = (_unfolded(signed),) if _ARMOUR in signed else tuple(signed.split())
            for address in fields.get("uris", "").split():
                for suite in fields.get("suites", "").split():
                    components = tuple(fields.get("components", "").split())
                    yield Repository(address=address.rstrip("/"), suite=suite, components=components, keys=keys)


def _unfolded(text: str) -> str:
    """Return a key that is the value of a field: each line has a space before it, empty ones a dot."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join("" if line == "." else line for line in lines)


def verifier(env: Mapping[str, str]) -> str:
    """Return the program that checks signatures: ``gpgv``, else ``sqv``.

    Raises:
        ToolError: ``no-gpgv``.
    """
    for name in ("gpgv", "sqv"):
        if found := shutil.which(name, path=env.get("PATH")):
            return found
    raise ToolError(
        "there is no gpgv and no sqv on this machine, so no archive of packages can be trusted",
        reason="no-gpgv",
        hint="apt-get install gpgv",
    )


def packages_of(ctx: Context, repository: Repository, number: int, arch: str) -> list[debian.Package]:
    """Return the packages of a suite, as its signed Release file has them.

    Raises:
        FetchError: ``bad-signature``, ``release-expired``, ``bad-package-index``, ``digest-mismatch``.
        ToolError: ``no-gpgv``.
    """
    place = f"{repository.address}/dists/{repository.suite}"
    release = next(debian.stanzas(_signed(ctx, repository, place)), {})
    _refuse_expired(place, release)
    listed = dict(_files(release.get("sha256", "")))
    found: list[debian.Package] = []
    for component in repository.components:
        name = f"{component}/binary-{arch}/Packages"
        suffix = next((suffix for suffix in _OPENERS if name + suffix in listed), None)
        if suffix is None:
            raise _bad_index(place, f"it has no {name}")
        data = _http.ask(f"{place}/{name}{suffix}", env=ctx.env, headers={}).body
        if sha256(data).hexdigest() != listed[name + suffix]:
            raise FetchError(
                f"{place}/{name}{suffix}: expected sha256:{listed[name + suffix]} as the signed Release file says, "
                f"found sha256:{sha256(data).hexdigest()}",
                reason="digest-mismatch",
                hint="the archive is being updated, or it is not what it says: try again later",
            )
        try:
            # Names, versions and paths are ASCII; one byte for each character keeps the rest small.
            found += debian.packages(_OPENERS[suffix](data).decode("latin-1"), number)
        except (ValueError, KeyError, OSError, EOFError, lzma.LZMAError) as error:
            raise _bad_index(place, f"{name}{suffix}: {error}") from None
    return found


def _bad_index(place: str, why: str) -> FetchError:
    return FetchError(
        f"{place}: {why}", reason="bad-package-index", hint="check the components and the architecture in apt's sources"
    )


def _files(text: str) -> Iterator[tuple[str, str]]:
    """Yield path and sha256 of each file that a Release file lists."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            yield words[2], words[0]


def _refuse_expired(place: str, release: Mapping[str, str]) -> None:
    until = release.get("valid-until", "")
    if until and parsedate_to_datetime(until) < datetime.now(UTC):
        raise FetchError(
            f"{place}: its InRelease file was good until {until}",
            reason="release-expired",
            hint="check this machine's clock and the mirror",
        )


def _signed(ctx: Context, repository: Repository, place: str) -> str:
    """Return a Release file whose signature is good."""
    program = verifier(ctx.env)
    # One file, not text and signature apart: mirrors and caches may have these of different days.
    text, signature = _split(place, _http.ask(f"{place}/InRelease", env=ctx.env, headers={}).body)
    files = {ctx.scratch / "Release.gpg": signature, ctx.scratch / "Release": text}
    for file, data in files.items():
        file.write_bytes(data)
    keyrings = [word for file in _keyrings(ctx, repository) for word in ("--keyring", file)]
    # A folder without keys: the user's own ones do not count.
    status = ["--status-fd", "1", "--homedir", str(ctx.scratch)] if Path(program).name == "gpgv" else []
    done = run([program, *status, *keyrings, *files], cwd=ctx.scratch, env={"LC_ALL": "C"}, log=ctx.log)
    said = done.out.decode(errors="replace")
    # gpgv also fails where one of several signatures is by a key that it does not have.
    good = "[GNUPG:] GOODSIG" in said and "[GNUPG:] BADSIG" not in said if status else not done.code
    if not good:
        raise _unsigned(place, f"no good signature\n{done.err.strip()}", str(ctx.log))
    return text.decode()


def _split(place: str, data: bytes) -> tuple[bytes, bytes]:
    """Return what is signed, and the signature of it.

    Source: RFC 4880, section 7
    """
    head, _, rest = data.partition(b"\n\n")
    body, mark, signature = rest.partition(b"\n-----BEGIN PGP SIGNATURE-----\n")
    end = b"-----END PGP SIGNATURE-----"
    if not head.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----") or not mark or not signature.rstrip().endswith(end):
        raise _unsigned(place, "it is not signed")
    lines = (line.removeprefix(b"- ").rstrip(b" \t\r") for line in body.split(b"\n"))
    return b"\n".join(lines), mark.lstrip() + signature


def _unsigned(place: str, why: str, log: str = "") -> FetchError:
    return FetchError(
        f"{place}/InRelease: {why}",
        reason="bad-signature",
        hint="check Signed-By in apt's sources; apt-get install debian-archive-keyring",
        log=log,
    )


def _keyrings(ctx: Context, repository: Repository) -> Iterator[Path]:
    """Yield files of keys in the form that gpgv reads."""
    etc = Path(ctx.env.get(VARIABLE) or ETC)
    trusted = [etc / "trusted.gpg", *sorted(etc.glob("trusted.gpg.d/*"))]
    for number, key in enumerate(repository.keys or map(str, trusted)):
        data = key.encode() if _ARMOUR in key else Path(key).read_bytes() if Path(key).is_file() else b""
        if data:
            target = ctx.scratch / f"key{number}.gpg"
            target.write_bytes(_binary(data))
            yield target


def _binary(data: bytes) -> bytes:
    """Return keys without their armour.

    Source: RFC 4880, section 6
    """
    if not data.lstrip().startswith(_ARMOUR.encode()):
        return data
    blocks = re.findall(r"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END", data.decode(), re.DOTALL)
    # Headers end with an empty line; what begins with "=" is a checksum.
    bodies = (re.split(r"\n[ \t\r]*\n", block, maxsplit=1)[-1] for block in blocks)
    return b"".join(base64.b64decode(re.sub(r"\n=[^\n]*\s*$", "", body)) for body in bodies)
