"""Images: the same bytes for the same members, whatever they stand on."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from k8sbuild.errors import PackageError
from k8sbuild.stages import layers as steps
from k8sbuild.stages.bundle import bundle
from k8sbuild.stages.folders import Folders
from k8sbuild.stages.image import image
from k8sbuild.stages.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.engine.context import StepContext

    Context = Callable[..., StepContext]
    Files = dict[str, bytes]

TOOL, ETC = "compile:toy/tool/tool", "codegen:toy/etc"
INPUTS: dict[str, Files] = {"compile:toy/tool": {"tool": b"elf", "log": b""}, ETC: {"a.conf": b"a", "b/c": b"c"}}
SEEN = "package:toy/image-base"
CONFIG = {"Entrypoint": [], "Cmd": [], "Env": {}, "Labels": {}, "User": "", "WorkingDir": "", "StopSignal": ""}
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


def row(path: str, address: str = "", **fields: Any) -> dict[str, Any]:
    return {"address": address, "path": path, "link": "", "mode": None, "uid": 0, "gid": 0, **fields}


LAYERS = [
    {"name": "tool", "files": [row("usr/bin/tool", TOOL, mode=0o755)]},
    {"name": "etc", "files": [row("etc", ETC, uid=7, gid=8), row("on", link="../etc/a.conf"), row("var", mode=0o1777)]},
]


def make(
    context: Context,
    layers: list[dict[str, Any]] = LAYERS,
    *,
    inputs: dict[str, Files] | None = None,
    file: str = "image.tar",
    config: dict[str, Any] | None = None,
    **fields: Any,
) -> tuple[Files, StepContext]:
    """Return the files of the image's tar."""
    params = {
        "file": file,
        "reference": "example.org/toy:v1",
        "config": {**CONFIG, **(config or {})},
        "platform": "linux-amd64",
        "date": "2024-12-10T11:41:03Z",
        "level": 1,
        **fields,
    }
    given = dict(inputs or INPUTS)
    base, below = params.pop("base", ""), ""
    if base:
        _keep(given, SEEN, steps.base, context({**params, "base": base}, inputs=given, name=SEEN))
        below = f"{SEEN}/folders.json"
    names = []
    for item in layers:
        name = f"package:toy/image-layer-{item['name']}"
        _keep(given, name, steps.layer, context({**params, **item, "below": below}, inputs=given, name=name))
        names.append([item["name"], name])
        below = f"{name}/folders.json"
    of_image = {**params, "base": base, "below": SEEN if base else "", "layers": names}
    ctx = context(of_image, inputs=given, name="package:toy/image")
    image(ctx)
    assert [path.name for path in ctx.out.iterdir()] == [file], "nothing temporary is left"
    data = (ctx.out / file).read_bytes()
    return unpacked(zstandard.ZstdDecompressor().stream_reader(data).read() if file.endswith(".zst") else data), ctx


def _keep(given: dict[str, Files], name: str, run: Callable[[StepContext], None], ctx: StepContext) -> None:
    """Run a step and put its output among the inputs of the next."""
    run(ctx)
    given[name] = {path.relative_to(ctx.out).as_posix(): path.read_bytes() for path in ctx.out.rglob("*.*")}
    given[name] |= {f"layers/{path.name}": path.read_bytes() for path in ctx.out.glob("layers/*")}


def unpacked(data: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isreg()}  # type: ignore[union-attr]


def blob(files: Files, digest: str) -> bytes:
    data = files[f"blobs/sha256/{digest.removeprefix('sha256:')}"]
    assert hashlib.sha256(data).hexdigest() == digest.removeprefix("sha256:")
    return data


def manifest(files: Files) -> dict[str, Any]:
    (found,) = json.loads(files["index.json"])["manifests"]
    read: dict[str, Any] = json.loads(blob(files, found["digest"]))
    return read


