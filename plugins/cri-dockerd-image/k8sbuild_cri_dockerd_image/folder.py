"""The folder for those who have Docker and a registry: the same content, put together by ``docker compose``."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from k8sbuild.kinds import ImageFile, Step, Template
from k8sbuild.patching.diff import make
from k8sbuild.patching.tree import DictTree, File

from . import crictl, trim
from .choice import KICBASE_VERSION, NAME, RUNTIMES
from .content import CRI_DOCKERD, IMAGES, KUBELET, layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from k8sbuild.build import Build
    from k8sbuild.engine.context import StepContext

    from .choice import Choice

__all__ = ["FOLDER", "difference", "step", "steps", "templates", "write"]

FOLDER = "kubelet-image"
#: Version of Go that the Dockerfile compiles with.
GO = "1.24"
#: Stages of the Dockerfile, by what comes from them.
_STAGES = {KUBELET: "kubelet", CRI_DOCKERD: "cri-dockerd"}
#: Where files are in the folder, by the folder that they are in in the image.
_PLACES = {"/etc/systemd/system": "units", "/etc/kubernetes/manifests": "manifests", "/": ""}
#: What is too large to be written with each of the others: artifacts of their own in the folder.
_LARGE = (IMAGES, crictl.PROGRAM)
#: What the Dockerfile's stage changes of cri-dockerd's source, as the toolkit does.
_PATCH = "cri-dockerd.patch"
_PATCHED = f"""COPY {_PATCH} /tmp/
RUN patch -p1 -i /tmp/{_PATCH}
"""
#: Texts that are in the folder alone.
_BESIDE = (".dockerignore", "Dockerfile.kicbase", "compose.yaml", "README.md")


def templates(build: Build, chosen: Choice) -> Iterator[Template]:
    """Yield the texts that are in the folder alone."""
    files = [file for layer in layers(build, chosen) for file in layer.files]
    tag, digest = chosen.kicbase
    values = {
        "Dockerfile.kicbase": {
            "KICBASE_VERSION": tag or KICBASE_VERSION,
            "REFERENCE": (":${{KICBASE_VERSION}}" if tag else "") + (f"@{digest}" if digest else ""),
            "KUBE_VERSION": "{k8s}",
            "MINOR": ".".join(build.k8s.split(".")[:2]),
            "CRI_DOCKERD_VERSION": str(build.option("cri-dockerd")),
            "GO": GO,
            "PATCHED": _PATCHED if trim.trimmed(build) else "",
            "COPY": "\n".join(_copies(files)),
            "LINKS": _links(files),
        },
        "compose.yaml": {"KUBE_VERSION": "{k8s}"},
        "README.md": {
            "KUBE_VERSION": "{k8s}",
            "RUNTIME": chosen.runtime,
            "OWN": RUNTIMES[chosen.runtime].list,
            "BASE": chosen.base,
        },
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


def steps(build: Build, chosen: Choice) -> Iterator[Step]:
    """Yield the steps that write the folder and, for it, what is changed of cri-dockerd's source."""
    yield step(build, chosen)
    if trim.trimmed(build):
        sides = {side: f"{stage}:{NAME}/{trim.SOURCE}" for side, stage in (("old", "fetch"), ("new", "patch"))}
        yield Step(
            name=_PATCH,
            stage="package",
            run=f"{__package__}.folder:difference",
            inputs=tuple(sides.values()),
            outputs=(_PATCH,),
            params={**sides, "file": _PATCH},
        )


def step(build: Build, chosen: Choice) -> Step:
    """Return the step that writes the folder, without what is large."""
    files = [file for layer in layers(build, chosen) for file in layer.files if file.address]
    elsewhere = (*_STAGES, *_LARGE)
    placed = {_place(file): (file.address, file.mode or 0o644) for file in files if file.address not in elsewhere}
    placed |= {name: (f"codegen:{NAME}/{name}/{name}", 0o644) for name in _BESIDE}
    if trim.trimmed(build):
        placed[_PATCH] = (f"package:{NAME}/{_PATCH}/{_PATCH}", 0o644)
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


def difference(ctx: StepContext) -> None:
    """Write what a source was changed by, as a patch."""
    old, new = (ctx.tree(ctx.params[side]).entries for side in ("old", "new"))
    changed = {path for path in {*old, *new} if old.get(path) != new.get(path)}
    # By this file a tree shows that it has other modules' code itself.
    trees = (_tree(ctx, side, {*changed, "vendor/modules.txt"}) for side in ("old", "new"))
    (ctx.out / ctx.params["file"]).write_bytes(make(*trees, changed))


def _tree(ctx: StepContext, side: str, paths: set[str]) -> DictTree:
    address = ctx.params[side]
    there = {path: entry for path in paths if (entry := ctx.tree(address).entries.get(path))}
    return DictTree({path: File(ctx.read(f"{address}/{path}"), entry.mode) for path, entry in there.items()})
