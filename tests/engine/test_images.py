"""Images through the whole engine: declared by a plugin, built in two folders, and what a plugin may get wrong."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from toys import failure, states

from k8sbuild import api
from k8sbuild.errors import BuildError
from k8sbuild.kinds import Artifact, ImageBundle, ImageFile, ImageLayer, OciImage, Source, Target, Template
from k8sbuild.testing import registry
from k8sbuild.testing.files import write
from k8sbuild.testing.server import serve

if TYPE_CHECKING:
    from pathlib import Path

    from toys import Make, Named, RequestFor

UNIT = ImageFile(name="unit", address="codegen:toy/unit/unit", path="/etc/unit-{arch}")
IMAGE = OciImage(
    name="image",
    file="toy-{k8s}.oci.tar",
    reference="toy:{k8s}",
    base="fetch:toy/root",
    layers=(ImageLayer(name="etc", files=(UNIT, ImageFile(name="on", path="/etc/on", link="unit-{arch}"))),),
    entrypoint=("/init", "--for={k8s}", "--arch={arch}"),
    env={"VERSION": "{k8s}"},
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the tar of a root file system."""
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("init"), io.BytesIO())
    return tmp_path / "root.tar"


def toy(plugin: Make, root: Path, image: OciImage) -> Named:
    write(root.parent / "toy", {"unit": "for @ARCH@\n"})
    return plugin(
        targets=[Target(name="toy", help="", artifacts={"image.tar": "package:toy/image/toy-v1.31.4.oci.tar"})],
        fetch=[Source(name="root", version="v1", locations={"path": str(root)}, layout="as-is")],
        codegen=[Template(name="unit", path="unit", file="unit", values={"ARCH": "{arch}"})],
        package=[image],
    )


def test_an_image_is_the_same_in_two_folders(plugin: Make, request_for: RequestFor, root: Path, tmp_path: Path) -> None:
    named = toy(plugin, root, IMAGE)
    data = []
    for name in ("one", "two"):
        cache = {"K8SBUILD_CACHE_DIR": str(tmp_path / f"cache-{name}")}
        request = request_for(named, root=tmp_path / name, env=cache, arch="amd64")
        api.build(request)
        data.append((request.root / "dist/artifacts/image.tar").read_bytes())
    assert data[0] == data[1]
    with tarfile.open(fileobj=io.BytesIO(data[0])) as tar:
        files = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    (said,) = json.loads(files["manifest.json"])
    assert said["RepoTags"] == ["toy:v1.31.4"]
    config = json.loads(files[said["Config"]])["config"]
    assert config == {"Entrypoint": ["/init", "--for=v1.31.4", "--arch=amd64"], "Env": ["VERSION=v1.31.4"]}
    with tarfile.open(fileobj=io.BytesIO(files[said["Layers"][1]]), mode="r:gz") as layer:
        found = [(info.name, info.linkname) for info in layer]
    assert found == [("etc", ""), ("etc/on", "unit-amd64"), ("etc/unit-amd64", "")]


def test_a_base_from_a_registry_is_locked_and_then_needs_no_network(
    plugin: Make, request_for: RequestFor, tmp_path: Path
) -> None:
    registry.push(tmp_path / "served", "group/base", "v1", registry.image({"etc/a": b"a"}))
    with serve(tmp_path / "served") as server:
        location = f"{server.address}/group/base#linux-amd64"
        base = Source(name="base", version="v1", locations={"oci": location}, layout="as-is")
        image = OciImage(name="image", file="i.tar", reference="toy:v1", base="fetch:toy/base", layers=())
        target = Target(name="toy", help="", artifacts={"image.tar": "package:toy/image/i.tar"})
        toy = plugin(targets=[target], fetch=[base], package=[image])
        api.build(request_for(toy, arch="amd64"))
    lock = tmp_path / "project/k8sbuild.lock"
    (entry,) = json.loads(lock.read_text())["sources"].values()
    assert (entry["trust"], list(entry["transports"]["oci"])) == ("first-use", ["group/base:v1"])
    assert "127.0.0.1" not in lock.read_text()
    artifact = tmp_path / "project/dist/artifacts/image.tar"
    before = artifact.read_bytes()
    artifact.unlink()
    assert states(api.build(request_for(toy, arch="amd64", offline=True, locked=True))) == {
        "base": "reused", "image-base": "reused", "image": "reused",
    }  # fmt: skip
    assert artifact.read_bytes() == before
    other = request_for(toy, arch="amd64", offline=True, env={"K8SBUILD_CACHE_DIR": str(tmp_path / "empty")})
    assert failure(other).reason == "offline"


