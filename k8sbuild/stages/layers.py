"""The package stage: the layers of an image, each a result of its own.

The layers of the base stay as they are; each layer of the build is made when its own files change.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any, cast

from k8sbuild.engine.keys import compact
from k8sbuild.errors import PackageError
from k8sbuild.stages import licences
from k8sbuild.stages.base import SCRATCH, Base, Blob, Layer, base_of, inside_root, layer_of, opened, refusals
from k8sbuild.stages.folders import WHITEOUT, Folders
from k8sbuild.stages.tar import Member, epoch, placed, write_tar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k8sbuild.engine.context import StepContext

__all__ = ["base", "layer", "made_base", "made_layer"]

#: What the steps write.
_BASE, _LAYER, _FOLDERS, _TAR = "base.json", "layer.json", "folders.json", "layer.tar.gz"


def base(ctx: StepContext) -> None:
    """Write ``base.json`` and ``folders.json``: configuration, layers and folders of what an image stands on.

    Each layer is held against its digest. Those that are no files of the base itself are in ``layers``.

    Raises:
        PackageError: ``image-base``, ``path-outside``.
    """
    found = Folders()
    with TemporaryDirectory(dir=ctx.out) as scratch:
        below = base_of(ctx, ctx.params["base"], ctx.params["platform"], Path(scratch))
        with refusals(f"{ctx.name}: the base {ctx.params['base']}"):
            for item in below.layers:
                _take(item, found)
        rows = [{**_row(item), **_kept(ctx, item.blob)} for item in below.layers]
    _write(ctx, {_BASE: {"config": below.config, "layers": rows}, _FOLDERS: found.to_data()})


def layer(ctx: StepContext) -> None:
    """Write ``layer.tar.gz`` and ``layer.json``: files of the build, or the licence texts of its programs.

    Around them are the folders that are not there yet. ``params["below"]`` says which are, ``folders.json`` which are
    there then.

    Raises:
        PackageError: ``archive-clash``, ``image-file``, ``image-path``.
    """
    p = ctx.params
    there = Folders(**json.loads(ctx.read(p["below"]))) if p["below"] else Folders()
    members = licences.of_binaries(ctx) if "licences" in p else _members(ctx, p["files"])
    _check(ctx, members)
    _make(members, there)
    made = layer_of(ctx.out / _TAR, lambda out: write_tar(out, members, epoch(p["date"])))
    _write(ctx, {_LAYER: _row(made), _FOLDERS: there.to_data()})


def made_base(ctx: StepContext, address: str, step: str) -> Base:
    """Return what an image stands on.

    Args:
        address: of the base; nothing where there is none.
        step: the one that looked at it.
    """
    if not address:
        return SCRATCH
    said = json.loads(ctx.read(f"{step}/{_BASE}"))
    layers = (_read(ctx, f"{step if row['own'] else address}/{row['file']}", row) for row in said["layers"])
    return Base(layers=tuple(layers), config=said["config"])


def made_layer(ctx: StepContext, step: str) -> Layer:
    """Return the layer that a step made."""
    return _read(ctx, f"{step}/{_TAR}", json.loads(ctx.read(f"{step}/{_LAYER}")))


# No step's address is in what these steps write: two steps that make the same share a result.


def _row(item: Layer) -> dict[str, Any]:
    return {**item.blob.descriptor(), "diff_id": item.diff_id}


def _read(ctx: StepContext, address: str, row: Mapping[str, Any]) -> Layer:
    blob = Blob(media_type=row["mediaType"], digest=row["digest"], size=row["size"], content=ctx.path(address))
    return Layer(blob=blob, diff_id=row["diff_id"])


def _write(ctx: StepContext, files: Mapping[str, Any]) -> None:
    for name, data in files.items():
        (ctx.out / name).write_text(compact(data), encoding="utf-8")


def _kept(ctx: StepContext, blob: Blob) -> dict[str, Any]:
    """Return where a layer of the base is from now on: a file of the base, or moved into the step's own output."""
    assert isinstance(blob.content, Path)
    place = ctx.path(ctx.params["base"])
    if blob.content.is_relative_to(place):
        return {"own": False, "file": blob.content.relative_to(place).as_posix()}
    kept = ctx.out / "layers" / blob.digest.removeprefix("sha256:")
    kept.parent.mkdir(exist_ok=True)
    if not kept.exists():
        blob.content.rename(kept)
    return {"own": True, "file": kept.relative_to(ctx.out).as_posix()}


class _Hashed:
    """Hashes what is read."""

    def __init__(self, below: IO[bytes]) -> None:
        self._below = below
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._below.read(size)
        self.sha256.update(data)
        return data


def _take(item: Layer, found: Folders) -> None:
    assert isinstance(item.blob.content, Path)
    with opened(item.blob.content) as stream:
        hashed = _Hashed(stream)
        with tarfile.open(fileobj=cast("IO[bytes]", hashed), mode="r|") as tar:
            for info in tar:
                name = inside_root(info.name)
                if name:
                    found.take(name, folder=info.isdir(), link=info.linkname if info.issym() else "")
        while hashed.read(1 << 20):
            pass
    if f"sha256:{hashed.sha256.hexdigest()}" != item.diff_id:
        raise ValueError(f"the layer {item.blob.digest} has other content than the configuration's {item.diff_id}")


def _members(ctx: StepContext, rows: Iterable[Mapping[str, Any]]) -> dict[str, Member]:
    """Return a layer's own files, links and folders by name."""
    found = placed(ctx, [row for row in rows if row["address"]])
    for row in rows:
        if not row["address"]:
            if row["path"] in found:
                raise _clash(ctx, row["path"])
            mode = 0o777 if row["link"] else 0o755
            mode = mode if row["mode"] is None else row["mode"]
            found[row["path"]] = Member(mode=mode, link=row["link"], uid=row["uid"], gid=row["gid"])
    return found


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
