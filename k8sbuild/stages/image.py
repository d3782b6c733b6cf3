"""The package stage: container images as an OCI layout in one tar, which Docker takes as well.

Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from k8sbuild import oci
from k8sbuild.errors import PackageError
from k8sbuild.stages import licences
from k8sbuild.stages.base import SCRATCH, Base, Blob, Layer, base_of, layer_of
from k8sbuild.stages.folders import WHITEOUT, Folders
from k8sbuild.stages.tar import Member, epoch, placed, write_file, write_tar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k8sbuild.engine.context import StepContext

__all__ = ["image"]


def image(ctx: StepContext) -> None:
    """Write ``params["file"]``: the base's layers, the build's own, configuration, index and ``manifest.json``.

    The digests of the manifest and of the own layers are facts.
    """
    p = ctx.params
    with TemporaryDirectory(dir=ctx.out) as folder:
        base = base_of(ctx, p["base"], p["platform"], Path(folder)) if p["base"] else SCRATCH
        there = Folders(**json.loads(ctx.read(p["folders"]))) if p["base"] else Folders()
        own = {row["name"]: _layer(ctx, row, there, Path(folder, f"{n}.tar")) for n, row in enumerate(p["layers"])}
        if "licences" in p:
            own["licences"] = _written(ctx, licences.of_binaries(ctx), there, Path(folder, "licences.tar"))
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
        members = _layout(p, manifest, config, layers)
        write_file(ctx, members)
    ctx.facts["image"] = manifest.digest
    ctx.facts["layers"] = {name: layer.blob.digest for name, layer in own.items()}


def _layer(ctx: StepContext, row: Mapping[str, Any], there: Folders, target: Path) -> Layer:
    """Write a layer of the build's own, with the folders that are not there yet."""
    found = placed(ctx, [file for file in row["files"] if file["address"]])
    for file in row["files"]:
        if not file["address"]:
            if file["path"] in found:
                raise _clash(ctx, file["path"])
            mode = 0o777 if file["link"] else 0o755
            mode = mode if file["mode"] is None else file["mode"]
            found[file["path"]] = Member(mode=mode, link=file["link"], uid=file["uid"], gid=file["gid"])
    return _written(ctx, found, there, target)


def _written(ctx: StepContext, members: dict[str, Member], there: Folders, target: Path) -> Layer:
    _check(ctx, members)
    _make(members, there)
    return layer_of(target, lambda out: write_tar(out, members, epoch(ctx.params["date"])))


def _make(members: dict[str, Member], there: Folders) -> None:
    """Add the folders around members: tools that load images do so themselves, but only for their owner to enter."""
    for name, member in sorted(members.items()):
        there.take(name, folder=not member.link and member.content is None, link=member.link)
    for name in sorted(members):
        for folder in list(there.missing(name)):
            members[folder] = Member(mode=0o755)
            there.take(folder, folder=True)


def _check(ctx: StepContext, members: Mapping[str, Member]) -> None:
    """Refuse names that mean a removal, and a file or link that another member needs as a folder."""
    for name in members:
        *around, last = name.split("/")
        if not last:
            raise PackageError(f"{ctx.name}: a file is to be the image's root", reason="image-file")
        if last.startswith(WHITEOUT):
            raise PackageError(
                f"{ctx.name}: the file {name} would remove another one from the image",
                reason="image-path",
                hint=f"names of files cannot begin with {WHITEOUT}",
            )
        for depth in range(1, len(around) + 1):
            folder = members.get("/".join(around[:depth]))
            if folder is not None and (folder.link or folder.content is not None):
                raise _clash(ctx, "/".join(around[:depth]))


def _clash(ctx: StepContext, name: str) -> PackageError:
    return PackageError(f"{ctx.name}: two members of a layer need {name}", reason="archive-clash")


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
