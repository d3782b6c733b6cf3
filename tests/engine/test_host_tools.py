"""Programs that other steps of a build run: compiled for this machine, whatever the platform is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.build import host_platform
from k8sbuild.kinds import GoBinary, GoModule, Source, Target
from k8sbuild.project import prepare
from k8sbuild.testing import vendored
from k8sbuild.testing.files import write

if TYPE_CHECKING:
    from pathlib import Path

    from toys import Make, RequestFor


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_a_tool_is_for_this_machine(
    plugin: Make, request_for: RequestFor, tmp_path: Path, goroot: str, arch: str
) -> None:
    write(tmp_path / "agent", vendored.program("example.org/agent"))
    names = {"tool": True, "program": False}
    toy = plugin(
        targets=[Target(name="toy", help="", artifacts={name: f"compile:toy/{name}/{name}" for name in names})],
        fetch=[Source(name="agent", version="v1.0.0", locations={"path": str(tmp_path / "agent")}, layout="as-is")],
        codegen=[GoModule(name="agent", path="example.org/agent", go="1.22", source="agent")],
        compile=[GoBinary(name=name, package=".", host=host) for name, host in names.items()],
    )
    prepared = prepare(request_for(toy, toolchain=goroot, arch=arch), log=tmp_path / "log")
    made_for = {name: prepared.graph.nodes[f"compile:toy/{name}"].step.params["arch"] for name in names}
    assert made_for == {"tool": host_platform().arch, "program": arch}
