"""What remove-cloud-providers saves and what Kine costs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.plain import forget, prepare, rebuilt
from bench.workspace import answer, go_of

if TYPE_CHECKING:
    from pathlib import Path

    from bench.workspace import Workspace

_KINE_TARGET = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a binary is made of."""

    bytes: int
    packages: int
    modules: int


def measure_removal(workspace: Workspace) -> Outcome:
    """Compile with the plugin and without, and let its own check look at what is linked."""
    whole = compile_without(workspace, "")
    without = compile_without(workspace, "remove-cloud-providers")
    project = workspace.project("removal-check")
    forget(workspace.cache, "validate:remove-cloud-providers")
    steps = answer(workspace.invoke(project, "build", "--fast", "--format=json"))["steps"]
    checks = [s for s in steps if s["step"].startswith("validate:remove-cloud-providers") and s["state"] == "ran"]
    saved = {name: getattr(without, name) - getattr(whole, name) for name in ("packages", "modules", "bytes")}
    return Outcome(
        measured=", ".join(f"{count:,} {name}" for name, count in saved.items()) + " less; deny-list clean",
        met=min(saved.values()) >= 0 and bool(checks),
        facts={"with": _shown(whole), "without": _shown(without), "checks that passed": [c["step"] for c in checks]},
        notes=["The table per group is in [what the plugin removes](cloud-provider-removal.md)."],
    )


def measure_kine(workspace: Workspace) -> Outcome:
    """Compile with Kine and without."""
    whole = compile_without(workspace, "")
    # By itself it would take the older Go that is enough for Kubernetes alone.
    same = go_of(workspace, workspace.root / "without-nothing").parents[1]
    without = compile_without(workspace, "kine-integration", f"--toolchain={same}")
    added = (whole.bytes - without.bytes) / 1e6
    return Outcome(
        measured=f"{added:.2f} MB",
        met=added <= _KINE_TARGET,
        facts={"with": _shown(whole), "without": _shown(without)},
    )


def compile_without(workspace: Workspace, plugin: str, *flags: str) -> Size:
    """Compile without a plugin (with all, where it has no name) and look at the binary."""
    project = workspace.project(f"without-{plugin or 'nothing'}")
    flags = (*flags, *([f"--no-plugin={plugin}"] if plugin else []))
    rebuilt(workspace, project, *flags)
    workspace.invoke(project, "build", "--skip-validate", *flags)
    binary = project / "dist" / "artifacts" / "k8s"
    plain = prepare(workspace, project, f"{project.name}-plain")
    size = Size(bytes=binary.stat().st_size, packages=plain.packages(), modules=_modules(plain.argv[0], binary))
    shutil.rmtree(plain.work)
    return size


def _modules(go: str, binary: Path) -> int:
    done = subprocess.run([go, "version", "-m", binary], capture_output=True, text=True, check=True)
    return sum(line.startswith("\tdep\t") for line in done.stdout.splitlines())


def _shown(size: Size) -> dict[str, int]:
    return {"packages": size.packages, "modules": size.modules, "bytes": size.bytes}


LINES = (
    Line(
        name="removal",
        what="with remove-cloud-providers vs without",
        target="no deny-listed package linked, never larger",
        how="The stripped static binary of this repository's project, and the one with "
        "`--no-plugin=remove-cloud-providers`: packages that are compiled for it, modules in its build info, bytes. "
        "The plugin's own checks hold the binary to the deny-list.",
        measure=measure_removal,
    ),
    Line(
        name="kine",
        what="what Kine adds to the binary",
        target=f"≤ {_KINE_TARGET:.0f} MB",
        how="The same binary with and without the plugin `kine-integration`, both by the Go that Kine wants.",
        measure=measure_kine,
    ),
)
