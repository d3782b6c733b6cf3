"""Debian's formats: stanzas of fields, versions, dependencies, the control file and the files of a package.

Source: https://www.debian.org/doc/debian-policy/ (chapters 5 and 7), deb(5)
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from k8sbuild.offers import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Package", "closure", "control", "files", "findings", "index", "packages", "stanzas", "version_key"]

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*")
#: Lines that are not empty. An index is tens of megabytes, so its stanzas are looked at one by one.
_STANZA = re.compile(r"(?:[^\S\n]*\S.*\n?)+")
_PRIORITIES = ("required", "important", "standard", "optional")
#: Programs, each with those that do as well, what installs one, and what cannot be done without.
_PROGRAMS = (
    ("gpgv|sqv", "apt-get install gpgv", "the signatures of package archives cannot be checked"),
    ("mmdebstrap", "apt-get install mmdebstrap", "a root file system cannot be assembled from packages"),
)
#: Settings of the kernel that are 0 where only root may make name spaces of users.
_USER_NAMESPACES = ("/proc/sys/kernel/unprivileged_userns_clone", "/proc/sys/user/max_user_namespaces")
#: Word of a list of packages that stands for all packages without which a system does not work, as for apt.
ESSENTIAL = "?essential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package of an archive.

    Args:
        needs: dependencies, each as names of which one is enough.
        provides: names that it stands for.
        path: of its file, below the archive's address.
        repository: number of the archive that has it.
    """

    name: str
    version: str
    needs: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...]
    essential: bool
    priority: str
    path: str
    sha256: str
    size: int
    repository: int = 0


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the fields of each stanza, names in lower case; further lines of a field are kept.

    >>> list(stanzas("A: 1\\nB:\\n x\\n y\\n\\n# no\\nA: 2\\n"))
    [{'a': '1', 'b': '\\n x\\n y'}, {'a': '2'}]
    """
    for match in _STANZA.finditer(text):
        fields: dict[str, str] = {}
        name = ""
        for line in match[0].splitlines():
            if line[:1] in (" ", "\t") and name:
                fields[name] += f"\n{line}"
            elif not line.startswith("#") and ":" in line:
                name, _, value = line.partition(":")
                name = name.lower()
                fields[name] = value.strip()
        if fields:
            yield fields


def packages(text: str, repository: int = 0) -> Iterator[Package]:
    """Yield what a ``Packages`` index lists.

    Raises:
        ValueError, KeyError: it is none.
    """
    for fields in stanzas(text):
        wanted = ", ".join(filter(None, [fields.get("pre-depends"), fields.get("depends")]))
        yield Package(
            name=fields["package"],
            version=fields["version"],
            needs=tuple(_names(part.split("|")) for part in wanted.split(",") if part.strip()),
            provides=_names(fields.get("provides", "").split(",")),
            essential=fields.get("essential") == "yes",
            priority=fields.get("priority", ""),
            path=fields["filename"],
            sha256=fields["sha256"],
            size=int(fields["size"]),
            repository=repository,
        )


def _names(parts: Sequence[str]) -> tuple[str, ...]:
    found = (_NAME.match(part.strip()) for part in parts)
    return tuple(match[0] for match in found if match)


def version_key(version: str) -> Any:
    """Return what sorts versions as dpkg does.

    >>> sorted(["1.0", "1.0~rc1", "1:0.1", "1.0-2", "1.0+b1", "1.0-10"], key=version_key)
    ['1.0~rc1', '1.0', '1.0-2', '1.0-10', '1.0+b1', '1:0.1']
    """
    epoch, colon, rest = version.partition(":")
    upstream, _, revision = (rest if colon else version).rpartition("-")
    return int(epoch) if colon else 0, *(
        _part_key(part) for part in ((upstream, revision) if upstream else (revision, ""))
    )


def _part_key(text: str) -> list[tuple[list[int], int]]:
    """Split into texts and numbers; ``~`` comes before the end, letters before other signs."""
    order = {"~": -1}
    return [
        ([order.get(c, ord(c) if c.isalpha() else ord(c) + 256) for c in word] + [0], int(number or 0))
        for word, number in re.findall(r"(\D*)(\d*)", text)
    ]


def closure(known: Mapping[str, Sequence[Package]], wanted: Sequence[str]) -> list[Package]:
    """Return the wanted packages and all that they need, by name.

    Of alternatives the first that there is counts, of packages that provide a name the one of the highest priority,
    then the first by name.

    Args:
        known: by name, and by each name that is provided; see :func:`index`.
        wanted: names, :data:`ESSENTIAL` for the packages without which a system does not work.

    Raises:
        KeyError: a name that nothing has.
    """
    chosen: dict[str, Package] = {}
    names: set[str] = set()
    queue: list[tuple[str, ...]] = [(name,) for name in wanted if name != ESSENTIAL]
    if ESSENTIAL in wanted:
        queue += sorted({(p.name,) for listed in known.values() for p in listed if p.essential})
    while queue:
        alternatives = queue.pop(0)
        if names.isdisjoint(alternatives):
            package = next((known[name][0] for name in alternatives if name in known), None)
            if package is None:
                raise KeyError(" | ".join(alternatives))
            chosen[package.name] = package
            names |= {package.name, *package.provides}
            queue += package.needs
    return [chosen[name] for name in sorted(chosen)]


def index(listed: Sequence[Package]) -> dict[str, list[Package]]:
    """Return by name the newest package, or else those that provide the name, the best first."""
    own: dict[str, Package] = {}
    for package in listed:
        old = own.get(package.name)
        if old is None or version_key(package.version) > version_key(old.version):
            own[package.name] = package
    found: dict[str, list[Package]] = {}
    for package in sorted(own.values(), key=_preference):
        for name in package.provides:
            found.setdefault(name, []).append(package)
    return found | {name: [package] for name, package in own.items()}


def _preference(package: Package) -> tuple[int, str]:
    known = package.priority in _PRIORITIES
    return _PRIORITIES.index(package.priority) if known else len(_PRIORITIES), package.name


def findings(path: str | None = None) -> Iterator[Finding]:
    """Say whether this machine can check Debian's archives and assemble a root file system from packages.

    Plugins that do so yield these in their hook ``k8sbuild_doctor``.

    Args:
        path: where programs are looked for, ``$PATH`` by default.
    """
    for name, install, why in _PROGRAMS:
        found = next(filter(None, (shutil.which(program, path=path) for program in name.split("|"))), "")
        yield Finding(name=name.partition("|")[0], ok=bool(found), message=found or f"not found: {why}", fix=install)
    allowed = os.geteuid() == 0 or all(_number(file) != 0 for file in _USER_NAMESPACES)
    message = "may be used" if allowed else "this user may not make any: a root file system cannot be assembled"
    yield Finding(
        name="user-namespaces",
        ok=allowed,
        message=message,
        fix="sysctl kernel.unprivileged_userns_clone=1, or run as root",
    )


def _number(file: str) -> int | None:
    try:
        return int(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def control(deb: IO[bytes]) -> str:
    """Return the control file of a package.

    Raises:
        ValueError: it is no package.
    """
    for name, data in _ar(deb):
        if name.startswith("control.tar"):
            with _tar(name, data) as tar:
                for info in tar:
                    if info.name.removeprefix("./") == "control" and (file := tar.extractfile(info)):
                        return file.read().decode().strip() + "\n"
    raise ValueError("it has no control file")


def files(deb: IO[bytes]) -> tarfile.TarFile:
    """Open the files of a package, as the tar that they come in.

    Raises:
        ValueError: it is no package.
    """
    for name, data in _ar(deb):
        if name.startswith("data.tar"):
            return _tar(name, data)
    raise ValueError("it has no files")


def _tar(name: str, data: bytes) -> tarfile.TarFile:
    """Open a member of a package that is a tar."""
    if name.endswith(".zst"):
        import zstandard

        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    return tarfile.open(fileobj=io.BytesIO(data))


def _ar(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the members of an ar archive."""
    if file.read(8) != b"!<arch>\n":
        raise ValueError("it is no ar archive")
    while header := file.read(60):
        size = int(header[48:58])
        yield header[:16].decode().strip().rstrip("/"), file.read(size)
        file.read(size % 2)
