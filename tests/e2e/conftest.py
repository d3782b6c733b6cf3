"""The node that the toolkit built, and a network of machines to boot it on."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from e2e.images import probe
from e2e.machines import NotHere, lan
from e2e.nodes import Node, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from e2e.machines import Lan


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build ``k8s`` with its node, and return the folder that its archive unpacks to."""
    return unpacked(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the program that pods of tests run."""
    return probe(tmp_path_factory.mktemp("probe"))


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Lan]:
    """Make a network with no machine yet; loud skip where that cannot be."""
    with ExitStack() as stack:
        try:
            made = stack.enter_context(lan(tmp_path / "machines"))
        except NotHere as error:
            pytest.skip(str(error))
        yield made


@pytest.fixture
def node(network: Lan, programs: Path) -> Iterator[Callable[..., Node]]:
    """Return a function that makes a machine with a node, not started; they are killed at the end."""
    made: list[Node] = []

    def make(*flags: str, name: str = "node-1", address: str = "192.0.2.7") -> Node:
        made.append(Node(machine=network.machine(name, address, programs), flags=flags))
        return made[-1]

    yield make
    for each in made:
        if each.process and each.process.poll() is None:
            each.kill()


@pytest.fixture(scope="session")
def documented_ports() -> set[str]:
    """Return the ports that the reference has for a server with a node."""
    text = (Path(__file__).parents[2] / "docs/reference/ports.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| (\d+) \|", text, re.MULTILINE))
