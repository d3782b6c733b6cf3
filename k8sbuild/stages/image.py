"""The package stage: container images as an OCI layout in one tar, which Docker takes as well.

Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from k8sbuild import oci
from k8sbuild.stages.base import Blob
from k8sbuild.stages.layers import made_base, made_layer
from k8sbuild.stages.tar import Member, epoch, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from k8sbuild.engine.context import StepContext
    from k8sbuild.stages.base import Base, Layer

__all__ = ["image"]


def image(ctx: StepContext) -> None:
    """Write ``params["file"]``: the base's layers, the build's own, configuration, index and ``manifest.json``.

    The digests of the manifest and of the own layers are facts.
    """
    p = ctx.params
    base = made_base(ctx, p["base"], p["below"])
    own = {name: made_layer(ctx, address) for name, address in p["layers"]}
    layers = [*base.layers, *own.values()]
    config = _json(oci.CONFIG, _config(p, base, own))
    manifest = _json(
        oci.MANIFEST,
        {
            "schemaVersion": 2,
            "mediaType": oci.MANIFEST,
            "config": config.descriptor(),
            "layers": [layer.blob.descriptor() for layer in layers],
        },
    )
    write_file(ctx, _layout(p, manifest, config, layers))
    ctx.facts["image"] = manifest.digest
    ctx.facts["layers"] = {name: layer.blob.digest for name, layer in own.items()}


def _json(media_type: str, value: Any) -> Blob:
    data = oci.encode(value)
    return Blob(media_type=media_type, digest=f"sha256:{sha256(data).hexdigest()}", size=len(data), content=data)


def _config(p: Mapping[str, Any], base: Base, own: Mapping[str, Layer]) -> dict[str, Any]:
    os, _, arch = p["platform"].partition("-")
    created = datetime.fromtimestamp(epoch(p["date"]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    history = [{"created": created, "created_by": f"k8sbuild: {name}"} for name in own]
    kept = {name: base.config[name] for name in ("variant", "os.version", "os.features") if name in base.config}
    return {
        **kept,
        "created": created,
        "architecture": arch,
        "os": os,
        "config": _run(p["config"], base.config.get("config") or {}),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in (*base.layers, *own.values())]},
        "history": [*base.history, *history],
    }


def _run(given: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the image is run: the base's, with what is given in its place."""
    old = {name: value for name, value in base.items() if name != "Cmd" or not given["Entrypoint"]}
    env = dict(text.partition("=")[::2] for text in base.get("Env") or ()) | given["Env"]
    labels = {**(base.get("Labels") or {}), **given["Labels"]}
    new = {**given, "Env": [f"{name}={value}" for name, value in env.items()], "Labels": labels}
    return {**old, **{name: value for name, value in new.items() if value}}


def _layout(p: Mapping[str, Any], manifest: Blob, config: Blob, layers: Iterable[Layer]) -> dict[str, Member]:
    """Return the files of the layout, with what Docker looks for beside it."""
    os, _, arch = p["platform"].partition("-")
    name: str = p["reference"]
    said = {"org.opencontainers.image.ref.name": name.rpartition(":")[2], "io.containerd.image.name": name}
    row = {**manifest.descriptor(), "platform": {"os": os, "architecture": arch}, "annotations": said}
    index = {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": [row]}
    blobs = [layer.blob for layer in layers]
    places = [oci.blob_path(blob.digest) for blob in blobs]
    docker = [{"Config": oci.blob_path(config.digest), "RepoTags": [name], "Layers": places}]
    files: dict[str, bytes | Path] = {
        oci.LAYOUT_FILE: oci.LAYOUT,
        "index.json": oci.encode(index),
        "manifest.json": oci.encode(docker),
        **{oci.blob_path(blob.digest): blob.content for blob in (manifest, config, *blobs)},
    }
    return {path: Member(mode=0o644, content=content) for path, content in files.items()}
