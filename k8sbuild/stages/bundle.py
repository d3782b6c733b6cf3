"""The package stage: several images of the build in one tar."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from k8sbuild import oci
from k8sbuild.engine.inside import inside
from k8sbuild.errors import PackageError
from k8sbuild.stages.base import opened
from k8sbuild.stages.tar import Member, write_file

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["bundle"]

#: Of a tar of images: what lists them, for each kind of reader.
_INDEX, _DOCKER = "index.json", "manifest.json"


def bundle(ctx: StepContext) -> None:
    """Write ``params["file"]``: the images of all inputs, in the order of their names.

    Raises:
        PackageError: ``image-twice``, ``bad-image``.
    """
    trees = inside(ctx).trees
    images: dict[str, tuple[Any, Any]] = {}
    members = {oci.LAYOUT_FILE: Member(mode=0o644, content=oci.LAYOUT)}
    with TemporaryDirectory(dir=ctx.out) as scratch:
        for number, address in enumerate(f"{step}/{path}" for step, tree in trees.items() for path in tree.entries):
            name, said, files = _taken(ctx, address, Path(scratch, str(number)))
            if name in images:
                raise PackageError(f"{ctx.name}: two images are called {name}", reason="image-twice")
            images[name] = said
            members |= files
        rows = [images[name] for name in sorted(images)]
        index = {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": [row for row, _ in rows]}
        members[_INDEX] = Member(mode=0o644, content=oci.encode(index))
        members[_DOCKER] = Member(mode=0o644, content=oci.encode([row for _, row in rows]))
        write_file(ctx, members)
    ctx.facts["images"] = {name: row["digest"] for name, (row, _) in sorted(images.items())}


def _taken(ctx: StepContext, address: str, folder: Path) -> tuple[str, tuple[Any, Any], dict[str, Member]]:
    """Return name, descriptions and blobs of an image."""
    (folder / "blobs/sha256").mkdir(parents=True)
    try:
        files = _unpacked(ctx.path(address), folder)
        (row,) = json.loads((folder / _INDEX).read_bytes())["manifests"]
        (docker,) = json.loads((folder / _DOCKER).read_bytes())
        (name,) = docker["RepoTags"]
    except (tarfile.TarError, ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise PackageError(
            f"{ctx.name}: {address} is no image of a build: {error}",
            reason="bad-image",
            hint="images of a bundle are addresses of OciImage's files",
        ) from None
    blobs = {path: Member(mode=0o644, content=folder / path) for path in files if path.startswith("blobs/")}
    return str(name), (row, docker), blobs


def _unpacked(file: Path, folder: Path) -> list[str]:
    """Write what an image's tar has; return the names."""
    names = []
    with opened(file) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            source = tar.extractfile(info)
            if source is not None and (info.name in (_INDEX, _DOCKER) or oci.is_blob(info.name)):
                with (folder / info.name).open("wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
                names.append(info.name)
    return names
