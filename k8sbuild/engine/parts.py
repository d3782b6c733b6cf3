"""What the code of a Go module is compiled with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GoParts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoParts:
    """What the code of a Go module is compiled with.

    Args:
        zips: address of its modules' zips; empty where the module has them itself, in ``vendor/``.
        trees: addresses of the sources whose trees stand for required modules.
        toolchain: address of the locked Go release, or the folder (GOROOT) of the user's own.
        release: such as ``go1.25.5``.
        pinned: the release that the lock would give.
    """

    zips: str
    trees: tuple[str, ...]
    toolchain: str
    release: str
    pinned: str
