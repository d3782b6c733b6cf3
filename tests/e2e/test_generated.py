"""Kubernetes' own generators, on real Kubernetes: a patch of an API type brings generated protobuf code alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Kubectl = Callable[..., str]

pytestmark = pytest.mark.e2e

#: Gives ConfigMap a field with a comment, a default, and a type of its own that is another one inside of the server.
PATCH = Path(__file__).with_name("rotation.patch").read_text(encoding="utf-8")
PROTOBUF = "staging/src/k8s.io/api/core/v1/generated.pb.go"
MADE = [
    "pkg/apis/core/v1/zz_generated.conversion.go",
    "pkg/apis/core/v1/zz_generated.defaults.go",
    "pkg/apis/core/zz_generated.deepcopy.go",
    "pkg/generated/openapi/zz_generated.openapi.go",
    "staging/src/k8s.io/api/core/v1/zz_generated.deepcopy.go",
]
OBJECT = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "default"},
    "data": {"x": "1"},
    "rotation": {"keys": ["x"]},
}


def build(root: Path, patch: str) -> tuple[int, dict[str, Any]]:
    """Build with a patch of the project's own; return exit code and answer."""
    (root / "patches").mkdir(exist_ok=True)
    (root / "patches/0001-rotation.patch").write_text(patch, encoding="utf-8")
    (root / "k8sbuild.toml").write_text('target = "k8s"\n[patches]\nkubernetes = "patches"\n', encoding="utf-8")
    argv = [str(Path(sys.executable).with_name("k8sbuild")), "build", "--skip-validate", "--format=json"]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, env={**os.environ, "CI": ""})
    return done.returncode, json.loads(done.stdout)


def without(patch: str, path: str) -> str:
    """Return a patch without its part for one file."""
    first, *parts = patch.split("diff --git ")
    return first + "".join("diff --git " + part for part in parts if not part.startswith(f"a/{path} "))


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def served(binary: Path, data: Path) -> Iterator[Kubectl]:
    """Run a server; give a function that runs kubectl, and kill the server at the end."""
    flags = ("--https-listen-port", "--controller-manager-port", "--scheduler-port")
    ports = [f"{flag}={port}" for flag, port in zip(flags, free_ports(3), strict=True)]
    argv = [str(binary), "--server-mode=single", f"--data-dir={data}", "--disable-agent", *ports]

    def kubectl(*args: str, given: str = "") -> str:
        command = [str(binary), "kubectl", f"--kubeconfig={data / 'admin.kubeconfig'}", *args]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout

    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until_ready(kubectl)
            yield kubectl
        finally:
            server.kill()


def until_ready(kubectl: Kubectl) -> None:
    """Wait until the server says that it is ready, a minute at most."""
    for left in reversed(range(120)):
        try:
            kubectl("get", "--raw", "/readyz")
        except subprocess.CalledProcessError:
            if not left:
                raise
            time.sleep(0.5)
        else:
            return


def test_a_field_is_copied_defaulted_converted_documented_and_stored(tmp_path: Path) -> None:
    code, answer = build(tmp_path, without(PATCH, PROTOBUF))
    assert (code, answer["reason"]) == (17, "protobuf-not-generated")
    assert answer["details"]["generated"] == PROTOBUF

    code, answer = build(tmp_path, PATCH)
    assert code == 0, answer
    artifacts = tmp_path / "dist/artifacts"
    inputs = json.loads((artifacts / "build.json").read_text())["inputs"]
    assert inputs["generated"] == {"codegen:single-binary/kubernetes": MADE}

    with served(artifacts / "k8s", tmp_path / "data") as kubectl:
        kubectl("create", "--validate=strict", "-f-", given=json.dumps(OBJECT))
        assert "24 where it is not given" in kubectl("explain", "configmap.rotation.hours")
    with served(artifacts / "k8s", tmp_path / "data") as kubectl:
        stored = json.loads(kubectl("get", "configmap", "a", "-o", "json"))
        assert stored["rotation"] == {"hours": 24, "keys": ["x"]}
