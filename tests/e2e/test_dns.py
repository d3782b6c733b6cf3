"""Images out of files, manifests out of files, and the DNS that comes with both. `nox -s e2e -- dns`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from e2e.images import load, tried
from e2e.nodes import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from e2e.nodes import Node

pytestmark = pytest.mark.e2e

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"clusterIP": "10.43.0.77", "ports": [{"port": 80}]},
}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-file"}, "data": {"a": "1"}}


def put(node: Node, path: str, *documents: object) -> Path:
    """Write a file of the manifests directory."""
    place = node.machine.data / "manifests" / path
    place.parent.mkdir(exist_ok=True)  # the node may be ready before the component that makes it
    place.write_text("\n---\n".join(json.dumps(each) for each in documents), encoding="utf-8")
    return place


def test_smoke_pods_get_answers_from_the_dns_that_is_shipped(node: Callable[..., Node], program: Path) -> None:
    one = node()
    one.start()
    one.says("Deployment kube-system/coredns")
    one.wait("-n kube-system deployment/coredns", "condition=Available", 60)

    load(one, program)  # later than the start
    put(one, "web.yaml", SERVICE)
    one.says("Service default/web")

    assert tried(one, "api", "look", "kubernetes.default.svc.cluster.local") == "10.43.0.1"
    assert tried(one, "short", "look", "web") == "10.43.0.77"

    # What is imported is not imported again, and a damaged file stops nothing.
    one.stop()
    (one.machine.data / "images/damaged.tar.gz").write_bytes(b"\x1f\x8b nothing")
    one.start()
    one.says("Images are not imported")
    assert "Imported images" not in one.log
    until(lambda: "ImagesNotImported" in one.kubectl("get", "events"), "the node has an event")
    assert tried(one, "again", "look", "web.default") == "10.43.0.77"
    one.stop()


def test_the_cluster_is_what_the_manifests_say(node: Callable[..., Node]) -> None:
    one = node()
    one.start()
    first = put(one, "a.yaml", CONFIG, {**CONFIG, "metadata": {"name": "second"}})
    one.says("ConfigMap default/second")
    assert one.find("{.data.a}", "configmap", "of-file") == "1"

    put(one, "a.yaml", {**CONFIG, "data": {"b": "2"}})
    one.says('"Removed" manifest="a.yaml" object="ConfigMap default/second"')
    assert one.find("{.data}", "configmap", "of-file") == '{"b":"2"}'

    put(one, "bad.yaml", {"kind": "ConfigMap"})
    until(lambda: "bad.yaml: document 1" in one.kubectl("-n", "kube-system", "get", "events"), "an event names it")
    (one.machine.data / "manifests/bad.yaml").unlink()

    # What goes while no server runs goes at the next start, an add-on that is not wanted as well.
    one.stop()
    first.unlink()
    one.start("--disable=coredns")
    one.says('"Removed" manifest="a.yaml" object="ConfigMap default/of-file"')
    one.says('"Removed" manifest="coredns" object="Service kube-system/kube-dns"')
    assert one.kubectl("get", "configmap", "of-file", "--ignore-not-found") == ""
    assert "kube-dns" not in one.kubectl("-n", "kube-system", "get", "services")
    one.stop()
