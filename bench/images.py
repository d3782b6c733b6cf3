"""The kubelet's image to measure: built in projects of the workspace, started by a Docker daemon of our own."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import tarfile
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import IO, TYPE_CHECKING, Any, cast

from .timing import CommandError
from .workspace import ROOT, answer

sys.path.append(str(ROOT / "tests"))
from e2e.dockerd import FLAGS, PACKAGES, Docker, running, wait_for
from e2e.systems import lacking, suite, system

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .timing import Run
    from .workspace import Workspace

__all__ = ["Chosen", "Started", "added", "build", "chosen", "facts", "image_of", "project", "pulled", "started"]

_SOURCE = "K8SBUILD_SOURCE_CRI_DOCKERD"
_IMAGE = "kubelet-image:v1.34.0"
_STEP = "package:cri-dockerd-image/image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is built: the runtime, the flags that choose it, and what a reader must know of it."""

    runtime: str
    flags: tuple[str, ...]
    notes: tuple[str, ...] = ()


@cache
def chosen(workspace: Workspace) -> Chosen:
    """Return the image with cri-dockerd where its source can be had, else the one with containerd.

    Raises:
        CommandError: this machine cannot assemble the base.
    """
    if why := lacking():
        raise CommandError(f"the kubelet's image cannot be built here: {why}")
    base = ("--base=debian", "--set", f"cri-dockerd-image.suite={suite()}")
    source = os.environ.get(_SOURCE, "")
    given = ("--set", f"cri-dockerd-image.cri-dockerd-source={source}") if source else ()
    project = workspace.project("image-chosen")
    try:
        workspace.invoke(project, "fetch", "--target=kubelet-image", "--runtime=cri-dockerd", *base, *given)
    except CommandError:
        note = "The runtime is containerd: the source of cri-dockerd could not be had."
        return Chosen(runtime="containerd", flags=("--runtime=containerd", *base), notes=(note,))
    return Chosen(runtime="cri-dockerd", flags=("--runtime=cri-dockerd", *base, *given))


@contextmanager
def project(workspace: Workspace, name: str) -> Iterator[Path]:
    """Give a project during a block: what it built is as large as its base."""
    folder = workspace.project(name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def build(workspace: Workspace, project: Path, *more: str, cache: Path | None = None) -> Run:
    """Build the image in a project; ``more`` are flags."""
    flags = (*chosen(workspace).flags, *more)
    return workspace.invoke(project, "build", "--target=kubelet-image", "--format=json", *flags, cache=cache)


def image_of(project: Path) -> Path:
    """Return the image that was built in a project."""
    return project / "dist/artifacts/kubelet-image/image.oci.tar"


def facts(done: Run, step: str = _STEP) -> Mapping[str, Any]:
    """Return what a step of a build noted."""
    (found,) = (row["facts"] for row in answer(done)["steps"] if row["step"] == step)
    assert isinstance(found, dict)
    return found


def added(project: Path, layers: Mapping[str, str]) -> dict[str, int]:
    """Return the bytes of each file in the layers of an image that are its own.

    Args:
        layers: their digests.
    """
    found: dict[str, int] = {}
    with tarfile.open(image_of(project)) as image:
        for digest in layers.values():
            with tarfile.open(fileobj=image.extractfile(f"blobs/{digest.replace(':', '/')}"), mode="r|*") as layer:
                found |= {info.name: info.size for info in layer if info.isreg()}
    return found


def pulled(project: Path, layers: Mapping[str, str]) -> int:
    """Return the bytes of layers as a registry has them once Docker has pushed the image: compressed by gzip."""
    total = 0
    with tarfile.open(image_of(project)) as image:
        for digest in layers.values():
            packer, blob = zlib.compressobj(wbits=31), image.extractfile(f"blobs/{digest.replace(':', '/')}")
            with gzip.open(cast("IO[bytes]", blob)) as layer:
                while piece := layer.read(1 << 20):
                    total += len(packer.compress(piece))
            total += len(packer.flush())
    return total


@dataclass(frozen=True, slots=True)
class Started:
    """Containers that were started: seconds until the kubelet was healthy, and until the pod answered."""

    healthz: list[float] = field(default_factory=list)
    pod: list[float] = field(default_factory=list)


@cache
def started(workspace: Workspace) -> Started:
    """Start containers of the image, one after the other, each with an empty volume."""
    found = Started()
    with _daemon(workspace) as docker:
        with project(workspace, "image-started") as made:
            build(workspace, made)
            docker("load", "--quiet", "--input", str(image_of(made)))
        for number in range(workspace.rounds):
            healthz, pod = _start(docker, f"round-{number}")
            found.healthz.append(healthz)
            found.pod.append(pod)
    return found


@contextmanager
def _daemon(workspace: Workspace) -> Iterator[Docker]:
    folder = workspace.fresh("image-docker")
    tar = system(folder / "system", PACKAGES, workspace.environment())
    with running(tar, folder) as docker:
        yield docker


def _start(docker: Docker, name: str) -> tuple[float, float]:
    mounts = ("--tmpfs=/run", "--tmpfs=/tmp", f"--volume={name}:/var")
    docker("create", f"--name={name}", "--hostname=node", *FLAGS, *mounts, "--tty", _IMAGE)
    try:
        began = time.monotonic()
        docker("start", name)
        wait_for("the kubelet", 120, partial(_says, docker, name, "ok", "http://127.0.0.1:10248/healthz"))
        healthz = time.monotonic() - began
        address = docker("inspect", "--format={{.NetworkSettings.IPAddress}}", name)
        wait_for("the pod", 120, partial(_says, docker, name, "hello, world", f"http://{address}:8080"))
        return healthz, time.monotonic() - began
    finally:
        docker("rm", "--force", "--volumes", name)
        docker("volume", "rm", "--force", name)


def _says(docker: Docker, name: str, text: str, url: str) -> bool:
    return docker.inside(name, "curl", "-s", "--max-time", "2", url).startswith(text)
