"""The lines of the table, one module each."""

from __future__ import annotations

from . import (
    beside,
    boot,
    cold,
    edit,
    image,
    large,
    memory,
    node,
    noop,
    own_share,
    patch_check,
    removal,
    same_bytes,
    soak,
    storage,
    validation,
)

__all__ = ["LINES"]

#: In the order of the table. The first ones fill the compile cache for those after them.
LINES = (
    noop.LINE,
    own_share.LINE,
    cold.LINE,
    *edit.LINES,
    patch_check.LINE,
    validation.LINE,
    memory.LINE,
    same_bytes.LINE,
    *boot.LINES,
    *removal.LINES,
    *storage.LINES,
    beside.LINE,
    large.LINE,
    soak.LINE,
    *node.LINES,
    *image.LINES,
)
