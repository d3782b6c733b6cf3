"""Checks, and steps that plugins yield themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.errors import PlanError
from k8sbuild.kinds import Check, Step

from .programs import module_address, program_of, trees_of
from .resolved import Resolved, node
from .sources import go_inputs, go_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Platform
    from k8sbuild.engine.graph import Node

__all__ = ["checks", "steps"]


def checks(r: Resolved) -> Iterator[Node]:
    """Yield the step of each check; one that is not enabled is skipped with its reason."""
    for plugin, check in r.contributions.of(Check):
        step = Step(
            name=check.name,
            stage="validate",
            run=check.run,
            inputs=(*check.inputs, *_code(r, check)),
            params=dict(check.params),
            revision=check.revision,
            cores=1,
            memory=600 if check.live else 100,
        )
        yield node("validate", plugin.name, "Check", step, note=_skipped(check, r.build.platform), live=check.live)


def _code(r: Resolved, check: Check) -> tuple[str, ...]:
    """Return the addresses of the module that a check looks at, and of what compiles it."""
    if not check.module:
        return ()
    program = program_of(r, check.module, f"Check {check.name}")
    return (module_address(r, program), *go_inputs(r, go_parts(r, program, trees_of(r, program))))


def _skipped(check: Check, platform: Platform) -> str:
    """Say why a check is skipped; nothing where it is not."""
    if not check.enabled:
        return check.why or "not enabled"
    if check.live and platform != (host := host_platform()):
        return f"this machine ({host}) cannot run programs for {platform}"
    return ""


def steps(r: Resolved) -> Iterator[Node]:
    """Yield the steps that plugins yield as such.

    Raises:
        PlanError: ``network-step``.
    """
    for contribution in r.contributions.items:
        step = contribution.item
        if isinstance(step, Step):
            if step.needs_network and step.stage != "fetch":
                raise PlanError(f"step {step.name}: only the fetch stage may use the network", reason="network-step")
            yield node(step.stage, contribution.plugin.name, "Step", step)
