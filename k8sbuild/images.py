"""What plugins yield for container images: kinds of the package stage, part of :mod:`k8sbuild.kinds`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ImageBundle", "ImageFile", "ImageLayer", "OciImage", "RootFs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """One place in a layer of an :class:`OciImage`: something of the build, a link, or a new folder.

    With ``address`` it is that file, or that folder's files below ``path``;
    with ``link`` a symbolic link to that text; with neither a folder. ``path``
    is seen from the image's root. ``mode`` is the file's own by default, 0755
    for a new folder. Folders around a path are made (root's, 0755) where
    neither the base nor a layer below has them; those that are there stay.
    """

    name: str
    path: str
    address: str = ""
    link: str = ""
    mode: int | None = None
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayer:
    """One layer of an :class:`OciImage`: what changes together."""

    name: str
    files: tuple[ImageFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OciImage:
    """A deterministic container image for the build's platform, in one tar.

    The tar is an OCI image layout with Docker's ``manifest.json`` in it. If
    ``file`` ends in ``.zst`` it is compressed; layers are in gzip's form without
    being compressed, so that their digests depend on no compressor. ``base`` is an address: an image (of
    the ``oci`` provider, or an OCI layout's folder or tar) or the tar of a root
    file system; without it the image has the layers' files only. Later layers win.

    ``reference`` (``name:tag``) is what the image is called once it is loaded.
    ``licences`` names Go binaries (addresses) as those of an ``Archive`` do; the texts are in a last layer, below
    ``/licences``. ``env`` and ``labels`` are added to the base's, the other fields replace its
    ones where they say something; with an entrypoint of its own, the base's
    ``cmd`` does not count. Texts and paths may use placeholders.
    """

    name: str
    file: str
    reference: str
    layers: tuple[ImageLayer, ...]
    base: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = ""
    stop_signal: str = ""
    licences: tuple[str, ...] = ()

    @classmethod
    def of_programs(
        cls,
        name: str,
        *,
        file: str,
        reference: str,
        programs: Mapping[str, str],
        user: str,
        licences: tuple[str, ...] = (),
    ) -> OciImage:
        """Return an image of static programs and nothing else, which runs the first of them.

        ``programs`` are addresses by the name of the file, which is in the image's root.

        >>> image = OciImage.of_programs("a", file="a.tar", reference="a:1", programs={"a": "compile:a/a/a"}, user="1")
        >>> image.entrypoint
        ('/a',)
        """
        files = tuple(ImageFile(name=n, address=a, path=f"/{n}", mode=0o755) for n, a in programs.items())
        layers = (ImageLayer(name="programs", files=files),)
        first = (files[0].path,)
        return cls(
            name=name, file=file, reference=reference, layers=layers, entrypoint=first, user=user, licences=licences
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBundle:
    """Several images in one tar, of the form that an :class:`OciImage` has; what they share is in it once.

    ``images`` are their addresses; by default it is every image that a plugin of
    the build yields. A ``file`` that ends in ``.zst`` is compressed.
    """

    name: str
    file: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFs:
    """The tar of a root file system with every package of a :meth:`Source.debian` installed.

    ``packages`` is the source's address; ``?essential`` must be in its list.
    ``mmdebstrap`` assembles it from these packages alone: with no network, by
    root or in a name space of users, and with the same bytes each time. What it
    notes of this machine (apt's sources, host name, resolver) is left out.
    """

    name: str
    file: str
    packages: str
