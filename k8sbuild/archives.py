"""What plugins yield for the package stage: archives and what is in them, and further artifacts.

Plugins import these from :mod:`k8sbuild.kinds`, with the kinds of the other stages.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Archive", "ArchiveFile", "Artifact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFile:
    """One member of an :class:`Archive`: an address, its place and mode.

    An address of a folder puts the folder's files below ``path``. A plugin adds
    to another one's archive by yielding the member itself, with ``archive``
    (``<plugin>/<name>``); ``licences`` says that it is a Go binary whose linked
    modules' licence texts are added as well.
    """

    name: str
    address: str
    path: str
    mode: int | None = None
    archive: str = ""
    licences: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A deterministic ``.tar.zst``; ``file`` and member paths may use placeholders.

    ``licences`` names Go binaries (addresses) whose linked modules' licence
    texts are added below ``licences/``, those of linked packages' folders too.
    They may be another target's, see :meth:`Source.target`.
    """

    name: str
    file: str
    members: tuple[ArchiveFile, ...]
    licences: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One more file in ``dist/artifacts``, beside those that the target itself has.

    ``file`` is its name there, and ``address`` what it is; both as in :class:`Target`'s ``artifacts``.
    """

    name: str
    file: str
    address: str
