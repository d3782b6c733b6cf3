"""gzip's form without compression: what every tool reads, and no release of a compressor decides its bytes.

Source: RFC 1951, section 3.2.4; RFC 1952
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import IO, Any

__all__ = ["Stored"]

#: No name, no time, unknown system.
_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
#: Bytes that a block can have.
_BLOCK = 0xFFFF


class Stored(io.RawIOBase):
    """Writes gzip's form of what is written to it; it is whole once this is closed, which leaves ``below`` open.

    >>> import gzip
    >>> out = io.BytesIO()
    >>> with Stored(out) as stream:
    ...     stream.write(b"text")
    4
    >>> gzip.decompress(out.getvalue())
    b'text'
    """

    def __init__(self, below: IO[bytes]) -> None:
        self._below = below
        self._waiting = bytearray()
        self._sum = self._size = 0
        below.write(_HEAD)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._sum = zlib.crc32(data, self._sum)
        self._size += len(data)
        rest = memoryview(data)
        # What may be the last block waits.
        while len(self._waiting) + len(rest) > _BLOCK:
            missing = _BLOCK - len(self._waiting)
            self._block(self._waiting + rest[:missing] if self._waiting else rest[:missing], last=False)
            self._waiting.clear()
            rest = rest[missing:]
        self._waiting += rest
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._block(self._waiting, last=True)
            self._below.write(struct.pack("<II", self._sum, self._size & 0xFFFFFFFF))
        super().close()

    def _block(self, data: bytes | bytearray | memoryview, *, last: bool) -> None:
        self._below.write(struct.pack("<BHH", last, len(data), len(data) ^ _BLOCK))
        self._below.write(data)
