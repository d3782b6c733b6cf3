"""Who calls a function in a Go program, read from its machine code.

Every linked function is named in the program's own table, so the target of a
direct call instruction and the function that holds it both have names, even in
a stripped program. An inlined function counts as the one that it was inlined
into; a call through a variable or an interface is none of the named function.

>>> callers("dist/artifacts/k8s", ["os.Exit"])  # doctest: +SKIP
{'os.Exit': ('main.main', …)}
"""

from __future__ import annotations

import re
import struct
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

from .binary import BinaryError, elf_machine, function_table, open_elf, part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from .binary import Elf, Path_

__all__ = ["callers", "package_of"]

_PIECE = 1 << 20
#: Bytes of the longest instruction that is looked for.
_LONGEST = 5


def callers(path: Path_, functions: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return, for each of ``functions`` that is linked, the functions that call it directly.

    Args:
        path: a Go program for amd64 or arm64, without cgo.
        functions: names as Go has them, ``os.Exit``, ``log.(*Logger).Fatal``.

    Raises:
        BinaryError: ``unknown-machine``; else as for :func:`k8sbuild.golang.binary.function_packages`.
    """
    machine = elf_machine(path)
    if machine not in _INSTRUCTIONS:
        raise BinaryError(f"{path}: calls of {machine} are not known", reason="unknown-machine")
    with open_elf(path) as elf:
        return _callers(_Names(elf), _calls(elf, _INSTRUCTIONS[machine]), functions)


def package_of(function: str) -> str:
    """Return what a function's name starts with: its package, dots of the last element escaped.

    >>> package_of("k8s.io/kubernetes/pkg/kubelet.(*Kubelet).Run")
    'k8s.io/kubernetes/pkg/kubelet'
    """
    folder, slash, last = function.partition("(")[0].partition("[")[0].rpartition("/")
    return folder + slash + last.partition(".")[0]


class _Names:
    """Names of functions by the place of their code, as offsets from the start of the text."""

    def __init__(self, elf: Elf) -> None:
        self._elf, self._table = elf, function_table(elf)
        self._piece, self._piece_at = b"", 0
        words = array("I", part(elf, self._table.functions, 8 * self._table.count))
        self._starts, self._entries = words[0::2], words[1::2]

    def start(self, name: str) -> Iterator[int]:
        """Yield where the function's code starts; nothing if it is not linked."""
        table = self._table
        at = self._elf.data.find(f"\0{name}\0".encode(), table.names, table.names_end) + 1 - table.names
        pairs = zip(self._starts, self._entries, strict=True)
        yield from (start for start, entry in pairs if at > 0 and self._name(entry) == at)

    def holding(self, offset: int) -> str:
        """Return the name of the function whose code ``offset`` is in."""
        at = self._table.names + self._name(self._entries[bisect_right(self._starts, offset) - 1])
        return self._elf.data[at : self._elf.data.find(b"\0", at)].decode()

    def _name(self, entry: int) -> int:
        at = self._table.functions + entry + 4 - self._piece_at
        if not 0 <= at <= len(self._piece) - 4:
            # Entries are asked for in their order: a piece is read once.
            self._piece_at, at = self._piece_at + at, 0
            self._piece = part(self._elf, self._piece_at, min(_PIECE, len(self._elf.data) - self._piece_at))
        return int.from_bytes(self._piece[at : at + 4], "little")


def _callers(names: _Names, calls: Iterator[tuple[int, int]], functions: Collection[str]) -> dict[str, tuple[str, ...]]:
    wanted = {start: name for name in functions for start in names.start(name)}
    found: dict[str, set[str]] = {name: set() for name in wanted.values()}
    for place, target in calls:
        if target in wanted:
            found[wanted[target]].add(names.holding(place))
    # A function that grows its stack jumps to its own start.
    return {name: tuple(sorted(places - {name})) for name, places in found.items()}


def _calls(elf: Elf, instructions: Callable[[bytes], Iterator[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
    """Yield place and target of the calls in the text, which is read a piece at a time to save memory."""
    text = elf.section(".text")
    for start in range(0, text.size, _PIECE):
        # The last instruction of a piece may begin in it and end in the next.
        code = part(elf, text.offset + start, min(_PIECE + _LONGEST - 1, text.size - start))
        yield from ((start + place, start + target) for place, target in instructions(code))


def _amd64(code: bytes) -> Iterator[tuple[int, int]]:
    """Yield place and target of what may be a ``CALL rel32`` or ``JMP rel32``, at any byte."""
    for match in re.finditer(rb"[\xe8\xe9](?=(.{4}))", code, re.DOTALL):
        yield match.start(), match.start() + 5 + int.from_bytes(match[1], "little", signed=True)


def _arm64(code: bytes) -> Iterator[tuple[int, int]]:
    """Yield place and target of each ``B`` and ``BL``: words of four bytes, the distance in words."""
    for place, (word,) in enumerate(struct.iter_unpack("<I", code[: len(code) // 4 * 4])):
        if word & 0x7C000000 == 0x14000000:
            distance = word & 0x3FFFFFF
            yield 4 * place, 4 * (place + distance - (distance >> 25 << 26))


_INSTRUCTIONS: Mapping[str, Callable[[bytes], Iterator[tuple[int, int]]]] = {"amd64": _amd64, "arm64": _arm64}
