"""Writes text files below a folder, as tests lay out what they read, and ledgers of patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ledger", "write"]


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files and the folders that they are in; return ``folder``.

    Args:
        folder: made if it is not there.
        files: text by path relative to the folder.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> write(Path(mkdtemp()), {"pkg/a.go": "package pkg"}).joinpath("pkg/a.go").read_text()
    'package pkg'
    """
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def ledger(*patches: str) -> str:
    """Return a ledger in which there is nothing to find fault with, for patches by their files' names.

    >>> print(ledger("0001-a.patch"))
    ["0001-a.patch"]
    why = "a test"
    upstream = "none"
    applies-to = ">=0"
    owner = "tests"
    <BLANKLINE>
    """
    entry = 'why = "a test"\nupstream = "none"\napplies-to = ">=0"\nowner = "tests"\n'
    return "".join(f'["{name}"]\n{entry}' for name in patches)
