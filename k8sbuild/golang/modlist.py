"""The build list: minimal version selection over declared requirements, done by ``go list``.

``go mod tidy`` is never run: what is required is the union of what the roots'
.mod files say, and ``go`` only raises it to a consistent list.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.errors import FetchError, ResolveError

from .client import GoClient, documents
from .modfile import parse
from .render import render_go_mod
from .semver import compare_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from k8sbuild.progress import Progress

__all__ = ["Module", "build_list", "expand", "highest", "requirers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module of a build list; ``replace_path``/``replace_version`` say whose code it is, where replaced."""

    path: str
    version: str
    replace_path: str = ""
    replace_version: str = ""
    go: str = ""

    @property
    def code(self) -> tuple[str, str]:
        """Path and version of the code that is used."""
        return self.replace_path or self.path, self.replace_version or self.version

    @property
    def name(self) -> str:
        """``path@version`` of the code that is used."""
        return "@".join(self.code)


def highest(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the highest version of each module path.

    >>> highest([("a.b/c", "v1.9.0"), ("a.b/d", "v0.1.0"), ("a.b/c", "v1.10.0")])
    {'a.b/c': 'v1.10.0', 'a.b/d': 'v0.1.0'}
    """
    found: dict[str, str] = {}
    for path, version in pairs:
        found[path] = max(found.get(path, version), version, key=compare_key)
    return found


def expand(client: GoClient, roots: Sequence[tuple[str, str]], drop: Callable[[str], bool]) -> dict[str, str]:
    """Return the union of the roots' own requirements, with the roots; the highest version wins.

    Args:
        client: asks for the .mod files (uses the network).
        roots: ``(path, version)`` of each.
        drop: tells which module paths are left out (staging modules, patched sources).

    Raises:
        FetchError: a .mod cannot be had.

    >>> expand(client, [("k8s.io/kubernetes", "v1.31.4")], lambda path: path.startswith("k8s.io/"))  # doctest: +SKIP
    {'github.com/blang/semver/v4': 'v4.0.0', ...}
    """
    with ThreadPoolExecutor(max_workers=4) as pool:
        texts = list(pool.map(lambda root: mod_file(client, f"{root[0]}@{root[1]}"), roots))
    pairs = [*roots, *(pair for text in texts for pair in parse(text).requires.items())]
    return dict(sorted(highest(pair for pair in pairs if not drop(pair[0])).items()))


def mod_file(client: GoClient, module: str) -> bytes:
    """Return the .mod of ``path@version`` without downloading its zip."""
    return Path(client.query(module)["GoMod"]).read_bytes()


def build_list(
    client: GoClient,
    *,
    module_path: str,
    go: str,
    requires: Mapping[str, str],
    replaces: Mapping[str, tuple[str, str]],
    scratch: Path,
    progress: Progress = lambda _what, _done, _total: None,
) -> tuple[Module, ...]:
    """Raise ``requires`` to a consistent build list.

    Args:
        client: a Go not older than any module's ``go`` line.
        module_path: path of the main module.
        go: its ``go`` line; where a module asks for more, ``go`` raises it.
        requires: the union that :func:`expand` made.
        replaces: ``(path, version)`` by module path.
        scratch: folder to work in; its go.mod is raised too.
        progress: told how many modules' requirements have been downloaded.

    Returns:
        the modules of ``requires``, none else, at the versions they have in the list.

    Raises:
        ResolveError: reasons of :mod:`k8sbuild.golang.failures`; ``go-too-old`` carries ``details["go"]``.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    text = render_go_mod(module=module_path, go=go, requires=requires, replaces=replaces)
    (scratch / "go.mod").write_text(text, encoding="utf-8")
    try:
        take = _Gets(progress)
        output = client.run(["list", "-x", "-mod=mod", "-m", "-json", "all"], scratch, network=True, take=take)
    except FetchError as error:
        raise ResolveError(
            f"build list: {error.message}", reason=error.reason, hint=error.hint, details=error.details, log=error.log
        ) from None
    listed = {entry["Path"]: entry for entry in documents(output) if not entry.get("Main")}
    return tuple(_module(listed[path]) for path in sorted(requires) if path in listed)


class _Gets:
    """Counts the .mod files among the downloads that ``go -x`` names; takes those lines out of the output."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._count = 0

    def __call__(self, line: str) -> bool:
        if re.match(r"# get \S+\.mod: 200", line):
            self._count += 1
            self._progress("requirements", self._count, 0)
        return line.startswith("# get ")


def requirers(client: GoClient, modules: Sequence[Module], scratch: Path) -> dict[str, str]:
    """Return the first module of a build list that requires each ``path@version``.

    Args:
        client: which has all .mod files since :func:`build_list`.
        modules: the build list.
        scratch: the folder in which :func:`build_list` made it.
    """
    listed = {f"{m.path}@{m.version}" for m in modules}
    edges = (line.split(" ") for line in client.run(["mod", "graph"], scratch, network=True).splitlines())
    return {to: source.partition("@")[0] for source, to in sorted(edges, reverse=True) if source in listed}


def _module(entry: Mapping[str, object]) -> Module:
    # json gives objects; these fields are documented as strings in `go help list`.
    replaced = entry.get("Replace")
    other: Mapping[str, object] = replaced if isinstance(replaced, dict) else {}
    return Module(
        path=str(entry["Path"]),
        version=str(entry["Version"]),
        replace_path=str(other.get("Path", "")),
        replace_version=str(other.get("Version", "")),
        go=str(other.get("GoVersion", entry.get("GoVersion", ""))),
    )
