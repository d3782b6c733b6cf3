"""Pods that serve and ask each other, and the Services before them."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from e2e.images import PROBE, load
from e2e.nodes import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.machines import Place
    from e2e.nodes import Node

__all__ = ["apply", "asked", "pod", "service", "serving", "start"]


def pod(name: str, **port: int) -> dict[str, Any]:
    """Return a pod that serves at port 8080, with what is given of that port."""
    container = {"name": "probe", "image": PROBE, "imagePullPolicy": "Never", "args": ["serve", ":8080"]}
    container |= {"ports": [{"containerPort": 8080, **port}]} if port else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    """Return a Service for a pod; with more of its spec, it has the node's port 30080."""
    ports = [{"port": 80, "targetPort": 8080, **({"nodePort": 30080} if spec else {})}]
    spec = {"selector": {"app": name}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"{name}-{len(spec)}"}, "spec": spec}


def apply(node: Node, *objects: dict[str, Any]) -> None:
    """Apply objects that are new, and wait for the pods among them."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    # The node is ready before the controllers have made the service account.
    until(lambda: "created" in node.kubectl("apply", "-f", "-", text=text, check=False), "objects are taken")
    for made in objects:
        if made["kind"] == "Pod":
            node.wait(f"pod/{made['metadata']['name']}")


def asked(node: Node, name: str, url: str, *, check: bool = True) -> str:
    """Let a pod ask, and return as whom it was seen."""
    return node.kubectl("exec", name, "--", "/probe", "ask", url, "", check=check)


@contextmanager
def serving(place: Place, program: Path, address: str) -> Iterator[None]:
    """Let the program serve somewhere, for the time of a block."""
    with subprocess.Popen(place.argv(str(program), "serve", address)) as running:
        until(lambda: place.run(str(program), "ask", f"http://{address}/", "", check=False) != "", f"{address} answers")
        try:
            yield
        finally:
            running.kill()


def start(node: Node, program: Path) -> None:
    """Start a node that has the program's image."""
    node.start()
    load(node, program)
