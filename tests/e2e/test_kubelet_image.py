"""The kubelet's image, started for real by a Docker daemon of the test's own. `nox -s e2e -- kubelet-image`."""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import time
from dataclasses import dataclass, field
from hashlib import sha256
from types import ModuleType
from typing import IO, TYPE_CHECKING, cast

import pytest
from e2e.command import ROOT, k8sbuild
from e2e.dockerd import FLAGS, PACKAGES, Docker, running, wait_for

from k8sbuild import api, hookimpl
from k8sbuild.build import host_platform
from k8sbuild.kinds import PluginInfo, RootFs, Source, Target
from k8sbuild.project import Request
from k8sbuild.providers import _apt
from k8sbuild.stages import rootfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

SOURCE = "K8SBUILD_SOURCE_CRI_DOCKERD"
IMAGE = "kubelet-image:v1.34.0"
MANIFEST = "/etc/kubernetes/manifests/hello-world.yaml"
UNITS = {"containerd": "containerd", "cri-dockerd": "docker"}


@pytest.fixture(scope="module")
def suite() -> str:
    """Return the suite of this machine's first archive of packages."""
    if os.geteuid() != 0:
        pytest.skip("a Docker daemon needs root: the kubelet's image is NOT started here")
    for program in ("mmdebstrap", "unshare", "pivot_root"):
        if shutil.which(program, path=rootfs.PATH) is None:
            pytest.skip(f"no {program}: the kubelet's image is NOT started here")
    known = [r for r in _apt.configured({}) if "main" in r.components and "-" not in r.suite]
    if not known:
        pytest.skip("apt has no archive here: the kubelet's image is NOT started")
    return known[0].suite


