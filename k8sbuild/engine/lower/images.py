"""Images, each with a step that looks at what it stands on, bundles of them, and root file systems to stand on."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from k8sbuild.build import fill
from k8sbuild.errors import PlanError, PluginError
from k8sbuild.kinds import Collect, ImageBundle, ImageFile, OciImage, RootFs, Step

from .archives import level, licence_inputs
from .resolved import Resolved, filled, node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from k8sbuild.engine.graph import Node
    from k8sbuild.plugins import Plugin

__all__ = ["bundles", "images", "root_file_systems"]

_REFERENCE = re.compile(r"[a-z0-9]+([._:/-]+[a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def images(r: Resolved) -> Iterator[Node]:
    """Yield the step that makes each image.

    Raises:
        PlanError: ``bad-reference``, ``path-outside``, ``image-file``.
        PluginError: ``duplicate-name``.
    """
    for plugin, image in r.contributions.of(OciImage):
        addresses = [file.address for layer in image.layers for file in layer.files]
        names = filled(r.build.placeholders(), plugin, image, {"file": image.file, "reference": image.reference})
        if not _REFERENCE.fullmatch(names["reference"]):
            raise PlanError(
                f"{_who(plugin, image)}: {names['reference']!r} is no reference",
                reason="bad-reference",
                hint="write it like name:v1.2.3, the name in lower case",
            )
        licences = {address: licence_inputs(r, address) for address in image.licences}
        addresses += [*licences, *(place for places in licences.values() for place in places)]
        below = _base(r, plugin, image)
        if below:
            yield below
        folders = f"{below.address}/folders.json" if below else ""
        step = Step(
            name=image.name,
            stage="package",
            run="k8sbuild.stages.image:image",
            inputs=tuple(dict.fromkeys(filter(None, [image.base, folders, *addresses]))),
            outputs=(names["file"],),
            params={
                **names,
                "base": image.base,
                "folders": folders,
                "config": _config(r, plugin, image),
                "layers": _layers(r, plugin, image),
                **({"licences": licences} if licences else {}),
                "platform": str(r.build.platform),
                "date": r.release.time,
                "level": level(r),
            },
            memory=400,
        )
        yield node("package", plugin.name, "OciImage", step)


def _base(r: Resolved, plugin: Plugin, image: OciImage) -> Node | None:
    """Return the step that looks at an image's base, apart so that it is done once for each base."""
    if not image.base:
        return None
    step = Step(
        name=f"{image.name}-base",
        stage="package",
        run="k8sbuild.stages.folders:base_folders",
        inputs=(image.base,),
        outputs=("folders.json",),
        params={"base": image.base, "platform": str(r.build.platform)},
        memory=300,
    )
    return node("package", plugin.name, "ImageFolders", step)


def bundles(r: Resolved) -> Iterator[Node]:
    """Yield the step that puts images into one tar."""
    for plugin, item in r.contributions.of(ImageBundle):
        names = filled(r.build.placeholders(), plugin, item, {"file": item.file})
        step = Step(
            name=item.name,
            stage="package",
            run="k8sbuild.stages.bundle:bundle",
            inputs=item.images or (Collect(kind="OciImage"),),
            outputs=(names["file"],),
            params={**names, "date": r.release.time, "level": level(r)},
            memory=400,
        )
        yield node("package", plugin.name, "ImageBundle", step)


def root_file_systems(r: Resolved) -> Iterator[Node]:
    """Yield the step that assembles each root file system."""
    for plugin, item in r.contributions.of(RootFs):
        names = filled(r.build.placeholders(), plugin, item, {"file": item.file})
        step = Step(
            name=item.name,
            stage="package",
            run="k8sbuild.stages.rootfs:rootfs",
            inputs=(item.packages,),
            outputs=(names["file"],),
            params={**names, "packages": item.packages, "arch": r.build.platform.arch, "date": r.release.time},
            memory=600,
        )
        yield node("package", plugin.name, "RootFs", step)


def _who(plugin: Plugin, image: OciImage) -> str:
    return f"plugin {plugin.name}: OciImage {image.name}"


def _config(r: Resolved, plugin: Plugin, image: OciImage) -> dict[str, Any]:
    """Return how the image is run, under the names that its configuration has for it."""

    def texts(given: Mapping[str, str]) -> dict[str, str]:
        return filled(r.build.placeholders(), plugin, image, given)

    def words(row: Sequence[str]) -> list[str]:
        return [fill(text, r.build.placeholders(), _who(plugin, image)) for text in row]

    plain = texts({"User": image.user, "WorkingDir": image.workdir, "StopSignal": image.stop_signal})
    lists = {"Entrypoint": words(image.entrypoint), "Cmd": words(image.cmd)}
    return {**plain, **lists, "Env": texts(image.env), "Labels": texts(image.labels)}


def _layers(r: Resolved, plugin: Plugin, image: OciImage) -> list[dict[str, Any]]:
    names = [layer.name for layer in image.layers]
    if len(set(names)) != len(names):
        raise PluginError(f"{_who(plugin, image)}: two layers have one name: {names}", reason="duplicate-name")
    return [
        {"name": layer.name, "files": [_file(r, plugin, image, file) for file in layer.files]} for layer in image.layers
    ]


def _file(r: Resolved, plugin: Plugin, image: OciImage, file: ImageFile) -> dict[str, Any]:
    texts = filled(r.build.placeholders(), plugin, image, {"path": file.path, "link": file.link})
    path = posixpath.normpath(texts["path"].lstrip("/")) if texts["path"].strip("/") else ""
    if (file.address and file.link) or not (path or file.address):
        what = "has an address and a link" if path else "has no path"
        raise PlanError(f"{_who(plugin, image)}: the file {file.name} {what}", reason="image-file")
    if path.split("/")[0] == ".." or "\0" in path + texts["link"]:
        raise PlanError(
            f"{_who(plugin, image)}: {texts['path']!r} is outside of the image's root",
            reason="path-outside",
            hint="paths are seen from the image's root",
        )
    row = {"mode": file.mode, "uid": file.uid, "gid": file.gid}
    return {"address": file.address, "path": "" if path == "." else path, "link": texts["link"], **row}
