"""Add-ons that a node has where its builder wants them: metrics, and volumes on its disk. `nox -s e2e -- addons`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from e2e.images import end, load, tried
from e2e.nodes import unpacked, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from e2e.nodes import Node

pytestmark = pytest.mark.e2e

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
}
VOLUME = {
    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    "mounts": [{"name": "data", "mountPath": "/data"}],
    "securityContext": {"runAsUser": 1000},
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build ``k8s`` with its node and both add-ons, and return the folder that its archive unpacks to."""
    return unpacked(tmp_path_factory.mktemp("node"), "--metrics-server", "--local-path-storage")


def test_top_says_what_nodes_and_pods_use(node: Callable[..., Node]) -> None:
    one = node()
    one.start()
    one.says("APIService v1beta1.metrics.k8s.io")
    one.wait("-n kube-system deployment/metrics-server", "condition=Available", 120)
    one.wait("apiservice/v1beta1.metrics.k8s.io", "condition=Available", 60)
    until(lambda: "node-1" in one.kubectl("top", "node", check=False), "the node's use", 60)
    (row,) = one.kubectl("top", "node", "--no-headers").splitlines()
    _, cores, _, memory, _ = row.split()
    assert int(cores.removesuffix("m")) > 0
    assert int(memory.removesuffix("Mi")) > 0
    until(lambda: "metrics-server" in one.kubectl("top", "pod", "-n=kube-system", check=False), "the pods' use", 60)
    one.stop()


def test_a_volume_outlives_its_pods_and_goes_with_its_claim(node: Callable[..., Node], program: Path) -> None:
    one = node()
    one.start()
    load(one, program)
    one.says("StorageClass local-path")
    one.kubectl("apply", "-f", "-", text=json.dumps(CLAIM))

    end(one, "writer", "put", "/data/a", "kept", **VOLUME)
    assert one.find("{.status.phase}", "pvc", "data") == "Bound"
    one.kubectl("delete", "pod", "writer")
    assert tried(one, "reader", "get", "/data/a", **VOLUME) == "kept"
    (folder,) = (one.machine.data / "storage").iterdir()
    assert (folder / "a").read_text(encoding="ascii") == "kept"

    one.kubectl("delete", "pod", "reader")
    one.kubectl("delete", "pvc", "data")
    until(lambda: not folder.exists(), "the folder goes")
    until(lambda: not one.kubectl("get", "pv", "-o=name"), "the volume goes")

    one.stop()
    one.start("--disable=local-path-storage", "--disable=metrics-server")
    one.says('"Removed" manifest="local-path-storage" object="StorageClass local-path"')
    one.says('"Removed" manifest="metrics-server" object="APIService v1beta1.metrics.k8s.io"')
    one.stop()
