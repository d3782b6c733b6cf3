"""A node with everything that the toolkit builds for it, on a machine of its own. `nox -s e2e -- node`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2e.machines import DATA, PROGRAMS
from e2e.nodes import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.nodes import Node

pytestmark = pytest.mark.e2e


def test_node_survives_what_happens_to_its_server(node: Callable[..., Node]) -> None:
    one = node()

    one.start()

    assert one.find("{.status.nodeInfo.containerRuntimeVersion}", "node", "node-1").startswith("containerd://")
    pid = _containerd(one)
    one.kill()
    assert _containerd(one) == pid
    one.start()
    assert "Adopted the container runtime" in one.log
    one.machine.run("kill", "-9", pid)
    until(lambda: "starting it again" in one.log and _containerd(one) not in {"", pid}, "containerd is there again")
    assert one.stop() < 15
    assert _containerd(one) == ""


def _containerd(node: Node) -> str:
    text = node.machine.run("cat", f"{DATA}/containerd/containerd.pid", check=False).split()
    running = text and node.machine.run("readlink", f"/proc/{text[0]}/exe", check=False).strip()
    return text[0] if running == f"{PROGRAMS}/libexec/k8s/containerd" else ""
