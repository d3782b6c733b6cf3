"""Docker makes the kubelet's image from the folder, with all that it fetches from this machine.

A registry of the test's own has stand-ins for kicbase and for golang. In golang's, what would compile gives the
programs that the toolkit compiled; sources come from this machine too. Everything else is real: `docker-compose up
--build` pulls both, builds every stage and creates the container; one of the same image is started, in which systemd
runs the kubelet.
`nox -s e2e -- kubelet-compose`
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import pytest
from e2e.command import ROOT, k8sbuild
from e2e.dockerd import FLAGS, PACKAGES, Docker, running, wait_for
from e2e.systems import lacking, suite, system

from k8sbuild.testing import registry
from k8sbuild.testing.files import write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.e2e

FOLDER = ROOT / "dist/artifacts/kubelet-image"
#: Of the registry, for both stand-ins: what they share is there once.
REPOSITORY = "stand-in/images"
HEALTHZ = "http://127.0.0.1:10248/healthz"
#: Programs of golang's image, and of Alpine, as far as the Dockerfile runs them.
TOOLS = {
    "apk": "exit 0",
    "patch": 'test "$1 $2" = "-p1 -i"\ngrep -q "^--- a/main.go" "$3"',
    "wget": 'exec curl --fail --silent --show-error --output "$2" "$3"',
    "make": 'test "$KUBE_STATIC_OVERRIDES $1" = "kubelet WHAT=cmd/kubelet"\ntest "$GOPROXY" = "$(cat proxy)"\n'
    "mkdir -p _output/bin\ncp /stand-in/kubelet _output/bin/kubelet",
    "go": 'test "$CGO_ENABLED" = 0\nwhile [ "$1" != -o ]; do shift; done\nmkdir -p "${2%/*}"\n'
    'cp /stand-in/cri-dockerd "$2"',
}
#: Where everything comes from.
OVERRIDE = """
services:
  kubelet:
    build:
      network: host
      args: {args}
