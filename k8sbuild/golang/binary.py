"""Facts of a Go ELF binary, read without the go tool.

A Go program says in its own file how it was built: ``.go.buildinfo`` holds the
modules, ``.gopclntab`` the name of every linked function, even when stripped.
Formats: ``debug/buildinfo``, ``debug/gosym`` and ``runtime/symtab.go`` of Go
1.22 to 1.26. The file is mapped and not read, so that memory stays small.

>>> is_static("/bin/true")  # doctest: +SKIP
False
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from k8sbuild.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "BinaryError",
    "BuildInfo",
    "Elf",
    "FunctionTable",
    "Module",
    "build_info",
    "elf_machine",
    "function_packages",
    "function_table",
    "is_static",
    "open_elf",
    "part",
]

_MACHINES = {62: "amd64", 183: "arm64", 243: "riscv64", 21: "ppc64le", 22: "s390x", 258: "loong64"}
_PT_INTERP, _SHT_DYNAMIC, _DT_NEEDED = 3, 6, 1
_INFO_MAGIC = b"\xff Go buildinf:"
_INFO_INLINE = 0x2
_INFO_HEADER = 32
#: Go 1.20 and later; the layout has not changed since.
_PCLNTAB_MAGIC = 0xFFFFFFF1
#: One symbol name, with the import path that it starts with; dots of its last element are ``%2e``.
#: ``a.b/c.F[go.shape.int]``, ``a.b/c.(*T).M-fm`` and ``a.b/c.init.0.func1`` are all of ``a.b/c``: a method's receiver
#: may be a type of another package only inside brackets or parentheses. Compiler-made names such as ``type:.eq.…``
#: belong to no package.
_NAME = re.compile(rb"(?!(?:go|type|gclocals):)((?:[^\0\[(/]*/)*+[^\0\[(/.]*+)\.[^\0]*\0?|[^\0]*\0")

#: Bytes from which on pages are given back after a read.
_LARGE = 1 << 18

Path_ = str | os.PathLike[str]


class BinaryError(BuildError):
    """A file is not the Go ELF binary that was expected, or is damaged.

    ``reason``: ``not-elf``, ``damaged-binary``, ``not-go`` or ``unreadable-binary``.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A linked module; ``replace`` is what it was replaced by (its version is empty for a folder)."""

    path: str
    version: str
    sum: str = ""
    replace: Module | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInfo:
    """What the linker recorded: Go version, main package, its module, the other linked modules, build settings."""

    go: str
    path: str = ""
    main: Module | None = None
    modules: tuple[Module, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    kind: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """A mapped 64-bit ELF file and its tables."""

    data: mmap.mmap
    order: str
    machine: int
    has_interpreter: bool
    sections: Mapping[str, _Section]

    def section(self, name: str) -> _Section:
        """Return a section of a Go binary.

        Position-independent builds prefix some with ``.data.rel.ro``.
        """
        found = self.sections.get(name) or self.sections.get(f".data.rel.ro{name}")
        if found is None:
            raise BinaryError(f"no section {name}: not a Go binary", reason="not-go")
        return found


def is_static(path: Path_) -> bool:
    """Say whether the program needs no loader and no shared library.

    Raises:
        BinaryError: not an ELF file, or damaged.
    """
    with open_elf(path) as elf:
        return not elf.has_interpreter and not any(
            tag == _DT_NEEDED
            for section in elf.sections.values()
            if section.kind == _SHT_DYNAMIC
            for tag, _ in struct.iter_unpack(elf.order + "qQ", part(elf, section.offset, section.size // 16 * 16))
        )


def elf_machine(path: Path_) -> str:
    """Return the machine in Go's words (``amd64``, ``arm64``), or ``elf-<number>``.

    Raises:
        BinaryError: not an ELF file, or damaged.
    """
    with open_elf(path) as elf:
        return _MACHINES.get(elf.machine, f"elf-{elf.machine}")


def build_info(path: Path_) -> BuildInfo:
    """Return what ``go version -m`` would show.

    Raises:
        BinaryError: not a Go ELF binary, or damaged.
    """
    with open_elf(path) as elf:
        section = elf.section(".go.buildinfo")
        header = part(elf, section.offset, _INFO_HEADER)
        if not header.startswith(_INFO_MAGIC) or not header[15] & _INFO_INLINE:
            raise BinaryError("no inline build info: built by Go before 1.18", reason="not-go")
        version, after = _text(elf, section.offset + _INFO_HEADER)
        modinfo, _ = _text(elf, after)
    # The linker puts 16 bytes of marker around the text.
    return _parse_info(version.decode(), modinfo[16:-16].decode())


def function_packages(path: Path_) -> frozenset[str]:
    """Return the import paths of all packages that have a linked function.

    A package whose functions were all inlined or dropped by the linker is not
    among them; ``main`` is. Packages named only in a type argument do not count.

    Raises:
        BinaryError: not a Go ELF binary, or damaged.
    """
    with open_elf(path) as elf:
        table = function_table(elf)
        names = part(elf, table.names, table.names_end - table.names)
    # Not split: a list of all names would take more memory than the rest of a build.
    found = {match[1] for match in _NAME.finditer(names) if match[1]}
    return frozenset(unquote(package.decode()) for package in found if not _is_qualified_method(package, found))


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTable:
    """Where ``.gopclntab`` has what, as offsets in the file.

    At ``functions`` are ``count`` pairs of 32-bit words: the offset of a function's
    code from the start of the text, and of its entry from ``functions``. The
    second word of an entry is the offset of its name from ``names``.
    """

    count: int
    names: int
    names_end: int
    functions: int


def function_table(elf: Elf) -> FunctionTable:
    """Find the function table.

    The header is magic, two zeros, instruction quantum, pointer size, and then
    words: functions, files, start of text, and the offsets of the tables.

    Raises:
        BinaryError: ``not-go`` or ``damaged-binary``.
    """
    section = elf.section(".gopclntab")
    magic, zeros, _, pointer = struct.unpack(elf.order + "IHBB", part(elf, section.offset, 8))
    if magic != _PCLNTAB_MAGIC or zeros or pointer != 8:
        raise BinaryError("the function table has an unknown format", reason="not-go")
    count, _, _, names, after, _, _, functions = struct.unpack(elf.order + "8Q", part(elf, section.offset + 8, 64))
    if not 0 < names < after <= functions <= section.size:
        raise BinaryError("the function table points outside itself", reason="damaged-binary")
    at = section.offset
    return FunctionTable(count=count, names=at + names, names_end=at + after, functions=at + functions)


def _is_qualified_method(package: bytes, found: set[bytes]) -> bool:
    """Say whether a would-be path is ``a/b.T.c.d/e``: a promoted method that ``a/b`` names with its own package."""
    first, *others = package.split(b"/")
    for index, element in enumerate(others):
        if b"." in element and b"/".join([first, *others[:index], element.partition(b".")[0]]) in found:
            return True
    return False


def _parse_info(version: str, text: str) -> BuildInfo:
    path, settings = "", {}
    main: Module | None = None
    modules: list[Module] = []
    for line in text.splitlines():
        kind, _, rest = line.partition("\t")
        if kind == "path":
            path = rest
        elif kind == "mod":
            main = _module(rest)
        elif kind == "dep":
            modules.append(_module(rest))
        elif kind == "=>" and modules:
            modules[-1] = _replaced(modules[-1], _module(rest))
        elif kind == "=>" and main:
            main = _replaced(main, _module(rest))
        elif kind == "build":
            key, _, value = rest.partition("=")
            settings[key] = value
    return BuildInfo(go=version, path=path, main=main, modules=tuple(modules), settings=settings)


def _module(fields: str) -> Module:
    path, version, digest = (*fields.split("\t"), "", "")[:3]
    return Module(path=path, version=version, sum=digest)


def _replaced(module: Module, by: Module) -> Module:
    return Module(path=module.path, version=module.version, sum=module.sum, replace=by)


def _text(elf: Elf, offset: int) -> tuple[bytes, int]:
    """Return the text with a varint length at ``offset``, and the offset after it."""
    size = shift = 0
    while True:
        byte = part(elf, offset, 1)[0]
        size |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if not byte & 0x80:
            return part(elf, offset, size), offset + size
        if shift > 63:
            raise BinaryError("a length in the build info is too long", reason="damaged-binary")


def part(elf: Elf, offset: int, size: int) -> bytes:
    """Return bytes of the file; an offset outside of it is a ``damaged-binary``."""
    return _bytes(elf.data, offset, size)


def _bytes(data: mmap.mmap, offset: int, size: int) -> bytes:
    if offset + size > len(data):
        raise BinaryError("the file is shorter than its tables say", reason="damaged-binary")
    found = data[offset : offset + size]
    if size >= _LARGE:
        # The copy is enough: else every page that was ever looked at stays in our memory.
        start = offset // mmap.PAGESIZE * mmap.PAGESIZE
        data.madvise(mmap.MADV_DONTNEED, start, offset + size - start)
    return found


@contextmanager
def open_elf(path: Path_) -> Iterator[Elf]:
    """Map the file and read its tables; every error names the file."""
    try:
        with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield _read(data)
    except BinaryError as error:
        raise BinaryError(f"{path}: {error.message}", reason=error.reason, hint="build it again") from None
    except OSError as error:
        raise BinaryError(f"{path}: {error.strerror}", reason="unreadable-binary") from error
    except (ValueError, struct.error, UnicodeDecodeError) as error:
        # An empty file cannot be mapped (ValueError); the others are bytes that make no sense.
        reason = "not-elf" if Path(path).stat().st_size == 0 else "damaged-binary"
        raise BinaryError(f"{path}: {error}", reason=reason, hint="build it again") from error


def _read(data: mmap.mmap) -> Elf:
    if data[:4] != b"\x7fELF":
        raise BinaryError("not an ELF file", reason="not-elf")
    ident = _bytes(data, 0, 64)
    if ident[4] != 2:
        raise BinaryError("a 32-bit program", reason="not-elf")
    order = "<" if ident[5] == 1 else ">"
    machine = struct.unpack_from(order + "H", ident, 18)[0]
    segments_at, sections_at = struct.unpack_from(order + "QQ", ident, 32)
    segment_size, segments, section_size, sections, names = struct.unpack_from(order + "5H", ident, 54)
    kinds = (
        struct.unpack(order + "I", _bytes(data, segments_at + index * segment_size, 4))[0] for index in range(segments)
    )
    return Elf(
        data=data,
        order=order,
        machine=machine,
        has_interpreter=_PT_INTERP in kinds,
        sections=_sections(data, order, sections_at, section_size, sections, names),
    )


def _sections(data: mmap.mmap, order: str, at: int, size: int, count: int, names: int) -> dict[str, _Section]:
    headers = [struct.unpack(order + "II4Q", _bytes(data, at + index * size, 40)) for index in range(count)]
    if names >= count:
        return {}
    table = _bytes(data, headers[names][4], headers[names][5])
    return {
        table[name : table.index(b"\0", name)].decode(): _Section(kind=kind, offset=offset, size=length)
        for name, kind, _, _, offset, length in headers
    }
