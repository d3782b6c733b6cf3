"""Static programs out of Debian's packages."""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING

from k8sbuild import debian
from k8sbuild.errors import PackageError

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

__all__ = ["programs"]


def programs(ctx: StepContext) -> None:
    """Write the programs of ``params["programs"]``: by name, the package that has them.

    Raises:
        PackageError: ``bad-package``.
    """
    for name, package in ctx.params["programs"].items():
        (deb,) = ctx.path(ctx.params["packages"]).glob(f"{package}_*.deb")
        try:
            _take(deb, name, ctx.out / name)
        except (ValueError, tarfile.TarError) as error:
            raise PackageError(
                f"{ctx.name}: {deb.name} has no {name}: {error}",
                reason="bad-package",
                hint=f"it must be Debian's package {package}",
            ) from None


def _take(deb: Path, name: str, target: Path) -> None:
    with deb.open("rb") as stream, debian.files(stream) as tar:
        # In /bin or in /usr/bin, as its release has it.
        (found,) = (info for info in tar if info.isreg() and info.name.endswith(f"bin/{name}"))
        source = tar.extractfile(found)
        assert source
        with target.open("wb") as file:
            shutil.copyfileobj(source, file)
    target.chmod(0o755)