def config(files: Files) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(blob(files, manifest(files)["config"]["digest"]))
    return read


def tars(files: Files) -> list[bytes]:
    """Return the layers' tars, each held against its digest."""
    found = [gzip.decompress(blob(files, row["digest"])) for row in manifest(files)["layers"]]
    assert config(files)["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in found]
    return found


def members(files: Files, layer: int) -> dict[str, tarfile.TarInfo]:
    data = tars(files)[layer]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name: info for info in tar}


def test_layers_have_what_is_declared_and_nothing_of_the_machine(context: Context) -> None:
    files, ctx = make(context)
    assert list(members(files, 0)) == ["usr", "usr/bin", "usr/bin/tool"]
    found = {n: (i.type, i.mode, i.uid, i.gid, i.linkname, i.mtime) for n, i in members(files, 1).items()}
    time = 1733830863
    made = (tarfile.DIRTYPE, 0o755, 0, 0, "", time)
    assert found == {
        "etc": made,
        "etc/b": made,
        "etc/a.conf": (tarfile.REGTYPE, 0o644, 7, 8, "", time),
        "etc/b/c": (tarfile.REGTYPE, 0o644, 7, 8, "", time),
        "on": (tarfile.SYMTYPE, 0o777, 0, 0, "../etc/a.conf", time),
        "var": (tarfile.DIRTYPE, 0o1777, 0, 0, "", time),
    }
    assert members(files, 0)["usr/bin/tool"].mode == 0o755
    rows = manifest(files)["layers"]
    assert {row["mediaType"] for row in rows} == {LAYER_TYPE}
    assert [len(blob(files, row["digest"])) for row in rows] == [row["size"] for row in rows]
    assert list(ctx.facts["layers"].values()) == [row["digest"] for row in rows]


def test_docker_finds_what_it_looks_for(context: Context) -> None:
    files, _ = make(context)
    (said,) = json.loads(files["manifest.json"])
    assert said["RepoTags"] == ["example.org/toy:v1"]
    assert json.loads(files[said["Config"]]) == config(files)
    assert [hashlib.sha256(files[path]).hexdigest() for path in said["Layers"]] == [
        row["digest"].removeprefix("sha256:") for row in manifest(files)["layers"]
    ]
    (row,) = json.loads(files["index.json"])["manifests"]
    assert row["annotations"]["org.opencontainers.image.ref.name"] == "v1"
    assert row["platform"] == {"os": "linux", "architecture": "amd64"}
    assert files["oci-layout"] == b'{"imageLayoutVersion":"1.0.0"}'


def test_how_it_is_run(context: Context) -> None:
    given = {"Entrypoint": ["/init"], "Env": {"A": "1"}, "Labels": {"b": "2"}, "StopSignal": "SIGRTMIN+3"}
    found = config(make(context, config=given)[0])
    assert (found["architecture"], found["os"], found["created"]) == ("amd64", "linux", "2024-12-10T11:41:03Z")
    assert found["config"] == {
        "Entrypoint": ["/init"], "Env": ["A=1"], "Labels": {"b": "2"}, "StopSignal": "SIGRTMIN+3",
    }  # fmt: skip
    assert [line["created_by"] for line in found["history"]] == ["k8sbuild: tool", "k8sbuild: etc"]


def test_one_changed_file_changes_one_layer(context: Context) -> None:
    first, one = make(context)
    assert make(context)[0] == first
    changed = {**INPUTS, ETC: {**INPUTS[ETC], "a.conf": b"other"}}
    _, two = make(context, inputs=changed)
    assert one.facts["layers"]["tool"] == two.facts["layers"]["tool"]
    assert one.facts["layers"]["etc"] != two.facts["layers"]["etc"]
    assert one.facts["image"] != two.facts["image"]


