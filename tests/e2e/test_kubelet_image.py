"""The kubelet's image, started for real by a Docker daemon of the test's own. `nox -s e2e -- kubelet-image`."""

from __future__ import annotations

import json
import os
import re
import tarfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, cast

import pytest
from e2e.command import k8sbuild
from e2e.dockerd import FLAGS, PACKAGES, Docker, controllers, running, wait_for
from e2e.systems import lacking, suite, system

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

SOURCE = "K8SBUILD_SOURCE_CRI_DOCKERD"
IMAGE = "kubelet-image:v1.34.0"
MANIFEST = "/etc/kubernetes/manifests/hello-world.yaml"
UNITS = {"containerd": "containerd", "cri-dockerd": "docker"}
#: What a runtime says of its cgroup driver, and where the pods of each driver are.
SAYS = {
    "containerd": ("containerd config dump", {"cgroupfs": "SystemdCgroup = false", "systemd": "SystemdCgroup = true"}),
    "cri-dockerd": ("docker info", {name: f"Cgroup Driver: {name}" for name in ("cgroupfs", "systemd")}),
}
PODS = {"cgroupfs": "/kubepods/", "systemd": "/kubepods.slice/"}
#: Two authorities, and a client of each.
CERTIFICATES = """
key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
for who in ours theirs; do
    openssl req -x509 $key -days 2 -subj /CN=$who -keyout /tmp/$who-ca.key -out /tmp/$who-ca.crt
    openssl req $key -subj /CN=client -keyout /tmp/$who.key -out /tmp/$who.csr
    openssl x509 -req -in /tmp/$who.csr -CA /tmp/$who-ca.crt -CAkey /tmp/$who-ca.key -CAcreateserial -out /tmp/$who.crt
done
"""


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """Run a Docker daemon from Debian's packages."""
    if why := lacking():
        pytest.skip(f"{why}: the kubelet's image is NOT started here")
    folder = tmp_path_factory.mktemp("docker")
    with running(system(folder / "system", PACKAGES), folder) as daemon:
        yield daemon


@dataclass(slots=True)
class Node:
    """A container of an image."""

    docker: Docker
    name: str
    image: str
    runtime: str

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
        """Start it, and say how long it takes until kubelet and pod answer."""
        started = time.monotonic()
        self.docker("start", self.name)
        for what, there in {"kubelet": self.healthy, "pod": self.answer}.items():
            wait_for(what, 90, there)
            print(f"\n{self.name}: {what} answers after {time.monotonic() - started:.1f} s")

    def drivers(self) -> list[str]:
        """Return the cgroup drivers that the runtime has, and that the pod's process shows."""
        command, names = SAYS[self.runtime]
        said, there = self.run(*command.split()), self.run("sh", "-c", "cat /proc/$(pgrep -x hello-world)/cgroup")
        return [name for name in names if names[name] in said] + [name for name in PODS if PODS[name] in there]

    def log(self) -> str:
        """Return what tells why a test failed."""
        lines = [self.docker("logs", "--tail=30", self.name, check=False)]
        lines += [self.run("systemctl", "--failed", "--no-pager")]
        lines += [self.run("journalctl", "--no-pager", "--lines=80", "--priority=5")]
        lines += [self.run("journalctl", "--no-pager", "--lines=40", "--unit=kubelet", "--grep=^E")]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the daemon has by a name, and the folder that the build made."""

    name: str
    folder: Path


@contextmanager
def built(docker: Docker, name: str, *flags: str) -> Iterator[Image]:
    """Build an image, give it to the daemon, and keep what was built during a block."""
    chosen = ("--target=kubelet-image", "--base=debian", "--set", f"cri-dockerd-image.suite={suite()}", *flags)
    with TemporaryDirectory() as out:
        k8sbuild("build", f"--out={out}", *chosen)
        image = Image(name, Path(out, "artifacts/kubelet-image"))
        docker("load", "--quiet", "--input", str(image.folder / "image.oci.tar"))
        docker("tag", IMAGE, name)
        yield image


@contextmanager
def started(node: Node, *how: str) -> Iterator[Node]:
    """Run a container during a block; ``how`` is its command where that is not the image's."""
    mounts = ("--tmpfs=/run", "--tmpfs=/tmp", f"--volume={node.name}:/var")
    flags = (*FLAGS, *mounts, "--tty", *(("--entrypoint", how[0]) if how else ()))
    node.docker("create", f"--name={node.name}", "--hostname=node", *flags, node.image, *how[1:])
    try:
        node.start()
        yield node
    except AssertionError:
        print(node.log())
        raise
    finally:
        node.docker("rm", "--force", node.name)


