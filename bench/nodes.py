"""Nodes to measure: what was built, on machines of namespaces, as the tests boot them."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .workspace import ROOT

sys.path.append(str(ROOT / "tests"))
from e2e.machines import DATA, lan
from e2e.nodes import PAUSE, Node, unpacked, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .workspace import Workspace

__all__ = ["DATA", "PAUSE", "Node", "archives", "fresh_node", "phases", "programs", "until"]


def programs(workspace: Workspace) -> Path:
    """Build ``k8s`` with its node, and return the folder that its archive unpacks to."""
    return unpacked(workspace.fresh("node"))


def archives(workspace: Workspace) -> list[Path]:
    """Return what is to be downloaded for a node: the archive, and that of images."""
    folder = workspace.root / "node" / "artifacts"
    return sorted(path for path in folder.iterdir() if path.name.endswith(".tar.zst"))


@contextmanager
def fresh_node(workspace: Workspace, found: Path) -> Iterator[Node]:
    """Give an installed node with an empty data directory, not started, for the time of a block."""
    with lan(workspace.fresh("machines")) as network:
        node = Node(machine=network.machine("node-1", "192.0.2.7", found), program="/usr/local/bin/k8s")
        node.machine.run("/opt/k8s/k8s", "install")
        yield node
        node.stop()


def phases(log: str) -> dict[str, float]:
    """Return the seconds from the start at which each phase was over, as the server's log says.

    >>> phases('I "Component ready" component="kine" took="0.1s" sinceStart="120ms"\\n'
    ...        'I "Node is ready" node="n" took="1s" sinceStart="4.5s"\\n')
    {'kine': 0.12, 'node': 4.5}
    """
    found = {}
    for line in log.splitlines():
        at = re.search(r'sinceStart="((?:\d+m(?!s))?)([\d.]+)(ms|s)"', line)
        who = re.search(r'"Component ready" component="([^"]+)"', line)
        if at and (who or '"Node is ready"' in line):
            minutes, number, unit = at.groups()
            seconds = float(number) / (1000 if unit == "ms" else 1) + 60 * float(minutes.rstrip("m") or 0)
            found[who[1] if who else "node"] = round(seconds, 3)
    return found
