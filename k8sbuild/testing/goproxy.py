"""Writes a module proxy as a folder (https://go.dev/ref/mod#goproxy-protocol)."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from k8sbuild.golang.dirhash import hash_mod, hash_zip

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["publish", "zip_members"]

#: Zip knows no earlier time; Go's own zips carry none.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def publish(proxy: Path, module: str, version: str, files: Mapping[str, bytes], *, time: str) -> tuple[str, str]:
    """Add one version of a module.

    Args:
        proxy: the proxy's folder; ``GOPROXY=file://<proxy>`` reads it.
        module: path in lower case (a proxy escapes capitals, which this does not).
        files: content by path, ``go.mod`` among them; what no module zip holds is left out.
        time: RFC 3339.

    Returns:
        The two lines of a go.sum: of the zip and of its go.mod.

    Raises:
        ValueError: the module's path has capitals.
    """
    if module != module.lower():
        raise ValueError(f"{module}: capitals are not supported")
    folder = proxy / module / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    _zip(folder / f"{version}.zip", f"{module}@{version}/", zip_members(files))
    (folder / f"{version}.mod").write_bytes(files["go.mod"])
    (folder / f"{version}.info").write_text(json.dumps({"Version": version, "Time": time}), encoding="utf-8")
    known = sorted(path.name.removesuffix(".info") for path in folder.glob("*.info"))
    (folder / "list").write_text("".join(f"{name}\n" for name in known), encoding="utf-8")
    zip_sum, mod_sum = hash_zip(folder / f"{version}.zip"), hash_mod(files["go.mod"])
    return f"{module} {version} {zip_sum}\n", f"{module} {version}/go.mod {mod_sum}\n"


def zip_members(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return what a module zip holds of a tree: no nested modules, no vendored packages.

    >>> sorted(zip_members({"go.mod": b"", "a.go": b"", "n/go.mod": b"", "n/b.go": b"", "vendor/x/c.go": b""}))
    ['a.go', 'go.mod']
    """
    nested = {PurePosixPath(path).parent for path in files if path.endswith("/go.mod")}
    return {path: content for path, content in sorted(files.items()) if not _left_out(PurePosixPath(path), nested)}


def _left_out(path: PurePosixPath, nested: set[PurePosixPath]) -> bool:
    # `vendor/modules.txt` is kept: the rule is about packages below vendor.
    vendored = path.parts[0] == "vendor" and len(path.parts) > 2
    return vendored or not nested.isdisjoint(path.parents)


def _zip(target: Path, prefix: str, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(prefix + path, _NO_TIME), content, zipfile.ZIP_DEFLATED)
