"""Writes a git repository without git: the same bytes on every machine, in milliseconds.

The format is that of https://git-scm.com/book/en/v2/Git-Internals-Git-Objects:
loose objects, one commit, one annotated tag.
"""

from __future__ import annotations

import zlib
from hashlib import sha1
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["write"]

_WHO = "Upstream <upstream@example.org>"


def write(root: Path, files: Mapping[str, tuple[int, bytes]], *, tag: str, time: int) -> str:
    """Write a bare repository with one commit of ``files`` on ``master``, tagged ``tag``.

    Args:
        root: the folder to make.
        files: git's mode (0o100644, 0o100755, 0o120000) and content by path.
        tag: name of the annotated tag.
        time: seconds since the epoch, of commit and tag.

    Returns:
        The commit, 40 hex digits.
    """
    root.mkdir(parents=True)
    tree = _tree(root, files)
    stamp = f"{_WHO} {time} +0000"
    commit = _put(root, "commit", f"tree {tree}\nauthor {stamp}\ncommitter {stamp}\n\nRelease {tag}\n".encode())
    text = f"object {commit}\ntype commit\ntag {tag}\ntagger {stamp}\n\n{tag}\n"
    _ref(root, f"refs/tags/{tag}", _put(root, "tag", text.encode()))
    _ref(root, "refs/heads/master", commit)
    (root / "HEAD").write_text("ref: refs/heads/master\n", encoding="utf-8")
    (root / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n", encoding="utf-8")
    return commit


def _tree(root: Path, files: Mapping[str, tuple[int, bytes]]) -> str:
    here = {name: entry for name, entry in files.items() if "/" not in name}
    below: dict[str, dict[str, tuple[int, bytes]]] = {}
    for name, entry in files.items():
        folder, slash, rest = name.partition("/")
        if slash:
            below.setdefault(folder, {})[rest] = entry
    # Git sorts a folder as if its name ended in a slash.
    rows = [(name, mode, _put(root, "blob", content)) for name, (mode, content) in here.items()]
    rows += [(f"{name}/", 0o40000, _tree(root, content)) for name, content in below.items()]
    return _put(root, "tree", b"".join(_row(*row) for row in sorted(rows)))


def _row(name: str, mode: int, digest: str) -> bytes:
    return f"{mode:o} {name.rstrip('/')}".encode() + b"\0" + bytes.fromhex(digest)


def _put(root: Path, kind: str, content: bytes) -> str:
    data = f"{kind} {len(content)}".encode() + b"\0" + content
    digest = sha1(data, usedforsecurity=False).hexdigest()
    path = root / "objects" / digest[:2] / digest[2:]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zlib.compress(data, 1))
    return digest


def _ref(root: Path, name: str, digest: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(digest + "\n", encoding="utf-8")
