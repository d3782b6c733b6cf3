"""A small parser and writer of go.mod files (https://go.dev/ref/mod#go-mod-file)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8sbuild.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["ModFile", "bare", "parse", "staging_modules", "with_staging"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|=>|[()]|(?:(?!//)[^\s()"`])+')
_KNOWN = frozenset(
    {"module", "go", "toolchain", "godebug", "require", "exclude", "replace", "retract", "tool", "ignore"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModFile:
    """What a go.mod says.

    ``replaces`` maps ``path`` or ``path@version`` to ``(path, version)``; the
    version is empty where the replacement is a folder.
    """

    module: str = ""
    go: str = ""
    requires: Mapping[str, str] = field(default_factory=dict)
    replaces: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    godebug: Mapping[str, str] = field(default_factory=dict)


def parse(text: str | bytes, name: str = "go.mod") -> ModFile:
    """Parse a go.mod.

    Args:
        text: the file's content.
        name: what error messages call it.

    Raises:
        ResolveError: reason ``bad-go-mod``, with the line number.

    >>> parse("module m\\n\\ngo 1.22\\n\\nrequire a.b/c v1.0.0 // indirect\\n").requires
    {'a.b/c': 'v1.0.0'}
    """
    mod: dict[str, str] = {}
    requires: dict[str, str] = {}
    replaces: dict[str, tuple[str, str]] = {}
    godebug: dict[str, str] = {}
    for number, verb, args in _directives(text if isinstance(text, str) else text.decode(errors="replace"), name):
        match verb, args:
            case (("module" | "go"), [value]):
                mod[verb] = value
            case "require", [path, version]:
                requires[path] = version
            case "replace", _:
                old, new = _replacement(args, name, number)
                replaces[old] = new
            case "godebug", [setting] if "=" in setting:
                key, _, value = setting.partition("=")
                godebug[key] = value
            case (("exclude" | "toolchain" | "retract" | "tool" | "ignore"), _):
                pass
            case _:
                raise _bad(name, number, f"cannot read {verb} {' '.join(args)}")
    return ModFile(
        module=mod.get("module", ""),
        go=mod.get("go", ""),
        requires=requires,
        replaces=replaces,
        godebug=godebug,
    )


def _bad(name: str, number: int, what: str) -> ResolveError:
    return ResolveError(f"{name}:{number}: {what}", reason="bad-go-mod")


def _directives(text: str, name: str) -> Iterator[tuple[int, str, list[str]]]:
    block = ""
    for number, line in enumerate(text.splitlines(), 1):
        words = [_unquote(word) for word in _tokens(line)]
        if not words:
            continue
        if block and words == [")"]:
            block = ""
        elif block:
            yield number, block, words
        elif words[0] not in _KNOWN:
            raise _bad(name, number, f"unknown directive {words[0]!r}")
        elif words[1:] == ["("]:
            block = words[0]
        else:
            yield number, words[0], words[1:]
    if block:
        raise _bad(name, number, f"{block} ( is not closed")


def _tokens(line: str) -> list[str]:
    found: list[str] = []
    position = 0
    while position < len(line):
        if line.startswith("//", position):
            break
        match = _TOKEN.match(line, position)
        if match is None:
            position += 1
            continue
        found.append(match[0])
        position = match.end()
    return found


def _unquote(word: str) -> str:
    if word.startswith('"'):
        return str(json.loads(word))
    return word.strip("`")


def _replacement(args: list[str], name: str, number: int) -> tuple[str, tuple[str, str]]:
    if "=>" not in args:
        raise _bad(name, number, "replace without =>")
    cut = args.index("=>")
    old, new = args[:cut], args[cut + 1 :]
    if not 1 <= len(old) <= 2 or not 1 <= len(new) <= 2:
        raise _bad(name, number, f"cannot read replace {' '.join(args)}")
    return "@".join(old), (new[0], new[1] if len(new) == 2 else "")


def staging_modules(kubernetes_mod: str | bytes) -> tuple[str, ...]:
    """Return the staging modules that Kubernetes' go.mod replaces by its own tree, sorted.

    Modules named ``sample-*`` are examples that nothing links and that not
    every provider can give; they are left out.

    >>> staging_modules("module k8s.io/kubernetes\\nreplace k8s.io/api => ./staging/src/k8s.io/api\\n")
    ('k8s.io/api',)
    """
    return tuple(sorted(path for path in _staging(parse(kubernetes_mod)) if not is_sample(path)))


def _staging(mod: ModFile) -> Iterable[str]:
    replaced = (path for path, (new, _) in mod.replaces.items() if new.startswith("./staging/"))
    # Releases that build with go.work may leave the replace lines out.
    unpublished = (path for path, v in mod.requires.items() if path.startswith("k8s.io/") and v == "v0.0.0")
    return {*replaced, *unpublished}


def is_sample(path: str) -> bool:
    """Tell whether a staging module is one of the examples."""
    return path.rpartition("/")[2].startswith("sample-")


def bare(text: str | bytes) -> str:
    """Return a go.mod with nothing but its module and go line.

    >>> bare("module a.b/c // old\\n\\ngo 1.22\\n\\nrequire a.b/d v1.0.0\\n")
    'module a.b/c\\n\\ngo 1.22\\n'
    """
    mod = parse(text)
    return f"module {mod.module}\n\ngo {mod.go}\n" if mod.go else f"module {mod.module}\n"


def with_staging(text: str, version: str) -> str:
    """Return Kubernetes' go.mod with staging modules at ``version`` and without the examples.

    Every other byte stays as it is.
    """
    staging = set(_staging(parse(text)))
    return "".join(_staging_lines(text.splitlines(keepends=True), staging.__contains__, version))


def _staging_lines(lines: Iterable[str], is_staging: Callable[[str], bool], version: str) -> Iterator[str]:
    for line in lines:
        path = next((word for word in _tokens(line) if is_staging(word)), "")
        if path and is_sample(path):
            continue
        yield re.sub(r"(\s)v0\.0\.0(?=\s|$)", rf"\g<1>{version}", line) if path else line
