"""Images, each with steps for what it stands on and for its layers, bundles of them, and root file systems."""

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
    """Yield the steps that make each image: one for its base, one for each of its layers, one for the whole.

    Raises:
        PlanError: ``bad-reference``, ``path-outside``, ``image-file``.
        PluginError: ``duplicate-name``.
    """
    for plugin, image in r.contributions.of(OciImage):
        names = filled(r.build.placeholders(), plugin, image, {"file": image.file, "reference": image.reference})
        if not _REFERENCE.fullmatch(names["reference"]):
            raise PlanError(
                f"{_who(plugin, image)}: {names['reference']!r} is no reference",
                reason="bad-reference",
                hint="write it like name:v1.2.3, the name in lower case",
            )
        base = _base(r, plugin, image)
        layers = list(_layers(r, plugin, image, f"{base.name}/folders.json" if base else ""))
        step = Step(
            name=image.name,
            stage="package",
            run="k8sbuild.stages.image:image",
            inputs=(*((image.base, base.name) if base else ()), *(layer.name for _, layer in layers)),
            outputs=(names["file"],),
            params={
                **names,
                "base": image.base,
                "below": base.name if base else "",
                "config": _config(r, plugin, image),
                "layers": [[name, layer.name] for name, layer in layers],
                "platform": str(r.build.platform),
                "date": r.release.time,
                "level": level(r),
            },
            memory=400,
        )
        yield from (*filter(None, [base]), *(layer for _, layer in layers))
        yield node("package", plugin.name, "OciImage", step)


def _base(r: Resolved, plugin: Plugin, image: OciImage) -> Node | None:
    """Return the step that looks at an image's base, apart so that it is done once for each base."""
    if not image.base:
        return None
    step = Step(
        name=f"{image.name}-base",
        stage="package",
        run="k8sbuild.stages.layers:base",
        inputs=(image.base,),
        outputs=("base.json", "folders.json"),
        params={"base": image.base, "platform": str(r.build.platform)},
        memory=300,
    )
    return node("package", plugin.name, "ImageBase", step)


def _layers(r: Resolved, plugin: Plugin, image: OciImage, below: str) -> Iterator[tuple[str, Node]]:
    """Yield name and step of each layer; each sees which folders those below it have, and nothing else of them."""
    for name, inputs, params in _contents(r, plugin, image):
        step = Step(
            name=f"{image.name}-layer-{name}",
            stage="package",
            run="k8sbuild.stages.layers:layer",
            inputs=tuple(dict.fromkeys(filter(None, [below, *inputs]))),
            outputs=("layer.json", "folders.json"),
            params={**params, "below": below, "date": r.release.time},
            memory=200,
        )
        made = node("package", plugin.name, "ImageLayer", step)
        yield name, made
        below = f"{made.name}/folders.json"


def _contents(r: Resolved, plugin: Plugin, image: OciImage) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    """Yield name, inputs and parameters of each layer; the one with licence texts is the last."""
    names = [*(layer.name for layer in image.layers), *(["licences"] if image.licences else [])]
    if len(set(names)) != len(names):
        raise PluginError(f"{_who(plugin, image)}: two layers have one name: {names}", reason="duplicate-name")
    for layer in image.layers:
        rows = [_file(r, plugin, image, file) for file in layer.files]
        yield layer.name, [file.address for file in layer.files], {"files": rows}
    if image.licences:
        places = {address: licence_inputs(r, address) for address in image.licences}
        yield "licences", [*places, *(place for found in places.values() for place in found)], {"licences": places}


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