@pytest.fixture(scope="module")
def docker(suite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """Run a Docker daemon from Debian's packages."""
    folder = tmp_path_factory.mktemp("docker")
    with running(_system(suite, folder), folder) as daemon:
        yield daemon


def _system(suite: str, folder: Path) -> Path:
    """Return the tar of a system with the daemon, made by the toolkit."""
    hooks = {
        "plugin": PluginInfo(name="daemon"),
        "targets": [Target(name="daemon", help="", artifacts={"root.tar": "package:daemon/root/root.tar"})],
        "fetch": [Source.debian("debs", suite, PACKAGES, host_platform().arch)],
        "package": [RootFs(name="root", file="root.tar", packages="fetch:daemon/debs")],
    }
    module = ModuleType("daemon")
    module.__file__ = str(folder / "daemon.py")
    for name, given in hooks.items():
        setattr(module, f"k8sbuild_{name}", hookimpl(lambda given=given: given))
    flags = {"plugin": ["daemon"], "target": "daemon", "k8s": "v1.31.4"}
    api.build(Request(flags=flags, env=dict(os.environ), root=folder, extra=(("daemon", module),)))
    return folder / "dist/artifacts/root.tar"


@dataclass(slots=True)
class Node:
    """A container of the image."""

    docker: Docker
    name: str
    runtime: str
    times: dict[str, float] = field(default_factory=dict)

    def run(self, *command: str) -> str:
        """Run a command in it; what fails gives nothing."""
        return self.docker.inside(self.name, *command)

    def healthy(self) -> bool:
        return self.run("curl", "-s", "http://127.0.0.1:10248/healthz") == "ok"

    def answer(self) -> str:
        """Return what the static pod says, on the port that it has on the node."""
        return self.run("curl", "-s", "--max-time", "2", f"http://{self.address()}:8080")

    def address(self) -> str:
        template = "--format={{.NetworkSettings.IPAddress}}"
        return self.docker("inspect", template, self.name)

    def kubelet(self) -> str:
        return self.run("systemctl", "show", "--property=MainPID", "--value", "kubelet")

    def start(self) -> None:
        """Start it, and note how long it takes until kubelet and pod answer."""
        started = time.monotonic()
        self.docker("start", self.name)
        for what, there in {"healthz": self.healthy, "pod": self.answer}.items():
            wait_for(what, 90, there)
            self.times[what] = time.monotonic() - started

    def log(self) -> str:
        """Return what tells why a test failed."""
        lines = [self.docker("logs", "--tail=30", self.name, check=False)]
        lines += [self.run("systemctl", "--failed", "--no-pager")]
        lines += [self.run("journalctl", "--no-pager", "--lines=80", "--priority=5")]
        return "\n".join(lines)


@pytest.fixture(scope="module", params=["containerd", "cri-dockerd"])
def node(docker: Docker, suite: str, request: pytest.FixtureRequest) -> Iterator[Node]:
    """Build the image, and start a container of it."""
    runtime = str(request.param)
    if runtime == "cri-dockerd" and not os.environ.get(SOURCE):
        pytest.skip(f"no {SOURCE}, and no source of cri-dockerd without one: cri-dockerd is NOT tested here")
    chosen = (f"--runtime={runtime}", "--base=debian", "--set", f"cri-dockerd-image.suite={suite}")
    k8sbuild("build", "--target=kubelet-image", *chosen)
    docker("load", "--quiet", "--input", str(ROOT / "dist/artifacts/kubelet-image/image.oci.tar"))
    node = Node(docker=docker, name=runtime, runtime=runtime)
    mounts = ("--tmpfs=/run", "--tmpfs=/tmp", f"--volume={runtime}:/var")
    docker("create", f"--name={runtime}", "--hostname=node", *FLAGS, *mounts, "--tty", IMAGE)
    try:
        node.start()
    except AssertionError:
        print(node.log())
        raise
    yield node
    docker("rm", "--force", "--volumes", runtime)


def test_it_starts_in_time(node: Node) -> None:
    print(f"\n{node.runtime}: " + ", ".join(f"{what} after {took:.1f} s" for what, took in node.times.items()))
    assert node.answer().startswith("hello, world from ")


def test_systemd_is_running_and_no_unit_failed(node: Node) -> None:
    wait_for("systemd", 60, lambda: node.run("systemctl", "is-system-running") in ("running", "degraded"))
    assert node.run("systemctl", "--failed", "--no-legend", "--plain") == "", node.log()
    assert node.run("systemctl", "is-system-running") == "running"


def test_the_kubelet_and_its_runtime_have_one_cgroup_driver(node: Node) -> None:
    said = json.loads(node.run("curl", "-sk", "https://127.0.0.1:10250/configz"))
    assert said["kubeletconfig"]["cgroupDriver"] == "cgroupfs"
    assert node.run("sh", "-c", "ls -d /sys/fs/cgroup/kubepods /sys/fs/cgroup/*/kubepods 2>/dev/null")
    assert not node.run("sh", "-c", "ls -d /sys/fs/cgroup/kubepods.slice /sys/fs/cgroup/*/kubepods.slice 2>/dev/null")


def test_others_cannot_reach_the_kubelet(node: Node) -> None:
    address = node.address()
    other = ("run", "--rm", "--entrypoint=curl", IMAGE, "--silent", "--show-error", "--max-time", "5", "--insecure")
    assert "hello" in node.docker(*other, f"http://{address}:8080"), "the network between them works"
    for port in (10250, 10255, 10248):
        for scheme in ("http", "https"):
            assert node.docker(*other, f"{scheme}://{address}:{port}/pods", check=False) == "", port


def test_a_manifest_that_changes_replaces_the_pod(node: Node) -> None:
    before = node.answer()
    node.run("sed", "-i", r"s/^\( *\)- name: web$/\1- name: web\n\1  args: ['-text=changed']/", MANIFEST)
    wait_for("the changed pod", 60, lambda: node.answer().startswith("changed from "))
    node.run("mv", MANIFEST, "/root/pod.yaml")
    wait_for("the pod is gone", 60, lambda: node.answer() == "")
    node.run("sed", "-i", "/-text=changed/d", "/root/pod.yaml")
    node.run("mv", "/root/pod.yaml", MANIFEST)
    wait_for("the pod as it was", 60, lambda: node.answer() == before)


def test_a_killed_kubelet_is_back_within_five_seconds(node: Node) -> None:
    before = node.kubelet()
    node.run("kill", "-9", before)
    took = wait_for("the kubelet", 30, lambda: node.kubelet() not in ("0", before) and node.healthy())
    print(f"\n{node.runtime}: kubelet back after {took:.1f} s")
    assert took < 5


def test_pods_outlive_a_restart_of_the_runtime(node: Node) -> None:
    node.run("systemctl", "restart", UNITS[node.runtime])
    wait_for("the pod", 90, node.answer)
    wait_for("the kubelet", 30, node.healthy)


def test_a_socket_starts_cri_dockerd_on_first_use(node: Node) -> None:
    if node.runtime != "cri-dockerd":
        pytest.skip("only cri-dockerd has a socket that systemd listens on")
    node.run("systemctl", "stop", "kubelet", "cri-docker.service", "cri-docker.socket")
    node.run("systemctl", "start", "cri-docker.socket")
    assert node.run("systemctl", "is-active", "cri-docker.service") == "inactive"
    node.run("systemctl", "start", "kubelet")
    wait_for("cri-dockerd", 30, lambda: node.run("systemctl", "is-active", "cri-docker.service") == "active")
    wait_for("the pod", 90, node.answer)


def test_it_stops_in_time_and_keeps_its_state(node: Node) -> None:
    node.run("touch", "/var/lib/kubelet/kept")
    started = time.monotonic()
    node.docker("stop", "--time=30", node.name)
    took = time.monotonic() - started
    code = node.docker("inspect", "--format={{.State.ExitCode}}", node.name)
    print(f"\n{node.runtime}: stopped after {took:.1f} s with exit code {code}")
    assert took < 25
    assert code in ("0", "130"), "systemd's own, and not that of a kill"
    node.start()
    assert node.run("ls", "/var/lib/kubelet/kept") == "/var/lib/kubelet/kept"
    assert re.match("hello, world from ", node.answer())


#: Stand for what the Dockerfile runs in golang's image: each gives the file that the next command takes.
TOOLS = {
    "apk": "exit 0",
    "wget": 'mkdir -p /tmp/s/top && touch /tmp/s/top/go.mod && tar -C /tmp/s -czf "$2" top',
    "make": "mkdir -p _output/bin && echo kubelet >_output/bin/kubelet",
    "go": 'while [ "$1" != -o ]; do shift; done; mkdir -p "${2%/*}" && echo program >"$2"',
}


def test_docker_makes_the_same_from_the_dockerfile(node: Node, tmp_path: Path) -> None:
    context, docker = ROOT / "dist/artifacts/kubelet-image", node.docker
    for name, text in TOOLS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nset -e\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY {' '.join(TOOLS)} /usr/local/bin/\nENTRYPOINT []\n")
    docker("build", "--quiet", "--tag=stand-in:1.24-alpine", str(tmp_path))
    chosen = ("--build-arg=BASE_IMAGE=stand-in:1.24-alpine", "--build-arg=GOLANG_IMAGE=stand-in")
    docker("build", "--quiet", "--tag=by-docker", *chosen, f"--file={context}/Dockerfile.kicbase", str(context))
    below = int(docker("inspect", "--format={{len .RootFS.Layers}}", "stand-in:1.24-alpine"))
    docker("save", "--output", str(tmp_path / "saved.tar"), "by-docker")
    made, own = files_of(tmp_path / "saved.tar", below), files_of(context / "image.oci.tar", -3)
    assert made.keys() == own.keys()
    assert made["etc/systemd/system/multi-user.target.wants/kubelet.service"] == "/etc/systemd/system/kubelet.service"
    programs = {"usr/local/bin/kubelet", "usr/local/bin/cri-dockerd"}
    assert {name for name in own if made[name] != own[name]} <= programs, "those of the stand-ins are none"


def files_of(image: Path, first: int) -> dict[str, str]:
    """Return the files of an image's layers from the first one on: digests of contents, or where links lead."""
    found = {}
    with tarfile.open(image) as tar:
        (said,) = json.load(cast("IO[bytes]", tar.extractfile("manifest.json")))
        for path in said["Layers"][first:]:
            with tarfile.open(fileobj=tar.extractfile(path), mode="r|*") as layer:
                for info in layer:
                    if info.issym():
                        found[info.name] = info.linkname
                    elif content := layer.extractfile(info):
                        found[info.name] = sha256(content.read()).hexdigest()
    return found
