"""Words of the OCI image format: media types, descriptors, and which manifest of an index is for a platform.

Source: https://github.com/opencontainers/image-spec
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["CONFIG", "DIGEST", "INDEX", "INDEXES", "LAYER", "LAYERS", "MANIFEST", "MANIFESTS", "blob_path", "encode"]

_OCI, _DOCKER = "application/vnd.oci.image", "application/vnd.docker"
INDEX, MANIFEST, CONFIG = f"{_OCI}.index.v1+json", f"{_OCI}.manifest.v1+json", f"{_OCI}.config.v1+json"
LAYER = f"{_OCI}.layer.v1.tar"
#: What lists manifests, and what is one, in the order of preference.
INDEXES = (INDEX, f"{_DOCKER}.distribution.manifest.list.v2+json")
MANIFESTS = (MANIFEST, f"{_DOCKER}.distribution.manifest.v2+json")
#: The format's own media type of every layer that is understood.
LAYERS: Mapping[str, str] = {
    **{name: name for name in (LAYER, f"{LAYER}+gzip", f"{LAYER}+zstd")},
    f"{_DOCKER}.image.rootfs.diff.tar": LAYER,
    f"{_DOCKER}.image.rootfs.diff.tar.gzip": f"{LAYER}+gzip",
}
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
LAYOUT_FILE = "oci-layout"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def encode(value: Any) -> bytes:
    """Return the canonical JSON of an index, manifest or configuration.

    >>> encode({"b": 1, "a": []})
    b'{"a":[],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def blob_path(digest: str) -> str:
    """Return where a layout has a blob.

    Raises:
        ValueError: the text is no sha256 digest.

    >>> blob_path("sha256:" + "0" * 64)[:16]
    'blobs/sha256/000'
    """
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no sha256 digest")
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def is_blob(path: str) -> bool:
    """Say whether a path in a layout is that of a blob.

    >>> is_blob("blobs/sha256/" + "0" * 64), is_blob("blobs/sha256/../x")
    (True, False)
    """
    return path.startswith("blobs/sha256/") and DIGEST.fullmatch(path[6:].replace("/", ":", 1)) is not None


def platform_of(descriptor: Mapping[str, Any]) -> str:
    """Return ``os-arch`` of a descriptor in an index, nothing where it does not say."""
    platform = descriptor.get("platform", {})
    return f"{platform['os']}-{platform['architecture']}" if "architecture" in platform else ""


def pick(manifests: Iterable[Mapping[str, Any]], platform: str) -> Mapping[str, Any] | None:
    """Return the descriptor for a platform: the one that says so, or the only one where it says nothing.

    Args:
        platform: ``os-arch`` in Go's words; the empty text takes what is alone.

    >>> rows = [{"digest": "a", "platform": {"os": "linux", "architecture": arch}} for arch in ("amd64", "arm64")]
    >>> pick(rows, "linux-arm64") == rows[1], pick(rows, "")
    (True, None)
    """
    rows = [row for row in manifests if platform_of(row) != "unknown-unknown"]
    found = [row for row in rows if platform_of(row) == platform]
    alone = len(rows) == 1 and (not platform or not platform_of(rows[0]))
    return next(iter(found), rows[0] if alone else None)
