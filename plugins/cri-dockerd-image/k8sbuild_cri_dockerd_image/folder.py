"""The folder for those who have Docker and a registry: the same content, put together by ``docker compose``."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from k8sbuild.kinds import ImageFile, Step, Template

from .choice import KICBASE_VERSION, NAME
from .content import CRI_DOCKERD, IMAGES, KUBELET, layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from k8sbuild.build import Build
    from k8sbuild.engine.context import StepContext

    from .choice import Choice

__all__ = ["FOLDER", "step", "templates", "write"]

FOLDER = "kubelet-image"
#: Version of Go that the Dockerfile compiles with.
GO = "1.24"
#: Stages of the Dockerfile, by what comes from them.
_STAGES = {KUBELET: "kubelet", CRI_DOCKERD: "cri-dockerd"}
#: Where files are in the folder, by the folder that they are in in the image.
_PLACES = {"/etc/systemd/system": "units", "/etc/kubernetes/manifests": "manifests", "/": ""}
#: Texts that are in the folder alone.
_BESIDE = (".dockerignore", "Dockerfile.kicbase", "compose.yaml", "README.md")


def templates(build: Build, chosen: Choice) -> Iterator[Template]:
    """Yield the texts that are in the folder alone."""
    files = [file for layer in layers(build, chosen) for file in layer.files]
    values = {
        "Dockerfile.kicbase": {
            "KICBASE_VERSION": KICBASE_VERSION,
            "KUBE_VERSION": "{k8s}",
            "CRI_DOCKERD_VERSION": str(build.option("cri-dockerd")),
            "GO": GO,
            "COPY": "\n".join(_copies(files)),
            "LINKS": _links(files),
        },
        "compose.yaml": {"KUBE_VERSION": "{k8s}"},
        "README.md": {"KUBE_VERSION": "{k8s}", "RUNTIME": chosen.runtime, "BASE": chosen.base},
    }
    for name in _BESIDE:
        yield Template(name=name, path=f"files/{name}.in", file=name, values=values.get(name, {}))


def _copies(files: Sequence[ImageFile]) -> Iterator[str]:
    """Yield a line for each file; links are made by a command."""
    for file in files:
        if file.address in _STAGES:
            yield f"COPY --from={_STAGES[file.address]} /out/{posixpath.basename(file.path)} {file.path}"
        elif file.address:
            yield f"COPY {_place(file)} {file.path}"


def _place(file: ImageFile) -> str:
    """Return where a file is in the folder."""
    around, name = posixpath.split(file.path)
    return name if file.address == IMAGES else posixpath.join(_PLACES.get(around, "files"), name)


def _links(files: Sequence[ImageFile]) -> str:
    """Return the command that makes the links."""
    links = [file for file in files if file.link]
    around = sorted({posixpath.dirname(file.path) for file in links})
    commands = [f"mkdir -p {' '.join(around)}", *(f"ln -sfn {file.link} {file.path}" for file in links)]
    return " \\\n && ".join(commands)


def step(build: Build, chosen: Choice) -> Step:
    """Return the step that writes the folder; the images, which are large, are artifacts of their own in it."""
    files = [file for layer in layers(build, chosen) for file in layer.files if file.address]
    elsewhere = (*_STAGES, IMAGES)
    placed = {_place(file): (file.address, file.mode or 0o644) for file in files if file.address not in elsewhere}
    placed |= {name: (f"codegen:{NAME}/{name}/{name}", 0o644) for name in _BESIDE}
    return Step(
        name="folder",
        stage="package",
        run=f"{__package__}.folder:write",
        inputs=tuple(dict.fromkeys(address for address, _ in placed.values())),
        outputs=(FOLDER,),
        params={"files": [[address, place, mode] for place, (address, mode) in placed.items()]},
    )


def write(ctx: StepContext) -> None:
    """Write the folder: the files where the Dockerfile takes them from, and what is beside them."""
    for address, place, mode in ctx.params["files"]:
        target = ctx.out / FOLDER / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(ctx.read(address))
        target.chmod(mode)