def test_compressed_it_is_the_same_image(context: Context) -> None:
    plain, one = make(context)
    packed, two = make(context, file="image.tar.zst")
    assert packed == plain
    assert two.facts["sums"] == {"image.tar": hashlib.sha256((one.out / "image.tar").read_bytes()).hexdigest()}
    assert "sums" not in one.facts, "it has one itself"


def layout(context: Context) -> Files:
    """Return an image to stand on."""
    given = {"Entrypoint": ["/old"], "Cmd": ["-x"], "Env": {"A": "0", "P": "/bin"}, "Labels": {"l": "1"}}
    return make(context, LAYERS[:1], config=given)[0]


def tar_of(files: Files) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(files: Files) -> Files:
    """Return a layout as registries have them: Docker's media types, a compressed layer, an index in the index."""
    old = manifest(files)
    layer = gzip.compress(tars(files)[0], mtime=0)
    found = {"oci-layout": files["oci-layout"]}

    def put(data: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        found[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"application/vnd.docker.{media_type}", "digest": f"sha256:{digest}", "size": len(data)}

    conf = put(blob(files, old["config"]["digest"]), "container.image.v1+json")
    layers = [put(layer, "image.rootfs.diff.tar.gzip")]
    inner = put(json.dumps({"config": conf, "layers": layers}).encode(), "distribution.manifest.v2+json")
    other = {**inner, "platform": {"os": "linux", "architecture": "arm64"}, "digest": "sha256:" + "0" * 64}
    rows = [other, {**inner, "platform": {"os": "linux", "architecture": "amd64"}}]
    index = put(json.dumps({"manifests": rows}).encode(), "distribution.manifest.list.v2+json")
    return {**found, "index.json": json.dumps({"manifests": [index]}).encode()}


BASE = "fetch:toy/base"
FORMS: dict[str, Callable[[Files], Files]] = {
    "folder": lambda files: files,
    "tar": lambda files: {"base.tar": tar_of(files)},
    "tar.gz": lambda files: {"base": gzip.compress(tar_of({f"./{n}": d for n, d in files.items()}))},
    "tar.zst": lambda files: {"base": zstandard.compress(tar_of(files))},
}


@pytest.mark.parametrize("form", FORMS)
def test_an_image_as_base(context: Context, form: str) -> None:
    below = layout(context)
    given = {"Env": {"A": "1"}, "Labels": {"m": "2"}}
    files, _ = make(context, LAYERS[1:], inputs={**INPUTS, BASE: FORMS[form](below)}, base=BASE, config=given)
    assert manifest(files)["layers"][0] == manifest(below)["layers"][0]
    assert tars(files)[0] == tars(below)[0]
    assert config(files)["config"] == {
        "Entrypoint": ["/old"], "Cmd": ["-x"], "Env": ["A=1", "P=/bin"], "Labels": {"l": "1", "m": "2"},
    }  # fmt: skip
    assert len(config(files)["history"]) == 2


def test_an_image_of_a_registry_as_base(context: Context) -> None:
    below = zipped(layout(context))
    files, _ = make(context, LAYERS[1:], inputs={**INPUTS, BASE: below}, base=BASE, config={"Entrypoint": ["/new"]})
    first, second = manifest(files)["layers"]
    assert (first["mediaType"], second["mediaType"]) == (LAYER_TYPE, LAYER_TYPE)
    assert blob(files, first["digest"]) == blob(below, first["digest"]), "the base's layers stay as they are"
    assert tars(files)[0] == tars(layout(context))[0]
    assert "Cmd" not in config(files)["config"], "it was for the other entrypoint"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, zstandard.compress])
def test_a_root_file_system_as_base(context: Context, pack: Callable[[bytes], bytes]) -> None:
    root = tar_of({"./etc/os-release": b"ID=toy"})
    files, _ = make(context, LAYERS[:1], inputs={**INPUTS, BASE: {"root.tar": pack(root)}}, base=f"{BASE}/root.tar")
    assert tars(files)[0] == root
    assert len(config(files)["history"]) == 2


