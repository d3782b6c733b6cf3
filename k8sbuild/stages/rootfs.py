"""The package stage: a root file system from Debian packages, assembled by mmdebstrap with no network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote

from k8sbuild import debian
from k8sbuild.errors import PackageError, ToolError
from k8sbuild.stages.tar import epoch
from k8sbuild.store.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8sbuild.engine.context import StepContext

__all__ = ["rootfs"]

#: Where the programs are that packages' scripts run.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What mmdebstrap takes from this machine, or says of it.
_OF_THIS_MACHINE = ("etc/apt/sources.list", "etc/apt/sources.list.d/0000*", "etc/hostname", "etc/resolv.conf")


def rootfs(ctx: StepContext) -> None:
    """Write ``params["file"]``: the tar of a system with all packages of ``params["packages"]`` installed.

    Raises:
        ToolError: ``no-mmdebstrap``, ``no-user-namespaces``.
        PackageError: ``bad-package``.
    """
    _refuse(ctx)
    p = ctx.params
    target = ctx.out / p["file"]
    target.parent.mkdir(parents=True, exist_ok=True)
    # What users of a name space shall read cannot be below a folder that only its owner may read.
    with TemporaryDirectory(prefix="k8sbuild-rootfs-", dir=ctx.out if os.geteuid() == 0 else None) as folder:
        Path(folder).chmod(0o755)
        names = _repository(ctx, ctx.path(p["packages"]), Path(folder))
        argv = [*_command(names, p["arch"]), "", target, f"deb [trusted=yes] copy:{quote(folder)} ./"]
        # Whatever the packages' scripts write has one time, and mmdebstrap sorts the tar.
        ctx.exec(argv, env={"PATH": PATH, "SOURCE_DATE_EPOCH": str(epoch(p["date"])), "TMPDIR": folder, "HOME": folder})
    ctx.facts["packages"] = len(names)


def _refuse(ctx: StepContext) -> None:
    found = {finding.name: finding for finding in debian.findings(PATH) if not finding.ok}
    if lacking := found.get("mmdebstrap"):
        raise ToolError(f"{ctx.name}: mmdebstrap {lacking.message}", reason="no-mmdebstrap", hint=lacking.fix)
    if lacking := found.get("user-namespaces"):
        raise ToolError(f"{ctx.name}: name spaces: {lacking.message}", reason="no-user-namespaces", hint=lacking.fix)


def _command(names: Iterable[str], arch: str) -> list[str]:
    clean = " ".join(f'"$1"/{path}' for path in _OF_THIS_MACHINE)
    return [
        "mmdebstrap",
        f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
        "--variant=essential",
        "--format=tar",
        f"--architectures={arch}",
        f"--include={','.join(names)}",
        '--aptopt=APT::Sandbox::User "root"',
        f"--customize-hook=rm -f {clean}",
    ]


def _repository(ctx: StepContext, packages: Path, folder: Path) -> list[str]:
    """Lay out packages as an archive of their own; return their names."""
    names, index = [], []
    for file in sorted(packages.glob("*.deb")):
        try:
            with file.open("rb") as stream:
                text = debian.control(stream)
            (said,) = debian.stanzas(text)
            names.append(said["package"])
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise PackageError(
                f"{ctx.name}: {file.name} is no Debian package: {error}",
                reason="bad-package",
                hint="the source must be one of the deb provider",
            ) from None
        shutil.copy(file, folder / file.name)
        index.append(f"{text}Filename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {sha256_of(file)}\n")
    (folder / "Packages").write_text("\n".join(index), encoding="utf-8")
    return names
