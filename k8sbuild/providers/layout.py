"""Layouts: one tree for one source, whoever provided it.

``canonical`` is Kubernetes' own git tree, restricted to what every provider
can give; a patch made with ``git diff`` in an upstream checkout applies to it.
"""

from __future__ import annotations

import os
import shutil
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.errors import FetchError
from k8sbuild.golang.modfile import bare, staging_modules, with_staging
from k8sbuild.golang.semver import staging_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .base import Request

__all__ = ["apply", "as_is", "canonical", "module", "toolchain"]

STAGING = Path("staging", "src")

#: What no module zip holds, or what holds for one provider's transport only.
_NEVER_FOLDERS = frozenset({".git", "vendor"})
_NEVER_FILES = frozenset({"go.work", "go.work.sum"})


def apply(folder: Path, request: Request, commit: str = "") -> None:
    """Bring what lies in ``folder`` into the request's layout.

    Args:
        folder: the source as the provider unpacked it.
        request: gives layout, version, and the name for messages.
        commit: the commit that ``git archive`` wrote into the files, where it did.

    Raises:
        FetchError: reason ``bad-layout``: the source is not what the layout asks for.
    """
    if request.layout == "canonical":
        canonical(folder, request.version, commit, name=request.name)
    elif request.layout in ("module", "bare"):
        module(folder, commit)
        if request.layout == "bare":
            _bare(folder, request.name)
    elif request.layout == "toolchain":
        toolchain(folder, name=request.name)
    else:
        as_is(folder)


def canonical(folder: Path, version: str, commit: str = "", *, name: str = "kubernetes") -> None:
    """Make Kubernetes' tree canonical, in place.

    Staging modules keep their place with a go.mod of module and go line only
    (they are built as parts of one build list); examples, nested modules,
    ``vendor``, links and go.work go; modes become 0644.

    Raises:
        FetchError: reason ``bad-layout``.
    """
    text = _go_mod(folder, name)
    wanted = staging_modules(text)
    missing = [path for path in wanted if not (folder / STAGING / path / "go.mod").is_file()]
    if missing:
        raise _bad(name, f"no {STAGING / missing[0]} ({len(missing)} of {len(wanted)} staging modules are missing)")
    keep = {folder / STAGING / path for path in wanted}
    _restore(folder, commit)
    _prune(folder, keep)
    _write(folder / "go.mod", with_staging(text, staging_version(version)))
    for root in keep:
        _bare(root, name)


def module(folder: Path, commit: str = "") -> None:
    """Make a Go module's tree what its zip holds, in place; modes become 0644."""
    _restore(folder, commit)
    _prune(folder, set())


def as_is(folder: Path) -> None:
    """Keep everything but links and special files; modes become 0644 or 0755, in place."""
    for path in _entries(folder):
        if path.is_symlink() or not path.is_file():
            path.unlink()
        else:
            path.chmod(0o755 if path.stat().st_mode & 0o111 else 0o644)
    _folders(folder)


def toolchain(folder: Path, *, name: str = "go") -> None:
    """Make a GOROOT usable, in place: tools executable, ``_go.mod`` files under their own name.

    Raises:
        FetchError: reason ``bad-layout``: there is no ``bin/go``.
    """
    if not (folder / "bin" / "go").is_file():
        raise _bad(name, "no bin/go in it")
    for path in _entries(folder):
        relative = path.relative_to(folder).as_posix()
        path.chmod(0o755 if relative.startswith(("bin/", "pkg/tool/")) else 0o644)
        # A module zip cannot hold a nested go.mod, so Go's own is published under this name.
        if path.name == "_go.mod":
            path.rename(path.with_name("go.mod"))
    _folders(folder)


def _go_mod(folder: Path, name: str) -> str:
    try:
        return (folder / "go.mod").read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise _bad(name, "no go.mod at its top") from None


def _bad(name: str, what: str) -> FetchError:
    return FetchError(
        f"{name}: {what}",
        reason="bad-layout",
        hint="the location must hold the source's top folder; see `k8sbuild plugins` for what is asked",
    )


def _prune(folder: Path, keep: set[Path]) -> None:
    """Drop what a module zip would not hold; ``keep`` are the nested modules that stay."""
    for path in _entries(folder):
        if path.is_symlink() or not path.is_file() or path.name in _NEVER_FILES:
            path.unlink()
        else:
            path.chmod(0o644)
    nested = [path.parent for path in _entries(folder) if path.name.lower() == "go.mod" and path.parent != folder]
    doomed = [root for root in nested if root not in keep]
    doomed += [path for path in folder.rglob("*") if path.name in _NEVER_FOLDERS and path.is_dir()]
    for root in doomed:
        shutil.rmtree(root, ignore_errors=True)
    _folders(folder)


def _bare(root: Path, name: str) -> None:
    """Leave a module without requirements; drop what differs between a staging folder and its published module."""
    _write(root / "go.mod", bare(_go_mod(root, name)))
    (root / "go.sum").unlink(missing_ok=True)
    for path in list(root.rglob(".gitattributes")):
        path.unlink()
    _folders(root)


def _restore(folder: Path, commit: str) -> None:
    """Undo what ``git archive`` wrote into files marked ``export-subst``; leave out what cannot be undone.

    Go sources hold the commit only, which is known. Others (shell scripts
    with the names of refs) are left out whoever provides them.
    """
    for attributes in list(folder.rglob(".gitattributes")):
        for path in _marked(attributes):
            if path.suffix != ".go":
                path.unlink()
            elif commit:
                path.write_bytes(path.read_bytes().replace(commit.encode(), b"$Format:%H$"))


def _marked(attributes: Path) -> Iterator[Path]:
    if not attributes.is_file() or attributes.is_symlink():
        return
    lines = (line.split() for line in attributes.read_text(encoding="utf-8", errors="replace").splitlines())
    patterns = [words[0] for words in lines if "export-subst" in words[1:]]
    for path in _entries(attributes.parent) if patterns else ():
        relative = path.relative_to(attributes.parent).as_posix()
        if path.is_file() and not path.is_symlink() and any(_matches(relative, pattern) for pattern in patterns):
            yield path


def _matches(relative: str, pattern: str) -> bool:
    whole = relative if "/" in pattern else relative.rpartition("/")[2]
    return fnmatchcase(whole, pattern.removeprefix("/"))


def _entries(folder: Path) -> list[Path]:
    """Return everything below ``folder`` that is no real folder."""
    found: list[Path] = []
    for root, folders, files in os.walk(folder):
        found += [Path(root, name) for name in files]
        found += [path for name in folders if (path := Path(root, name)).is_symlink()]
    return found


def _folders(folder: Path) -> None:
    """Drop empty folders; the others get mode 0755."""
    for root, folders, files in os.walk(folder, topdown=False):
        children: Iterable[str] = [*files, *(name for name in folders if Path(root, name).exists())]
        if not children and Path(root) != folder:
            Path(root).rmdir()
        else:
            Path(root).chmod(0o755)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