"""
#: Gives a folder on a port of the network name space that it is started in, until its input ends.
SERVE = """
import json
import sys
from pathlib import Path
from k8sbuild.testing.server import serve
with serve(Path(sys.argv[1])) as server:
    print(server.address, flush=True)
    sys.stdin.read()
    print(json.dumps([request.path for request in server.requests if request.status == 200]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A Docker daemon with docker-compose beside it, and the folder that it sees as ``/run/k8sbuild``."""

    docker: Docker
    state: Path

    def process(self) -> int:
        """Return the daemon's process: the one at the other end of its socket."""
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(str(self.state / "docker.sock"))
            found = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", found)[0])

    def compose(self, *words: str) -> str:
        """Run docker-compose in the daemon's root, in the folder ``compose``."""
        inside = ["nsenter", f"--target={self.process()}", "--mount", "--net", "--root"]
        inside += ["sh", "-c", 'cd /run/k8sbuild/compose && exec docker-compose "$@"', "sh"]
        env = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": "unix:///run/k8sbuild/docker.sock", "HOME": "/tmp"}
        done = subprocess.run([*inside, *words], capture_output=True, text=True, env=env)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a Docker daemon from Debian's packages."""
    if why := lacking():
        pytest.skip(f"{why}: Docker does NOT build the kubelet's image here")
    folder = tmp_path_factory.mktemp("docker")
    with running(system(folder / "system", (*PACKAGES, "docker-compose")), folder) as docker:
        yield Daemon(docker, folder / "state")


def chosen() -> tuple[str, ...]:
    """Return the flags of an image that this machine can make."""
    runtime = "cri-dockerd" if os.environ.get("K8SBUILD_SOURCE_CRI_DOCKERD") else "containerd"
    return (f"--runtime={runtime}", "--base=debian", "--set", f"cri-dockerd-image.suite={suite()}")


@pytest.fixture(scope="module")
def image() -> Path:
    """Build the image with the toolkit; its folder has what Docker needs."""
    if why := lacking():
        pytest.skip(f"{why}: the kubelet's image is NOT built here")
    k8sbuild("build", "--target=kubelet-image", *chosen())
    return FOLDER / "image.oci.tar"


def contents(tar: tarfile.TarFile, first: int) -> dict[str, bytes]:
    """Return the files of an image's layers from the first one on; of a link, where it leads."""
    found: dict[str, bytes] = {}
    (said,) = json.load(cast("IO[bytes]", tar.extractfile("manifest.json")))
    for path in said["Layers"][first:]:
        with tarfile.open(fileobj=tar.extractfile(path), mode="r|*") as layer:
            for info in layer:
                if info.issym():
                    found[info.name] = info.linkname.encode()
                elif content := layer.extractfile(info):
                    found[info.name] = content.read()
    return found


def push(folder: Path, image: Path) -> None:
    """Put the stand-ins into the registry: kicbase is the image itself, golang the same with what compiles."""
    with tarfile.open(image) as tar:
        kicbase = {info.name: cast("IO[bytes]", tar.extractfile(info)).read() for info in tar if info.isreg()}
        own = contents(tar, 1)
    tools = {f"usr/local/bin/{name}": f"#!/bin/sh\nset -eu\n{text}\n".encode() for name, text in TOOLS.items()}
    for name in ("kubelet", "cri-dockerd"):
        tools[f"stand-in/{name}"] = own.get(f"usr/local/bin/{name}", b"#!/bin/sh\n")
    registry.push(folder, REPOSITORY, "v0.0.47", kicbase)
    registry.push(folder, REPOSITORY, "1.24-alpine", registry.upon(kicbase, tools))


def source(folder: Path, name: str, files: Mapping[str, str]) -> None:
    """Write the archive of a release, with one top folder."""
    write(folder / name / "top", files)
    with tarfile.open(folder / f"{name}.tar.gz", "w:gz") as tar:
        tar.add(folder / name / "top", arcname="top")


@contextmanager
def served(folder: Path, daemon: Daemon) -> Iterator[tuple[str, list[str]]]:
    """Give a folder where the daemon and what it builds see it; yields the address, and later what was asked for."""
    argv = ["nsenter", f"--net=/proc/{daemon.process()}/ns/net", sys.executable, "-c", SERVE, str(folder)]
    asked: list[str] = []
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip(), asked
        out, _ = server.communicate("")
        asked += json.loads(out)


def test_compose_pulls_builds_and_starts_the_same(daemon: Daemon, image: Path, tmp_path: Path) -> None:
    folder, docker = tmp_path / "served", daemon.docker
    push(folder, image)
    source(folder, "kubernetes", {"go.mod": "module k8s.io/kubernetes\n", "proxy": "https://proxy.example.org\n"})
    source(folder, "cri-dockerd", {"go.mod": "module github.com/Mirantis/cri-dockerd\n"})
    shutil.copytree(FOLDER, daemon.state / "compose", ignore=shutil.ignore_patterns("*.oci.tar"))
    with served(folder, daemon) as (address, asked):
        host = address.removeprefix("http://")
        given = {
            "BASE_IMAGE": f"{host}/{REPOSITORY}:v0.0.47",
            "GOLANG_IMAGE": f"{host}/{REPOSITORY}",
            "GOPROXY": "https://proxy.example.org",
            "KUBE_SOURCE": f"{address}/kubernetes.tar.gz",
            "CRI_DOCKERD_SOURCE": f"{address}/cri-dockerd.tar.gz",
        }
        (daemon.state / "compose/override.yaml").write_text(OVERRIDE.format(args=json.dumps(given)))
        files = ("--file=compose.yaml", "--file=override.yaml", "--project-name=by-compose")
        # What compose declares may be more than this machine allows, so that it is created and not started.
        daemon.compose(*files, "up", "--build", "--no-start")
    assert {"/kubernetes.tar.gz", "/cri-dockerd.tar.gz"} <= set(asked)
    assert {f"/v2/{REPOSITORY}/manifests/{tag}" for tag in ("v0.0.47", "1.24-alpine")} <= set(asked)
    name = docker("ps", "--all", "--format={{.Names}}")
    built = docker("inspect", "--format={{.Image}}", name)
    mounts = ("--tmpfs=/run", "--tmpfs=/tmp", "--volume=started:/var")
    docker("create", "--name=started", "--hostname=node", *FLAGS, *mounts, "--tty", built)
    try:
        docker("start", "started")
        wait_for("the kubelet", 120, lambda: docker.inside("started", "curl", "-s", HEALTHZ) == "ok")
        address = docker("inspect", "--format={{.NetworkSettings.IPAddress}}", "started")
        wait_for("the pod", 60, lambda: docker.inside("started", "curl", "-s", f"http://{address}:8080"))
        docker("save", "--output", str(tmp_path / "saved.tar"), built)
    finally:
        docker("rm", "--force", "--volumes", "started", name)
    with tarfile.open(image) as own, tarfile.open(tmp_path / "saved.tar") as theirs:
        (said,) = json.load(cast("IO[bytes]", own.extractfile("manifest.json")))
        wanted, got = contents(own, 1), contents(theirs, len(said["Layers"]))
    assert got.keys() == wanted.keys()
    assert {name for name in got if got[name] != wanted[name]} == set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("maxPod: 7\n", 'own.yaml:3: strict decoding error: unknown field "maxPod"'),
        ("clusterDNS: 7\n", "own.yaml:3: "),
        ("maxPods: 1\naddress: 0.0.0.0\n", "own.yaml:4: address"),
    ],
)
def test_a_configuration_that_no_kubelet_takes(image: Path, tmp_path: Path, text: str, said: str) -> None:
    """The kubelet's own types read the user's file; what was built before stays."""
    (tmp_path / "own.yaml").write_text(f"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n{text}")
    before = image.stat()
    program = Path(sys.executable).with_name("k8sbuild")
    argv = [program, "build", "--target=kubelet-image", *chosen(), f"--kubelet-config={tmp_path}/own.yaml"]
    done = subprocess.run([*argv, "--format=json"], cwd=ROOT, capture_output=True, text=True)
    error = json.loads(done.stdout)
    assert (done.returncode, error["reason"]) == (12, "kubelet-config")
    assert said in error["message"]
    assert "Traceback" not in done.stderr
    assert image.stat() == before