@pytest.fixture(scope="module", params=["containerd", "cri-dockerd"])
def runtime(request: pytest.FixtureRequest) -> str:
    """Return the container runtime."""
    if request.param == "cri-dockerd" and not os.environ.get(SOURCE):
        pytest.skip(f"no {SOURCE}, and no source of cri-dockerd without one: cri-dockerd is NOT tested here")
    return str(request.param)


@pytest.fixture(scope="module")
def image(docker: Docker, runtime: str) -> Iterator[Image]:
    """Build the image as it is where nothing else is said."""
    with built(docker, runtime, f"--runtime={runtime}") as made:
        yield made


@pytest.fixture(scope="module")
def node(docker: Docker, runtime: str, image: Image) -> Iterator[Node]:
    """Run a container of it."""
    with started(Node(docker=docker, name=runtime, image=image.name, runtime=runtime)) as node:
        yield node


@pytest.fixture(scope="module")
def exposed(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Run another one, whose kubelet others may reach, with the other cgroup driver."""
    node.docker.inside(node.name, "sh", "-euc", CERTIFICATES, check=True)
    ca = tmp_path_factory.mktemp("ca") / "ca.crt"
    ca.write_text(node.run("cat", "/tmp/ours-ca.crt"))
    name = f"{node.name}-exposed"
    driver = ("--set", "cri-dockerd-image.cgroup-driver=systemd")
    with (
        built(node.docker, name, f"--runtime={node.runtime}", f"--expose-kubelet={ca}", *driver) as image,
        started(Node(docker=node.docker, name=name, image=image.name, runtime=node.runtime)) as other,
    ):
        yield other


def test_its_pod_answers(node: Node) -> None:
    assert node.answer().startswith("hello, world from ")


def test_systemd_is_running_and_no_unit_failed(node: Node) -> None:
    wait_for("systemd", 60, lambda: node.run("systemctl", "is-system-running") in ("running", "degraded"))
    assert node.run("systemctl", "--failed", "--no-legend", "--plain") == "", node.log()
    assert node.run("systemctl", "is-system-running") == "running"


def test_the_kubelet_and_its_runtime_have_one_cgroup_driver(node: Node) -> None:
    assert node.drivers() == ["cgroupfs", "cgroupfs"]
    if node.runtime == "cri-dockerd":
        log = node.run("journalctl", "--unit=kubelet", "--no-pager")
        assert 'received from the CRI runtime" cgroupDriver="cgroupfs"' in log, "the kubelet asks its runtime"


def test_what_the_readme_says_to_look_at_is_there(node: Node, image: Image) -> None:
    commands = re.findall(r"(?m)^docker exec kubelet ([^#\n]+)", (image.folder / "README.md").read_text())
    # What a pod logs comes on the stream that it wrote to.
    shell = ("sh", "-c")
    said = {text.strip(): node.docker.inside(node.name, *shell, f"{text} 2>&1", check=True) for text in commands}
    assert [command for command, text in said.items() if not text] == []
    assert "hello-world" in said["crictl pods"]
    assert "web" in said["crictl ps"]
    assert {"k8sbuild.dev/pause", "k8sbuild.dev/hello-world"} <= set(said["crictl images"].split())


def test_others_cannot_reach_the_kubelet(node: Node) -> None:
    address = node.address()
    other = (
        "run",
        "--rm",
        "--entrypoint=curl",
        node.image,
        "--silent",
        "--show-error",
        "--max-time",
        "5",
        "--insecure",
    )
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


def test_clients_with_a_certificate_reach_an_exposed_kubelet(node: Node, exposed: Node) -> None:
    def asked(*words: str) -> str:
        """Ask from the other container, and return status and answer."""
        curl = ("curl", "--silent", "--insecure", "--max-time", "10", "--write-out", "%{http_code}")
        return node.run(*curl, *words, f"https://{exposed.address()}:10250/pods")

    assert asked() == "Unauthorized401"
    assert asked("--cert", "/tmp/theirs.crt", "--key", "/tmp/theirs.key") == "Unauthorized401"
    assert "hello-world" in asked("--cert", "/tmp/ours.crt", "--key", "/tmp/ours.key")
    for port in (10248, 10255):
        assert node.run("curl", "--silent", "--max-time", "5", f"http://{exposed.address()}:{port}/healthz") == "", port


def test_the_other_cgroup_driver_is_one_for_both_too(exposed: Node) -> None:
    assert exposed.drivers() == ["systemd", "systemd"]
    assert exposed.run("systemctl", "--failed", "--no-legend", "--plain") == "", exposed.log()


#: Takes version 1 of cgroups away before the image's own start, in a cgroup of version 2 with what the machine gives.
ONLY_V2 = """
umount --recursive /sys/fs/cgroup 2>/dev/null || umount --lazy --recursive /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup$1"
echo $$ >"/sys/fs/cgroup$1/cgroup.procs"
exec unshare --cgroup sh -euc '
umount /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec /usr/local/bin/entrypoint /sbin/init
'
"""
#: What a kubelet gives its pods of cgroups of version 2.
WANTED = {"cpu", "cpuset", "hugetlb", "memory", "pids"}


@pytest.fixture(scope="module")
def on_v2(node: Node) -> Iterator[Node]:
    """Run another container, where only cgroups of version 2 are."""
    if node.runtime == "containerd" and not {"cpu", "memory"} <= controllers():
        pytest.skip("version 2 of cgroups limits neither cpu nor memory here: its pod is NOT tried with containerd")
    other = Node(docker=node.docker, name=f"{node.name}-v2", image=node.image, runtime=node.runtime)
    alone = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    with started(other, *(() if alone else ("sh", "-euc", ONLY_V2, "sh", f"{node.docker.cgroup}/{other.name}"))):
        yield other


def test_it_runs_where_cgroups_are_of_version_2_alone(on_v2: Node) -> None:
    assert on_v2.run("stat", "--file-system", "--format=%T", "/sys/fs/cgroup") == "cgroup2fs"
    assert on_v2.drivers() == ["cgroupfs", "cgroupfs"]
    wait_for("systemd", 60, lambda: on_v2.run("systemctl", "is-system-running") == "running")


def test_pods_have_the_controllers_that_version_2_has(on_v2: Node) -> None:
    pod = on_v2.run("sh", "-c", r"sed -n 's|^0::.*\(/kubepods/\)|\1|p' /proc/$(pgrep -x hello-world)/cgroup")
    assert pod, "its process is in a cgroup of pods"
    for cgroup in ("/kubepods", pod):
        there = set(on_v2.run("cat", f"/sys/fs/cgroup{cgroup}/cgroup.controllers").split())
        assert controllers() & WANTED <= there, cgroup
    if missing := WANTED - controllers():
        pytest.skip(f"version 2 has no {', '.join(sorted(missing))} here: that pods have these is NOT shown")


#: Stand for what the Dockerfile runs in golang's image: each gives the file that the next command takes.
TOOLS = {
    "apk": "exit 0",
    "patch": 'test -s "$3"',
    "wget": 'mkdir -p /tmp/s/top && touch /tmp/s/top/go.mod && tar -C /tmp/s -czf "$2" top',
    "make": "mkdir -p _output/bin && echo kubelet >_output/bin/kubelet",
    "go": 'while [ "$1" != -o ]; do shift; done; mkdir -p "${2%/*}" && echo program >"$2"',
}


def test_docker_makes_the_same_from_the_dockerfile(docker: Docker, image: Image, tmp_path: Path) -> None:
    for name, text in TOOLS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nset -e\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "Dockerfile").write_text(f"FROM {image.name}\nCOPY {' '.join(TOOLS)} /usr/local/bin/\nENTRYPOINT []\n")
    docker("build", "--quiet", "--tag=stand-in:1.24-alpine", str(tmp_path))
    chosen = ("--build-arg=BASE_IMAGE=stand-in:1.24-alpine", "--build-arg=GOLANG_IMAGE=stand-in")
    docker(
        "build", "--quiet", "--tag=by-docker", *chosen, f"--file={image.folder}/Dockerfile.kicbase", str(image.folder)
    )
    below = int(docker("inspect", "--format={{len .RootFS.Layers}}", "stand-in:1.24-alpine"))
    docker("save", "--output", str(tmp_path / "saved.tar"), "by-docker")
    theirs, own = files_of(tmp_path / "saved.tar", below), files_of(image.folder / "image.oci.tar", 1)
    assert theirs.keys() == own.keys()
    assert theirs["etc/systemd/system/multi-user.target.wants/kubelet.service"] == "/etc/systemd/system/kubelet.service"
    programs = {"usr/local/bin/kubelet", "usr/local/bin/cri-dockerd"}
    assert {name for name in own if theirs[name] != own[name]} <= programs, "those of the stand-ins are none"


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
