"""What an image stands on: the layers of an OCI layout, as a folder or a tar, or the tar of a root file system."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Any, cast

from k8sbuild import oci
from k8sbuild.errors import PackageError
from k8sbuild.stages.stored import Stored
from k8sbuild.stages.tar import Hashing
from k8sbuild.store.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

__all__ = ["SCRATCH", "Base", "Blob", "Layer", "base_of", "inside_root", "layer_of", "opened", "refusals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A layer, manifest or configuration: what its descriptor says, and its bytes or the file that has them."""

    media_type: str
    digest: str
    size: int
    content: bytes | Path

    def descriptor(self) -> dict[str, Any]:
        """Return how others refer to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: the blob, and the digest of the tar that is packed in it."""

    blob: Blob
    diff_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Layers to stand on, lowest first, with the configuration that they come with."""

    layers: tuple[Layer, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def history(self) -> list[Mapping[str, Any]]:
        """How each layer came about."""
        return list(self.config.get("history") or [{"created_by": "base"} for _ in self.layers])


#: The base of an image that has none.
SCRATCH = Base()


def layer_of(target: Path, write: Callable[[IO[bytes]], str]) -> Layer:
    """Write a layer in gzip's form: readers of Docker's tars expect all layers of an image to be packed alike.

    Args:
        write: gets where the tar is to be written, returns its sha256 in hex.
    """
    with target.open("wb") as file:
        hashing = Hashing(file)
        with Stored(cast("IO[bytes]", hashing)) as stream:
            found = write(cast("IO[bytes]", stream))
    digest, size = f"sha256:{hashing.sha256.hexdigest()}", target.stat().st_size
    blob = Blob(media_type=f"{oci.LAYER}+gzip", digest=digest, size=size, content=target)
    return Layer(blob=blob, diff_id=f"sha256:{found}")


def base_of(ctx: StepContext, address: str, platform: str, folder: Path) -> Base:
    """Return what is at an address as a base.

    Args:
        platform: ``os-arch``; an image for another one is refused.
        folder: for what is unpacked; the base's files may be in it.

    Raises:
        PackageError: ``image-base``.
    """
    names, place = list(ctx.tree(address).entries), ctx.path(address)
    with refusals(f"{ctx.name}: the base {address}"):
        if oci.LAYOUT_FILE in names:
            return _of_layout(place, platform)
        if len(names) != 1:
            raise ValueError(f"it is no OCI layout and no single tar, but {len(names)} files")
        return _of_tar(place if place.is_file() else place / names[0], platform, folder)


@contextmanager
def refusals(who: str) -> Iterator[None]:
    """Name a base that cannot be read; a failing disk is not its fault."""
    from zstandard import ZstdError

    wrong = (ValueError, KeyError, TypeError, AttributeError, EOFError, tarfile.TarError, zlib.error)
    try:
        yield
    except (*wrong, lzma.LZMAError, ZstdError, OSError) as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, FileNotFoundError):
            raise
        raise PackageError(
            f"{who} cannot be used: {error}",
            reason="image-base",
            hint="a base is an OCI layout (skopeo copy … oci:DIR, or oci-archive:FILE) or a root file system's tar",
        ) from None


def _of_tar(file: Path, platform: str, folder: Path) -> Base:
    plain = _plain(file, folder / "base.tar")
    with tarfile.open(plain, "r:") as tar:
        members = {info.name.removeprefix("./"): info for info in tar}
        if oci.LAYOUT_FILE in members:
            _unpack(tar, members, folder / "base")
            return _of_layout(folder / "base", platform)
    if "manifest.json" in members:
        raise ValueError("it is an image in Docker's own form, without an OCI layout")
    return Base(layers=(layer_of(folder / "base.layer", partial(_copied, plain)),))


def _copied(file: Path, out: IO[bytes]) -> str:
    hashing = Hashing(out)
    with file.open("rb") as source:
        shutil.copyfileobj(source, hashing, 1 << 20)
    return hashing.sha256.hexdigest()


def inside_root(name: str) -> str:
    """Return the path of a layer's member as it is seen from the root.

    Raises:
        PackageError: ``path-outside``.
    """
    if name.startswith("/") or ".." in name.split("/"):
        raise PackageError(
            f"the base's member {name!r} is outside of the image's root",
            reason="path-outside",
            hint="the tar is not what it says: compare its digest with where it comes from",
        )
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _plain(file: Path, target: Path) -> Path:
    """Return the tar itself, uncompressed at ``target`` where it is compressed."""
    if _opener(file) is None:
        return file
    with opened(file) as source, target.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    return target


def _opener(file: Path) -> Any:
    with file.open("rb") as raw:
        return _OPENERS.get(raw.read(2))


def opened(file: Path) -> AbstractContextManager[IO[bytes]]:
    """Open a file for what is in it, whichever way it is compressed."""
    found: AbstractContextManager[IO[bytes]] = (_opener(file) or partial(open, mode="rb"))(file)
    return found


@contextmanager
def _zstd(file: Path) -> Iterator[IO[bytes]]:
    import zstandard

    with file.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
        yield cast("IO[bytes]", stream)


#: By the two bytes that a compressed file begins with.
_OPENERS: Mapping[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open, b"\x28\xb5": _zstd}


def _unpack(tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], folder: Path) -> None:
    """Write index and blobs; a name is taken only in the form that a layout has."""
    (folder / "blobs/sha256").mkdir(parents=True)
    for name, info in members.items():
        source = tar.extractfile(info) if name == "index.json" or oci.is_blob(name) else None
        if source is not None:
            with (folder / name).open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)


def _of_layout(folder: Path, platform: str) -> Base:
    manifest = _manifest(folder, json.loads((folder / "index.json").read_bytes()), platform)
    config = json.loads(_blob(folder, manifest["config"]).read_bytes())
    found = f"{config['os']}-{config['architecture']}"
    if found != platform:
        raise ValueError(f"it is for {found}, the image for {platform}")
    blobs, ids = [_packed(folder, row) for row in manifest["layers"]], config["rootfs"]["diff_ids"]
    if len(blobs) != len(ids):
        raise ValueError(f"its manifest has {len(blobs)} layers, its configuration {len(ids)}")
    layers = (Layer(blob=blob, diff_id=name) for blob, name in zip(blobs, ids, strict=True))
    return Base(layers=tuple(layers), config=config)


def _manifest(folder: Path, index: Mapping[str, Any], platform: str) -> Mapping[str, Any]:
    """Return the manifest for a platform; an index may be in another."""
    row = oci.pick(index["manifests"], platform)
    if row is None:
        known = ", ".join(sorted({oci.platform_of(row) or "one that does not say" for row in index["manifests"]}))
        raise ValueError(f"it has no image for {platform}, but for: {known or 'nothing'}")
    found: Mapping[str, Any] = json.loads(_blob(folder, row).read_bytes())
    return _manifest(folder, found, platform) if row.get("mediaType") in oci.INDEXES else found


def _packed(folder: Path, row: Mapping[str, Any]) -> Blob:
    media_type = oci.LAYERS.get(row["mediaType"])
    if media_type is None:
        raise ValueError(f"a layer of the media type {row['mediaType']} is not understood")
    return Blob(media_type=media_type, digest=row["digest"], size=row["size"], content=_blob(folder, row))


def _blob(folder: Path, row: Mapping[str, Any]) -> Path:
    """Return the file of a descriptor, held against its digest and size."""
    path = folder / oci.blob_path(row["digest"])
    found = f"sha256:{sha256_of(path)}"
    if found != row["digest"] or path.stat().st_size != row["size"]:
        raise ValueError(f"its blob {row['digest']} has the digest {found} and {path.stat().st_size} bytes")
    return path