def without_config(files: Files) -> Files:
    return {
        name: data for name, data in files.items() if name != f"blobs/sha256/{manifest(files)['config']['digest'][7:]}"
    }


def damaged(files: Files) -> Files:
    name = f"blobs/sha256/{manifest(files)['layers'][0]['digest'][7:]}"
    return {**files, name: files[name][:-1] + b"x"}


def leaving(files: Files) -> Files:
    return {**files, "index.json": files["index.json"].replace(b"sha256:", b"../../../x:")}


@pytest.mark.parametrize(
    ("spoil", "reason", "said"),
    [
        (without_config, "image-base", "No such file"),
        (damaged, "image-base", "has the digest sha256:"),
        (leaving, "image-base", "is no sha256 digest"),
        (lambda files: {**files, "index.json": b"{"}, "image-base", "base fetch:toy/base cannot be used"),
        (lambda files: {**files, "index.json": b'{"manifests":[]}'}, "image-base", "no image for linux-amd64"),
        (lambda _: {"a": b"", "b": b""}, "image-base", "but 2 files"),
        (lambda _: {"a.tar": b"no tar"}, "image-base", "cannot be used"),
        (lambda _: {"a.tar.gz": b"\x1f\x8b no gzip"}, "image-base", "cannot be used"),
        (lambda files: {"a.tar.zst": zstandard.compress(tar_of(files))[:99]}, "image-base", "cannot be used"),
        (lambda _: {"a.tar": tar_of({"manifest.json": b"[]"})}, "image-base", "Docker's own form"),
        (lambda _: {"a.tar": tar_of({"a/../../b": b""})}, "path-outside", "'a/../../b' is outside"),
        (lambda _: {"a.tar": tar_of({"/b": b""})}, "path-outside", "'/b' is outside"),
    ],
)
def test_bases_that_are_none(context: Context, spoil: Callable[[Files], Files], reason: str, said: str) -> None:
    with pytest.raises(PackageError) as caught:
        make(context, inputs={**INPUTS, BASE: spoil(layout(context))}, base=BASE)
    assert caught.value.reason == reason
    assert said in caught.value.message


def test_a_base_for_another_machine(context: Context) -> None:
    below = layout(context)
    with pytest.raises(PackageError, match="it has no image for linux-arm64, but for: linux-amd64"):
        make(context, inputs={**INPUTS, BASE: below}, base=BASE, platform="linux-arm64")
    (said,) = json.loads(below["index.json"])["manifests"]
    silent = {**below, "index.json": json.dumps({"manifests": [{**said, "platform": {}}]}).encode()}
    with pytest.raises(PackageError, match="it is for linux-amd64, the image for linux-arm64"):
        make(context, inputs={**INPUTS, BASE: silent}, base=BASE, platform="linux-arm64")


@pytest.mark.parametrize(
    ("files", "reason", "said"),
    [
        ([row("x", TOOL), row("x", TOOL)], "archive-clash", "two members are named x"),
        ([row("x", TOOL), row("x")], "archive-clash", "need x"),
        ([row("x", TOOL), row("x/y", TOOL)], "archive-clash", "need x"),
        ([row("lib", link="usr/lib"), row("lib/y", TOOL)], "archive-clash", "need lib"),
        ([row("etc/.wh.passwd", TOOL)], "image-path", "would remove another one"),
        ([row("", TOOL)], "image-file", "root"),
    ],
)
def test_layers_that_cannot_be(context: Context, files: list[dict[str, Any]], reason: str, said: str) -> None:
    with pytest.raises(PackageError) as caught:
        make(context, [{"name": "l", "files": files}])
    assert (caught.value.reason, said in caught.value.message) == (reason, True)


