"""A stand-in for a container registry: images put into a folder that :func:`k8sbuild.testing.server.serve` gives.

::

    registry.push(folder, "group/base", "v1", registry.image({"etc/os-release": b"ID=toy"}))
    with serve(folder, realm=Realm(token="t")) as server:
        location = f"{server.address}/group/base"
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from k8sbuild import oci

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["image", "push", "upon"]


def image(files: Mapping[str, bytes], *, platform: str = "linux-amd64", env: Sequence[str] = ()) -> dict[str, bytes]:
    """Return an image of one compressed layer as the files of an OCI layout.

    Args:
        files: content by path in the image.
        platform: ``os-arch``.
        env: ``NAME=value``.
    """
    tar = _tar(files)
    os, _, arch = platform.partition("-")
    found: dict[str, bytes] = {oci.LAYOUT_FILE: oci.LAYOUT}
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(tar).hexdigest()}"]}
    config = {"os": os, "architecture": arch, "config": {"Env": list(env)}, "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "mediaType": oci.MANIFEST,
        "config": _add(found, oci.encode(config), oci.CONFIG),
        "layers": [_add(found, gzip.compress(tar, mtime=0), f"{oci.LAYER}+gzip")],
    }
    row = _add(found, oci.encode(manifest), oci.MANIFEST)
    row["platform"] = {"os": os, "architecture": arch}
    return {**found, "index.json": oci.encode({"schemaVersion": 2, "manifests": [row]})}


def upon(base: Mapping[str, bytes], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return an image with one more layer, of programs, as the files of an OCI layout.

    Args:
        base: files of an OCI layout with one image.
        files: content by path in the image.
    """
    (row,) = json.loads(base["index.json"])["manifests"]
    manifest = json.loads(base[oci.blob_path(row["digest"])])
    config = json.loads(base[oci.blob_path(manifest["config"]["digest"])])
    replaced = ("index.json", *(oci.blob_path(digest) for digest in (row["digest"], manifest["config"]["digest"])))
    found = {name: data for name, data in base.items() if name not in replaced}
    tar = _tar(files, mode=0o755)
    config["rootfs"]["diff_ids"].append(f"sha256:{sha256(tar).hexdigest()}")
    config.setdefault("history", []).append({"created_by": "stand-in"})
    manifest["config"] = _add(found, oci.encode(config), oci.CONFIG)
    manifest["layers"].append(_add(found, gzip.compress(tar, mtime=0), f"{oci.LAYER}+gzip"))
    new = _add(found, oci.encode(manifest), oci.MANIFEST)
    index = {"schemaVersion": 2, "manifests": [{**row, **new}]}
    return {**found, "index.json": oci.encode(index)}


def _tar(files: Mapping[str, bytes], mode: int = 0o644) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as layer:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            layer.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _add(files: dict[str, bytes], data: bytes, media_type: str) -> dict[str, Any]:
    """Add a blob and return its descriptor."""
    digest = f"sha256:{sha256(data).hexdigest()}"
    files[oci.blob_path(digest)] = data
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def push(folder: Path, repository: str, tag: str, *layouts: Mapping[str, bytes]) -> str:
    """Put an image under a tag; return the digest that the tag names.

    Args:
        folder: what the server gives.
        layouts: files of an OCI layout with one image, for each platform.
    """
    place = folder / "v2" / repository
    rows = [row for layout in layouts for row in json.loads(layout["index.json"])["manifests"]]
    for layout in layouts:
        for path, data in layout.items():
            if path.startswith("blobs/"):
                digest = f"sha256:{sha256(data).hexdigest()}"
                known = any(row["digest"] == digest for row in rows)
                _put(place / ("manifests" if known else "blobs") / digest, data)
    alone = layouts[0][oci.blob_path(rows[0]["digest"])]
    named = alone if len(rows) == 1 else oci.encode({"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": rows})
    digest = f"sha256:{sha256(named).hexdigest()}"
    for name in (tag, digest):
        _put(place / "manifests" / name, named)
    tags = [path.name for path in (place / "manifests").iterdir() if ":" not in path.name]
    _put(place / "tags/list", json.dumps({"name": repository, "tags": sorted(tags)}).encode())
    return digest


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
