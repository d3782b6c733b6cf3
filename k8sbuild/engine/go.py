"""``go`` as steps run it: the build's own toolchain and modules, nothing of the user's, no network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.build import host_platform
from k8sbuild.errors import PlanError
from k8sbuild.store.layout import touch
from k8sbuild.store.tree import Tree

from .address import parse
from .inside import inside, lay_out, shared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .context import StepContext
    from .parts import GoParts

__all__ = ["Go", "environment", "environment_of", "prepared", "proxy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """``go`` in the work tree of a module, every tree that it needs laid out beside it.

    Args:
        module: the folder.
        env: its whole environment.
        parts: what it is made of.

    Example, in a check's function::

        packages = ctx.go(ctx.params["module"])("list", "-deps", "./cmd/server").splitlines()
    """

    ctx: StepContext
    module: Path
    env: Mapping[str, str]
    parts: GoParts

    def __call__(self, *words: str, env: Mapping[str, str] | None = None, **rest: Any) -> str:
        """Run ``go`` with some words and return its output; ``rest`` as for :meth:`StepContext.exec`."""
        return self.ctx.exec([self.tool("go"), *words], cwd=self.module, env={**self.env, **(env or {})}, **rest)

    def tool(self, name: str) -> str:
        """Return the path of ``go`` or ``gofmt``."""
        return str(Path(self.env["GOROOT"]) / "bin" / name)


def prepared(ctx: StepContext, module: str, *, os: str, arch: str, cgo: bool) -> Go:
    """Lay out a module with what it needs; see :meth:`StepContext.go`."""
    parts = inside(ctx).go_parts.get(module)
    if parts is None:
        raise PlanError(f"{ctx.name} uses {module}, no Go module that it declares", reason="undeclared-input")
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Looks at the toolchain and the modules, beside the source trees.
        env = pool.submit(environment_of, ctx, parts, os=os, arch=arch, cgo=cgo)
        folder, *_ = ctx.paths([module, *parts.trees])
    return Go(ctx=ctx, module=folder, env=env.result(), parts=parts)


def environment_of(
    ctx: StepContext, parts: GoParts, *, os: str = "", arch: str = "", cgo: bool = False
) -> dict[str, str]:
    """Return the whole environment of ``go`` for a step, by default for this machine."""
    host = host_platform()
    folders = inside(ctx).folders
    temporary = folders.scratch / "go"
    temporary.mkdir(parents=True, exist_ok=True)
    touch(folders.gocache)
    env = environment(
        root=_root(ctx, parts),
        modcache=folders.cache / "modcache",
        gocache=folders.gocache,
        modules=proxy(ctx, parts.zips) if parts.zips else None,
        os=os or host.os,
        arch=arch or host.arch,
        cgo=cgo,
    )
    return {**env, "GOTMPDIR": str(temporary)}


def proxy(ctx: StepContext, zips: str) -> Path:
    """Lay out a build's modules for ``go`` to get, and return the folder.

    Zips that it has extracted it does not ask for, and they are most of what there is to write.
    """
    from k8sbuild.golang.modcache import extracted

    tree, folders = ctx.tree(zips), inside(ctx).folders
    zipped = (path for path in tree.entries if path.startswith("cache/download/"))
    asked = {path: tree.entries[path] for path in zipped if not extracted(folders.cache / "modcache", path)}
    folder = folders.work / parse(zips).folder
    lay_out(ctx, Tree(asked), folder)
    return folder


def environment(
    *, root: Path, modcache: Path, gocache: Path, modules: Path | None, os: str, arch: str, cgo: bool
) -> dict[str, str]:
    """Return an environment of ``go`` with nothing of the user's and no network.

    Modules come from the build's own file-system proxy and are held against go.sum by ``go``.

    Args:
        root: GOROOT.
        modcache, gocache: folders of extracted modules and of compiled packages.
        modules: the build's modules; none for a main module that has them itself.
    """
    return {
        "PATH": f"{root / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "GOROOT": str(root),
        "GOENV": "off",
        "GOWORK": "off",
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "GOPROXY": (modules / "cache" / "download").as_uri() if modules else "off",
        "GOSUMDB": "off",
        "GONOSUMDB": "",
        "GOPRIVATE": "",
        "GOMODCACHE": str(modcache),
        "GOCACHE": str(gocache),
        "GOOS": os,
        "GOARCH": arch,
        "GOAMD64": "v1",
        "GOARM64": "v8.0",
        "CGO_ENABLED": "1" if cgo else "0",
    }


def _root(ctx: StepContext, parts: GoParts) -> Path:
    """Return GOROOT: the locked toolchain, written once and shared by all builds, or the user's."""
    if parts.toolchain not in inside(ctx).trees:
        if parts.release != parts.pinned:
            ctx.warn(f"--toolchain has {parts.release}, pinned is {parts.pinned}")
        return Path(parts.toolchain)
    return shared(ctx, parts.toolchain, parts.toolchain.rpartition("/")[2])
