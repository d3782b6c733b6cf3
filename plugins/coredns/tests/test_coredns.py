"""What the hooks yield, the generated file, and the check of its plugins."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from k8sbuild_coredns import checks, plugin

from k8sbuild.errors import ValidateError
from k8sbuild.kinds import OciImage
from k8sbuild.testing import programs
from k8sbuild.testing.checks import adds_nothing, conforms, contributions, sample_build, ships_programs

if TYPE_CHECKING:
    from k8sbuild.build import Build


def beside_a_runtime(bundle: bool) -> Build:
    """Return a build of ``k8s`` that has a plugin for the node's container runtime."""
    return sample_build(plugin, target="k8s", beside={"containerd-runtime.bundle": bundle})


def test_the_plugin_is_what_plugins_must_be() -> None:
    own = sample_build(plugin, target=plugin.NAME)
    conforms(plugin, own, sample_build(plugin, target="k8s"), beside_a_runtime(bundle=False), beside_a_runtime(True))


def test_nothing_is_added_to_a_server_without_a_node() -> None:
    adds_nothing(plugin, beside_a_runtime(bundle=False), sample_build(plugin, target="k8s"))


def test_the_image_is_of_the_program_that_the_target_makes_and_the_server_is_told_it() -> None:
    build = beside_a_runtime(bundle=True)
    ships_programs(plugin, build, "registry.k8s.io/coredns/coredns:v1.11.3")
    (made,) = contributions(plugin, build)["k8sbuild_package"]
    assert isinstance(made, OciImage)
    assert made.licences == (plugin.PROGRAM,)
    (source,) = contributions(plugin, build)["k8sbuild_fetch"]
    assert f"fetch:coredns/{source.name}/coredns" == plugin.PROGRAM


def said(*plugins: str) -> list[str]:
    # A program of Go's stands for CoreDNS: for which machine it is is looked at.
    go = Path(subprocess.check_output([programs.go(), "env", "GOROOT"], text=True).strip(), "bin", "gofmt")
    listed = "\n".join(f"  dns.{name}" for name in plugins)
    answer = f"Server types:\n  dns\n\nOther plugins:\n{listed}\n"
    ctx: Any = SimpleNamespace(params={"binary": plugin.BINARY}, path=lambda _: go, exec=lambda argv: answer)
    return checks.plugins(ctx)


def test_the_program_has_the_plugins_of_a_cluster() -> None:
    assert said(*checks.NEEDED) == ["11 plugins"]
    with pytest.raises(ValidateError, match="lacks the plugins cache, loop"):
        said(*set(checks.NEEDED) - {"loop", "cache"})


def test_a_program_for_another_machine_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "elf_machine", lambda _: "another")
    assert said() == []