@pytest.mark.parametrize("size", [0, 1, 0xFFFF, 0x10000, 0x1FFFE, 300_000])
def test_gzips_form_is_that_of_gzip(size: int) -> None:
    out, data = io.BytesIO(), bytes(range(256)) * (size // 256 + 1)
    with Stored(out) as stream:
        for start in range(0, size, 70_001):
            stream.write(data[start : min(start + 70_001, size)])
    assert gzip.decompress(out.getvalue()) == data[:size]
    assert len(out.getvalue()) == 18 + size + 5 * max(1, -(-size // 0xFFFF))


def test_folders_of_the_base_stay_as_they_are(context: Context) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, link in (("./", ""), ("./usr", ""), ("./usr/lib", ""), ("./lib", "usr/lib"), ("./root", "")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.DIRTYPE, "")
            tar.addfile(info)
    paths = ["lib/one/tool", "usr/lib/tool", "root/tool", "opt/tool", "usr/lib/one/two/tool"]
    layers = [{"name": str(n), "files": [row(path, TOOL)]} for n, path in enumerate(paths)]
    files, _ = make(context, layers, inputs={**INPUTS, BASE: {"root.tar": out.getvalue()}}, base=BASE)
    made = [[name for name, info in members(files, n + 1).items() if info.isdir()] for n in range(len(paths))]
    assert made == [["lib/one"], [], [], ["opt"], ["usr/lib/one/two"]], "one that a layer below made is there too"


@pytest.mark.parametrize(
    ("taken", "path", "missing"),
    [
        ([("a", True), ("a/b", True), ("a/.wh.b", False)], "a/b/c", ["a/b"]),
        ([("a", True), ("a/b", True), ("a/.wh..wh..opq", False)], "a/b/c", ["a/b"]),
        ([("a", True), ("a/b", True), ("a", False)], "a/b/c", ["a", "a/b"]),
        ([("a", True), ("a", True)], "a/b", []),
        ([("x", "/a"), ("a", True)], "x/b", []),
        ([("x", "y"), ("y", "x")], "x/b", ["x"]),
        ([("x", "../../a"), ("a", True), ("x", True)], "x/b", []),
    ],
)
def test_folders_of_layers(taken: list[tuple[str, bool | str]], path: str, missing: list[str]) -> None:
    found = Folders()
    for name, what in taken:
        found.take(name, folder=what is True, link=what if isinstance(what, str) else "")
    assert list(Folders(**found.to_data()).missing(path)) == missing


def test_a_layer_with_other_content_than_its_configuration_says(context: Context) -> None:
    below = layout(context)
    old = manifest(below)["config"]["digest"]
    said = {**config(below), "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    changed = json.dumps(said).encode()
    new = hashlib.sha256(changed).hexdigest()
    other = {**manifest(below), "config": {"mediaType": "x", "digest": f"sha256:{new}", "size": len(changed)}}
    data = json.dumps(other).encode()
    digest = hashlib.sha256(data).hexdigest()
    index = {"manifests": [{"digest": f"sha256:{digest}", "size": len(data)}]}
    kept = {path: content for path, content in below.items() if old[7:] not in path}
    files = {**kept, f"blobs/sha256/{new}": changed, f"blobs/sha256/{digest}": data}
    with pytest.raises(PackageError, match="has other content than the configuration's") as caught:
        make(context, inputs={**INPUTS, BASE: {**files, "index.json": json.dumps(index).encode()}}, base=BASE)
    assert caught.value.reason == "image-base"


@pytest.mark.parametrize("data", [b"no tar", tar_of({"index.json": b"{}"}), tar_of({"manifest.json": b"[]"})])
def test_what_is_no_image_of_a_bundle(context: Context, data: bytes) -> None:
    params = {"file": "all.tar", "date": "", "level": 1}
    ctx = context(params, inputs={"package:toy/one": {"one.tar": data}}, name="package:toy/all")
    with pytest.raises(PackageError, match=r"package:toy/one/one\.tar is no image") as caught:
        bundle(ctx)
    assert caught.value.reason == "bad-image"
