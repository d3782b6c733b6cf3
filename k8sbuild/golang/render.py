"""go.mod and go.sum as pure functions of what is locked and declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .semver import compare_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["render_go_mod", "render_go_sum"]


def render_go_mod(
    *,
    module: str,
    go: str,
    requires: Mapping[str, str],
    replaces: Mapping[str, tuple[str, str]] | None = None,
    godebug: Mapping[str, str] | None = None,
) -> str:
    """Return a go.mod: sorted, the same text for the same facts.

    Args:
        module: the main module's path.
        go: its ``go`` line, ``1.25.5``.
        requires: version by module path.
        replaces: ``(path, version)`` by module path; the version is empty for a folder.
        godebug: settings of the ``godebug`` block.

    >>> text = render_go_mod(module="m", go="1.22", requires={"a.b/c": "v1.0.0"}, replaces={"a.b/c": ("../c", "")})
    >>> print(text.expandtabs(4))
    module m
    <BLANKLINE>
    go 1.22
    <BLANKLINE>
    require (
        a.b/c v1.0.0
    )
    <BLANKLINE>
    replace (
        a.b/c => ../c
    )
    <BLANKLINE>
    """
    blocks = [
        _block("godebug", (f"{name}={value}" for name, value in (godebug or {}).items())),
        _block("require", (f"{_quote(path)} {version}" for path, version in requires.items())),
        _block("replace", (_replace_line(old, new) for old, new in (replaces or {}).items())),
    ]
    return "".join([f"module {_quote(module)}\n\ngo {go}\n", *blocks])


def _block(verb: str, lines: Iterable[str]) -> str:
    body = "".join(f"\t{line}\n" for line in sorted(lines))
    return f"\n{verb} (\n{body})\n" if body else ""


def _replace_line(old: str, new: tuple[str, str]) -> str:
    return " ".join(part for part in (_quote(old.replace("@", " ")), "=>", _quote(new[0]), new[1]) if part)


def _quote(word: str) -> str:
    # Folders may hold spaces; a module path never does, but "path version" of a replace has one.
    needs = any(mark in word for mark in "()[]{},\"'`") or (" " in word and word.startswith((".", "/")))
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' if needs else word


def render_go_sum(sums: Mapping[str, tuple[str, str]]) -> str:
    """Return a go.sum.

    Args:
        sums: ``path@version`` to ``(sum of the zip, sum of the .mod)``; an empty sum gives no line.

    >>> print(render_go_sum({"a.b/c@v1.0.0": ("h1:x=", "h1:y=")}), end="")
    a.b/c v1.0.0 h1:x=
    a.b/c v1.0.0/go.mod h1:y=
    """
    lines = []
    for name in sorted(sums, key=lambda name: (name.partition("@")[0], compare_key(name.partition("@")[2]))):
        path, _, version = name.partition("@")
        zip_sum, mod_sum = sums[name]
        lines += [f"{path} {version} {zip_sum}\n"] if zip_sum else []
        lines += [f"{path} {version}/go.mod {mod_sum}\n"] if mod_sum else []
    return "".join(lines)
