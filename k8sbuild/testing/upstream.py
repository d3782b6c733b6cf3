"""A small fake Kubernetes in the four forms that providers fetch.

The same release as a module proxy, a git repository, a release archive and a
folder, so that tests run every provider through its real code paths without a
network. Writing it needs neither go nor git.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from k8sbuild.golang.semver import staging_version
from k8sbuild.testing import content, gitrepo
from k8sbuild.testing.goproxy import publish

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["TIME", "Upstream", "make"]

#: When everything in the fake upstream was released.
TIME = "2026-01-02T03:04:05Z"

_EPOCH = int(datetime.fromisoformat(TIME).astimezone(UTC).timestamp())
#: Kept in git, in the archive and in the folder; no module zip has links.
_LINK = ("hack/start.sh", "run.sh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where the forms of the fake upstream are.

    Args:
        version: of Kubernetes, for example ``v1.99.3``.
        staging: version of the published staging modules, ``v0.99.3``.
        go: the ``go`` line.
        commit: of the release, 40 hex digits.
        goproxy: folder of the module proxy.
        git: the bare repository, with the tag ``version``.
        archive: ``kubernetes-<version>.tar.gz`` with one top folder.
        folder: the tree of a checkout, without ``.git``.
        cache: the build's cache folder, which is not made.
    """

    version: str
    staging: str
    go: str
    commit: str
    goproxy: Path
    git: Path
    archive: Path
    folder: Path
    cache: Path

    @property
    def env(self) -> dict[str, str]:
        """Environment in which a build finds this upstream and nothing else."""
        return {
            "GOPROXY": self.goproxy.resolve().as_uri(),
            "GOSUMDB": "off",
            "GONOSUMDB": "*",
            "GOFLAGS": "",
            "K8SBUILD_CACHE_DIR": str(self.cache.resolve()),
        }

    @property
    def pins(self) -> str:
        """What a plugin's ``pins.toml`` says of this release."""
        return f'[releases."kubernetes@{self.version}"]\ncommit = "{self.commit}"\ntime = "{TIME}"\n'


def make(root: Path, *, version: str = "v1.99.3", go: str, changed: Mapping[str, str] | None = None) -> Upstream:
    """Write the fake upstream below ``root``, which must not hold one yet.

    Args:
        root: folder to make the forms in.
        version: the release's version.
        go: the ``go`` line of Kubernetes and its staging modules, for example ``"1.24"``.
        changed: files of Kubernetes' repository that are other than usual, path to text.

    Raises:
        FileExistsError: ``root`` holds a fake upstream.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> make(Path(mkdtemp()), go="1.24").staging
    'v0.99.3'
    """
    staged = staging_version(version)
    proxy = root / "goproxy"
    proxy.mkdir(parents=True)
    files = _release(proxy, go, staged, changed or {})
    publish(proxy, "k8s.io/kubernetes", version, files, time=TIME)
    top = f"kubernetes-{version.removeprefix('v')}"
    archive = root / "archive" / f"{top}.tar.gz"
    _archive(archive, top, files)
    _folder(root / "folder", files)
    return Upstream(
        version=version,
        staging=staged,
        go=go,
        commit=gitrepo.write(root / "kubernetes.git", _git_entries(files), tag=version, time=_EPOCH),
        goproxy=proxy,
        git=root / "kubernetes.git",
        archive=archive,
        folder=root / "folder",
        cache=root / "cache",
    )


def _release(proxy: Path, go: str, staged: str, changed: Mapping[str, str]) -> dict[str, bytes]:
    """Publish everything but Kubernetes itself; return the files of its repository."""
    sums = _third_parties(proxy)
    files = content.trunk(go) | {"go.sum": sums} | dict(changed)
    for path in content.STAGING:
        published = content.staging(path)
        own_sums = sums if content.DEP in content.staging_mod(path, go, staged) else ""
        for name, text in (published | {"go.mod": content.staging_mod(path, go, "v0.0.0"), "go.sum": own_sums}).items():
            files[f"staging/src/{path}/{name}"] = text
    _publish_staging(proxy, go, staged, sums)
    return {name: text.encode() for name, text in sorted(files.items())}


def _third_parties(proxy: Path) -> str:
    first, _ = (_publish(proxy, content.DEP, version, content.dependency(version)) for version in ("v1.0.0", "v1.1.0"))
    _publish(proxy, "example.org/store", "v0.1.0", content.storage())
    return "".join(first)


def _publish_staging(proxy: Path, go: str, staged: str, sums: str) -> None:
    # As in the real one, a published go.sum differs from the repository's: it has the sums of staging modules too.
    for path in sorted(content.STAGING, key=lambda name: content.STAGING[name] != (content.DEP,)):
        mod = content.staging_mod(path, go, staged)
        known = sums if content.DEP in mod else ""
        lines = _publish(proxy, path, staged, content.staging(path) | {"go.mod": mod, "go.sum": known})
        sums += "".join(lines) if path == "k8s.io/apimachinery" else ""


def _publish(proxy: Path, module: str, version: str, files: Mapping[str, str]) -> tuple[str, str]:
    return publish(proxy, module, version, {name: text.encode() for name, text in files.items()}, time=TIME)


def _mode(name: str) -> int:
    return 0o755 if name.endswith(".sh") else 0o644


def _git_entries(files: Mapping[str, bytes]) -> dict[str, tuple[int, bytes]]:
    entries = {name: (0o100000 | _mode(name), data) for name, data in files.items()}
    return entries | {_LINK[0]: (0o120000, _LINK[1].encode())}


def _archive(target: Path, top: str, files: Mapping[str, bytes]) -> None:
    target.parent.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size, member.mode, member.mtime = len(data), _mode(name), _EPOCH
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo(f"{top}/{_LINK[0]}")
        link.type, link.linkname, link.mtime = tarfile.SYMTYPE, _LINK[1], _EPOCH
        archive.addfile(link)
    target.write_bytes(gzip.compress(buffer.getvalue(), 6, mtime=0))


def _folder(root: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(_mode(name))
    (root / _LINK[0]).symlink_to(_LINK[1])
