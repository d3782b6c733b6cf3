"""A stand-in for an archive of Debian packages, signed by a key of its own.

::

    with debian.signer() as key:
        debian.archive(folder, "toy", [debian.package("tool", depends="lib (>= 1)"), debian.package("lib")], key)
        with serve(folder) as server:
            env = debian.apt(tmp_path / "apt", server.address, "toy", key)
"""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import SkipTest

from k8sbuild import debian

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Signer", "apt", "archive", "package", "signer"]


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs: the folder that has it, and its public part in armour."""

    home: Path
    public: str

    def sign(self, data: bytes) -> bytes:
        """Return a text with its signature."""
        return _gpg(self.home, "--clear-sign", data=data)


def _gpg(home: Path, *words: str, data: bytes = b"") -> bytes:
    argv = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--no-tty", *words]
    return subprocess.run(argv, input=data, capture_output=True, check=True).stdout


@contextmanager
def signer() -> Iterator[Signer]:
    """Give a new key for the time of the block.

    Raises:
        unittest.SkipTest: there is no ``gpg``.
    """
    if shutil.which("gpg") is None:
        raise SkipTest("no gpg on PATH: signed archives of packages are NOT tested here")
    # Its agent's socket needs a short path.
    with tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        _gpg(home, "--passphrase", "", "--quick-gen-key", "stand-in@example.org", "ed25519", "sign", "never")
        try:
            yield Signer(home, _gpg(home, "--armor", "--export").decode())
        finally:
            subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], capture_output=True, check=False)


def package(
    name: str, version: str = "1.0", *, depends: str = "", files: Mapping[str, bytes] | None = None, **fields: str
) -> bytes:
    """Return a ``.deb`` for all architectures.

    Args:
        depends: as in a control file.
        files: content by path.
        fields: others of the control file, ``_`` for ``-``.
    """
    given = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "nobody", "Description": name}
    given |= {"Depends": depends} if depends else {}
    given |= {field.replace("_", "-").title(): value for field, value in fields.items()}
    control = "".join(f"{field}: {value}\n" for field, value in given.items())
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _tar({"./control": control.encode()}),
        "data.tar.gz": _tar({f"./{path}": data for path, data in (files or {}).items()}),
    }
    return b"!<arch>\n" + b"".join(_member(name, data) for name, data in members.items())


def _member(name: str, data: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n"
    return header.encode() + data + b"\n" * (len(data) % 2)


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0)


def archive(
    folder: Path, suite: str, debs: Sequence[bytes], key: Signer, *, arch: str = "amd64", fields: str = ""
) -> None:
    """Write pool, index and signed Release file of a suite with the component ``main``.

    Args:
        folder: what the server gives.
        fields: more lines of the Release file.
    """
    index = "\n".join(_listed(folder, deb) for deb in debs)
    packed = gzip.compress(index.encode(), mtime=0)
    name = f"main/binary-{arch}/Packages.gz"
    release = f"Suite: {suite}\n{fields}SHA256:\n {sha256(packed).hexdigest()} {len(packed)} {name}\n".encode()
    files = {name: packed, "InRelease": key.sign(release)}
    for path, data in files.items():
        _write(folder / "dists" / suite / path, data)


def _listed(folder: Path, deb: bytes) -> str:
    """Put a package into the pool and return what the index says of it."""
    text = debian.control(io.BytesIO(deb))
    (said,) = debian.stanzas(text)
    path = f"pool/{said['package']}_{said['version'].replace(':', '%3a')}_{said['architecture']}.deb"
    _write(folder / path, deb)
    return f"{text}Filename: {path}\nSize: {len(deb)}\nSHA256: {sha256(deb).hexdigest()}\n"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def apt(folder: Path, address: str, suite: str, key: Signer, *, form: str = "sources") -> dict[str, str]:
    """Write apt's configuration for one archive; return the environment in which it counts.

    Args:
        form: ``sources`` with the key in it, or ``list`` with a file for the key.
    """
    if form == "list":
        _write(folder / "key.asc", key.public.encode())
        line = f"deb [arch=amd64 signed-by={folder}/key.asc] {address}/ {suite} main # the stand-in\n"
        _write(folder / "sources.list", line.encode())
    else:
        signed = "".join(f" {line or '.'}\n" for line in key.public.splitlines())
        text = f"Types: deb\nURIs: {address}\nSuites: {suite}\nComponents: main\nSigned-By:\n{signed}"
        _write(folder / "sources.list.d/toy.sources", text.encode())
    return {"K8SBUILD_APT_DIR": str(folder), "PATH": "/usr/bin:/bin"}
