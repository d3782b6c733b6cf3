"""Whole builds of the image, from a registry and from files; what is compiled is scripts here."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from k8sbuild_cri_dockerd_image import plugin
from k8sbuild_cri_dockerd_image.choice import _PACKAGES, NAME, RUNTIMES
from k8sbuild_cri_dockerd_image.plugin import WANTED

from k8sbuild import api
from k8sbuild.errors import BuildError
from k8sbuild.providers import _http
from k8sbuild.stages import rootfs
from k8sbuild.testing import debian, gitrepo, registry, upstream, vendored
from k8sbuild.testing.server import Fault, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from disks import Disk

    from k8sbuild.project import Request

    RequestFor = Callable[..., Request]

REPOSITORY = "k8s-minikube/kicbase"
#: What of kicbase matters: programs, its own units and entrypoint.
KICBASE = {
    **{f"usr/bin/{name}": b"#!/bin/sh\n" for name in (*WANTED, *(r.program for r in RUNTIMES.values()))},
    "usr/local/bin/entrypoint": b"#!/bin/sh\n# of the base\n",
    "lib/systemd/system/docker.service": b"[Service]\nExecStart=/usr/bin/dockerd\n",
    "lib/systemd/system/containerd.service": b"[Service]\nExecStart=/usr/bin/containerd\n",
    "opt/cni/bin/bridge": b"#!/bin/sh\n",
}
OWN = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: {}\n"
IMAGE = f"package:{NAME}/image"


def pushed(folder: Path, tag: str = "v0.0.47", files: Mapping[str, bytes] = KICBASE) -> str:
    """Put a base into the registry; return its digest."""
    image = registry.image(files, platform="linux-amd64")
    other = registry.image({"etc/arch": b"arm64"}, platform="linux-arm64")
    return registry.push(folder, REPOSITORY, tag, image, other)


def mirror(address: str) -> str:
    """Return the configuration with which kicbase comes from another registry."""
    return f'[sources.kicbase]\nlocation = "{address}/{REPOSITORY}#linux-amd64"\n'


def root_file_system(path: Path, files: Mapping[str, bytes] = KICBASE) -> Path:
    """Write the tar of a root file system."""
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def failure(request: Request) -> BuildError:
    with pytest.raises(BuildError) as caught:
        api.build(request)
    assert not list(request.root.glob("dist/artifacts/kubelet-image/*")), "nothing is given that is not whole"
    return caught.value


def image_of(request: Request) -> bytes:
    return (request.root / "dist/artifacts/kubelet-image/image.oci.tar").read_bytes()


def unpacked(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isreg()}  # type: ignore[union-attr]


def facts(report: api.Report, step: str = IMAGE) -> Mapping[str, Any]:
    (found,) = (outcome for outcome in report.outcomes if outcome.step == step)
    assert found.result is not None
    return found.result.facts


def ran(report: api.Report) -> set[str]:
    return {outcome.step.partition("/")[2] for outcome in report.outcomes if outcome.state == "ran"}


def test_an_image_stands_on_kicbase_from_a_registry(request_for: RequestFor, tmp_path: Path) -> None:
    digest = pushed(tmp_path / "served")
    with serve(tmp_path / "served") as server:
        request = request_for(config=mirror(server.address))
        report = api.build(request)
    lock = (request.root / "k8sbuild.lock").read_text()
    entry = json.loads(lock)["sources"]["kicbase@v0.0.47"]
    assert entry["transports"] == {"oci": {f"{REPOSITORY}:v0.0.47": digest}}
    assert entry["trust"] == "first-use"
    assert "127.0.0.1" not in lock
    files = unpacked(image_of(request))
    (said,) = json.loads(files["manifest.json"])
    with tarfile.open(fileobj=io.BytesIO(files[said["Layers"][0]]), mode="r:gz") as layer:
        assert {info.name for info in layer} == set(KICBASE), "the base's own layer"
    own = [info for path in said["Layers"][1:] for info in _members(files[path])]
    assert "usr/local/bin/entrypoint" not in own, "kicbase has one"
    assert {"usr/local/bin/kubelet", "usr/local/bin/cri-dockerd", "kubelet.yaml"} <= set(own)
    assert list(facts(report)["layers"]) == ["programs", "system", "kubelet"]


def _members(layer: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:gz") as tar:
        return tar.getnames()


def test_a_base_that_was_pulled_needs_no_registry(request_for: RequestFor, tmp_path: Path) -> None:
    pushed(tmp_path / "served")
    with serve(tmp_path / "served") as server:
        config = mirror(server.address)
        first = request_for(config=config)
        api.build(first)
        before = len(server.requests)
        (first.root / "dist").rename(tmp_path / "first")
        pushed(tmp_path / "served", files={**KICBASE, "etc/moved": b""})
        report = api.build(request_for(config=config))
        assert len(server.requests) == before, "what is locked is in the store"
    assert ran(report) == set()
    offline = request_for(config=config, offline=True, locked=True)
    api.build(offline)
    assert image_of(offline) == (tmp_path / "first/artifacts/kubelet-image/image.oci.tar").read_bytes()
    error = failure(request_for("elsewhere", config=config, offline=True))
    assert (error.reason, "kicbase" in error.message) == ("offline", True)


def test_a_digest_pins_the_base(request_for: RequestFor, tmp_path: Path) -> None:
    digest = pushed(tmp_path / "served")
    pushed(tmp_path / "served", files={"etc/moved": b""})
    with serve(tmp_path / "served") as server:
        request = request_for(config=mirror(server.address), base=f"kicbase:v0.0.47@{digest}")
        api.build(request)
    (entry,) = (e for name, e in json.loads((request.root / "k8sbuild.lock").read_text())["sources"].items())
    assert entry["trust"] == "pins"


@pytest.mark.parametrize("what", ["manifest", "layer"])
def test_a_base_with_other_bytes_than_its_digest(request_for: RequestFor, tmp_path: Path, what: str) -> None:
    digest = pushed(tmp_path / "served")
    places = tmp_path / "served/v2" / REPOSITORY
    layer = max((places / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    path = f"/v2/{REPOSITORY}/" + (f"manifests/{digest}" if what == "manifest" else f"blobs/{layer.name}")
    with serve(tmp_path / "served", {path: [Fault.corrupt()] * 9}) as server:
        error = failure(request_for(config=mirror(server.address), base=f"kicbase@{digest}"))
    assert error.reason == "digest-mismatch"
    assert digest in error.message or layer.name in error.message
    with serve(tmp_path / "served") as server:
        # Nothing wrong was kept.
        api.build(request_for(config=mirror(server.address), base=f"kicbase@{digest}"))


def test_a_registry_that_is_not_there(request_for: RequestFor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "Policy", partial(_http.Policy, attempts=2, wait=0.01))
    error = failure(request_for(config=mirror("http://127.0.0.1:1")))
    assert (error.reason, error.exit_code) == ("network-error", 15)
    assert "127.0.0.1:1" in error.message


def test_a_version_of_kicbase_that_is_not_there(request_for: RequestFor, tmp_path: Path) -> None:
    pushed(tmp_path / "served")
    with serve(tmp_path / "served") as server:
        error = failure(request_for(config=mirror(server.address), base="kicbase:v9"))
    assert (error.reason, error.hint) == ("unknown-version", "it has the tags v0.0.47")


def test_two_folders_give_one_image(request_for: RequestFor, tmp_path: Path) -> None:
    """Even the caches are others, and the tar of the base has another name."""
    made = []
    for name in ("one", "two"):
        request = request_for(name, base=str(root_file_system(tmp_path / f"{name}.tar")))
        report = api.build(request)
        made.append((facts(report)["image"], image_of(request)))
    assert made[0] == made[1]


def test_a_change_of_the_configuration_changes_one_layer(request_for: RequestFor, tmp_path: Path) -> None:
    base, own = str(root_file_system(tmp_path / "root.tar")), tmp_path / "own.yaml"
    reports = []
    for pods in (7, 8):
        own.write_text(OWN.format(pods))
        reports.append(api.build(request_for(base=base, kubelet_config=str(own))))
    first, second = (facts(report)["layers"] for report in reports)
    assert {name for name in first if first[name] != second[name]} == {"kubelet"}
    assert ran(reports[1]) == {"kubelet-config", "kubelet.yaml", "image-layer-kubelet", "image", "folder", "size"}
    assert facts(reports[0])["image"] != facts(reports[1])["image"]


def test_a_base_without_the_runtime(request_for: RequestFor, tmp_path: Path) -> None:
    without = {name: data for name, data in KICBASE.items() if name != "usr/bin/dockerd"}
    error = failure(request_for(base=str(root_file_system(tmp_path / "root.tar", without))))
    assert error.reason == "base-lacks"
    assert "lacks dockerd" in error.message
    api.build(request_for(base=str(tmp_path / "root.tar"), runtime="containerd"))


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "a/../../b"])
def test_a_base_that_leaves_its_root(request_for: RequestFor, tmp_path: Path, name: str) -> None:
    pushed(tmp_path / "served", files={**KICBASE, name: b"x"})
    with serve(tmp_path / "served") as server:
        error = failure(request_for(config=mirror(server.address)))
    assert (error.reason, repr(name) in error.message) == ("path-outside", True)


def test_a_full_disk(request_for: RequestFor, tmp_path: Path, disk: Disk) -> None:
    big = {**KICBASE, "usr/lib/big": bytes(range(256)) * 4000}
    base = str(root_file_system(tmp_path / "root.tar", big))
    (tmp_path / "cache-project").symlink_to(disk.folder)
    for size in ("256k", "1500k", "2600k"):
        disk.remount(f"size={size}")
        error = failure(request_for(base=base))
        assert (error.reason, error.exit_code) == ("disk-full", 22)
        assert error.hint.startswith("free some space")
    disk.remount("size=40m")
    mended = request_for(base=base)
    api.build(mended)
    whole = request_for("other", base=base)
    api.build(whole)
    assert image_of(mended) == image_of(whole)


#: Values that are refused before anything is resolved or fetched: options, files, reason, what is said.
EARLY: list[tuple[dict[str, str], dict[str, str], str, str]] = [
    ({"base": "debain"}, {}, "bad-value", "--base=debain: there is no such file; did you mean"),
    ({"base": "kicbase@sha256:12"}, {}, "bad-value", "no version or no digest"),
    ({"base": "no/root.tar"}, {}, "bad-value", "there is no such file"),
    ({"cri_dockerd_source": "no/folder"}, {}, "bad-value", "no/folder is no folder"),
    ({"kubelet_config": "own.yaml"}, {}, "bad-value", "--kubelet-config=own.yaml: No such file"),
    ({"kubelet_config": "own.yaml"}, {"own.yaml": "a: 1\nkind: Pod\n"}, "kubelet-config", "own.yaml:2: "),
    ({"kubelet_config": "own.yaml"}, {"own.yaml": "kind:\n"}, "kubelet-config", "not a thing without a kind"),
    ({"manifest": "pod.yaml"}, {"pod.yaml": "kind: ConfigMap\n"}, "kubelet-config", "must be a Pod, not a ConfigMap"),
    ({"manifest": "pod.yaml"}, {}, "bad-value", "pod.yaml: No such file"),
    ({"expose_kubelet": "ca.crt"}, {"ca.crt": "no certificate"}, "kubelet-config", "ca.crt has no certificate"),
    ({"expose_kubelet": "ca.crt"}, {}, "bad-value", "--expose-kubelet=ca.crt: No such file"),
]


@pytest.mark.parametrize(("flags", "files", "reason", "said"), EARLY)
def test_values_are_looked_at_before_anything_is_fetched(
    request_for: RequestFor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: dict[str, str],
    files: dict[str, str],
    reason: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with serve(tmp_path) as server:
        request = request_for(config=mirror(server.address), **flags)
        error = failure(request)
        with pytest.raises(BuildError):
            api.plan(request)
        assert server.requests == []
    assert error.reason == reason
    assert said in error.message
    assert error.hint
    assert not (request.root / "k8sbuild.lock").exists()


@pytest.mark.parametrize(
    ("flags", "reason", "said"),
    [
        ({"k8s": "v1.98.7"}, "unknown-version", "v1.98.7"),
        ({"k8s": "one"}, "malformed-version", "one"),
        ({"cri_dockerd": "v0.3.99", "cri_dockerd_source": "{git}"}, "unknown-version", "v0.3.99"),
    ],
)
def test_versions_that_are_not_there(
    request_for: RequestFor, tmp_path: Path, flags: dict[str, str], reason: str, said: str
) -> None:
    """The plugin itself, with a Kubernetes and a cri-dockerd of this machine."""
    if shutil.which("go") is None:
        pytest.skip("no go on PATH: which versions there are is NOT asked here")
    goroot = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    made = upstream.make(tmp_path / "upstream", version="v1.34.0", go="1.24")
    files = {
        name: (0o100644, text.encode()) for name, text in vendored.program("github.com/Mirantis/cri-dockerd").items()
    }
    gitrepo.write(tmp_path / "cri-dockerd.git", files, tag="v0.3.21", time=0)
    address = (tmp_path / "cri-dockerd.git").as_uri()
    given = {name: text.format(git=address) for name, text in flags.items()}
    env = {**made.env, "K8SBUILD_TOOLCHAIN": goroot, "PATH": os.environ["PATH"]}
    base = str(root_file_system(tmp_path / "root.tar"))
    request = replace(request_for(base=base, env=env, **given), extra=((NAME, plugin),))
    error = failure(request)
    assert error.reason == reason
    assert said in error.message


def test_no_mmdebstrap(request_for: RequestFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name in (*_PACKAGES, "docker.io") if name != "?essential"]
    debs = [debian.package("base-files", essential="yes"), *(debian.package(name) for name in names)]
    monkeypatch.setattr(rootfs, "PATH", str(tmp_path))
    with debian.signer() as key, serve(tmp_path / "archive") as server:
        debian.archive(tmp_path / "archive", "bookworm", debs, key)
        env = debian.apt(tmp_path / "apt", server.address, "bookworm", key)
        error = failure(request_for(base="debian", env=env))
    assert (error.reason, error.hint) == ("no-mmdebstrap", "apt-get install mmdebstrap")