def bundled(plugin: Make, made: list[OciImage], **fields: Any) -> Named:
    bundle = ImageBundle(name="images", file="all-{k8s}.tar.zst", **fields)
    more = Artifact(name="all", file="all", address="package:toy/images/all-{k8s}.tar.zst")
    return plugin(targets=[Target(name="toy", help="", artifacts={})], package=[bundle, more, *made])


def made_of(name: str, *paths: str, **fields: Any) -> OciImage:
    layers = tuple(ImageLayer(name=path, files=(ImageFile(name="f", path=path),)) for path in paths)
    return OciImage(name=name, layers=layers, **{"file": f"{name}.tar", "reference": f"toy/{name}:v1", **fields})


@pytest.mark.parametrize(
    ("chosen", "names"), [((), ["toy/one:v1", "toy/two:v1"]), (("package:toy/two/two.tar.zst",), ["toy/two:v1"])]
)
def test_images_in_one_tar(plugin: Make, request_for: RequestFor, chosen: tuple[str, ...], names: list[str]) -> None:
    images = [made_of("two", "same", "other", file="two.tar.zst"), made_of("one", "same")]
    request = request_for(bundled(plugin, images, images=chosen))
    api.build(request)
    data = zstandard.ZstdDecompressor().stream_reader((request.root / "dist/artifacts/all").read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    said = json.loads(files["manifest.json"])
    assert [row["RepoTags"] for row in said] == [[name] for name in names]
    rows = json.loads(files["index.json"])["manifests"]
    assert [row["annotations"]["io.containerd.image.name"] for row in rows] == names
    wanted = {path for row in said for path in (row["Config"], *row["Layers"])}
    wanted |= {f"blobs/{row['digest'].replace(':', '/')}" for row in rows}
    assert wanted == {path for path in files if path.startswith("blobs/")}
    assert {path[13:] for path in wanted} == {hashlib.sha256(files[path]).hexdigest() for path in wanted}
    if not chosen:
        assert set(said[0]["Layers"]) < set(said[1]["Layers"]), "what both have is in it once"


def test_images_that_do_not_fit_into_one_tar(plugin: Make, request_for: RequestFor) -> None:
    twice = [made_of("one", "a"), made_of("two", "b", reference="toy/one:v1")]
    error = failure(request_for(bundled(plugin, twice)))
    assert (error.reason, "two images are called toy/one:v1" in error.message) == ("image-twice", True)
    error = failure(request_for(bundled(plugin, [made_of("one", "a")], images=("package:toy/tar/x.tar",))))
    assert error.reason == "unknown-address"


def layer(**fields: Any) -> ImageLayer:
    return ImageLayer(name="l", files=(ImageFile(name="f", **fields),))


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        ({"layers": (layer(path="a/../../b"),)}, "path-outside", "'a/../../b' is outside of the image's root"),
        ({"layers": (layer(path=".."),)}, "path-outside", "plugin toy: OciImage image"),
        ({"layers": (layer(path="a\0"),)}, "path-outside", "outside"),
        ({"layers": (layer(path="/"),)}, "image-file", "the file f has no path"),
        ({"layers": (layer(path="a", link="b", address="codegen:toy/unit"),)}, "image-file", "an address and a link"),
        ({"layers": (layer(path="a"), layer(path="b"))}, "duplicate-name", "two layers have one name"),
        ({"layers": (layer(path="{x}"),)}, "unknown-placeholder", "'{x}'"),
        ({"layers": (layer(path="a", address="codegen:toy/unti"),)}, "unknown-address", "codegen:toy/unit"),
        ({"entrypoint": ("{x}",)}, "unknown-placeholder", "'{x}'"),
        ({"reference": "Toy:v1"}, "bad-reference", "'Toy:v1' is no reference"),
        ({"reference": "toy"}, "bad-reference", "name:v1.2.3"),
    ],
)
def test_mistakes_in_images_are_named(
    plugin: Make, request_for: RequestFor, root: Path, fields: dict[str, Any], reason: str, said: str
) -> None:
    with pytest.raises(BuildError) as caught:
        api.plan(request_for(toy(plugin, root, replace(IMAGE, **fields))))
    assert caught.value.reason == reason
    assert said in f"{caught.value.message} {caught.value.hint}"
