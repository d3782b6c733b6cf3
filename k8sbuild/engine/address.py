"""Addresses of outputs: ``stage:plugin/name[/path]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sbuild.errors import PlanError, suggest
from k8sbuild.kinds import STAGES, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Address", "parse"]


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A step's output, or a file or folder in it.

    >>> str(Address("compile", "single-binary", "k8s", "k8s"))
    'compile:single-binary/k8s/k8s'
    """

    stage: Stage
    plugin: str
    name: str
    path: str = ""

    def __str__(self) -> str:
        return self.step + (f"/{self.path}" if self.path else "")

    @property
    def step(self) -> str:
        """The address of the step itself."""
        return f"{self.stage}:{self.plugin}/{self.name}"

    @property
    def folder(self) -> str:
        """The step's folder below another, the same for no two steps.

        >>> Address("compile", "single-binary", "k8s", "k8s").folder
        'compile/single-binary/k8s'
        """
        return f"{self.stage}/{self.plugin}/{self.name}"

    @property
    def beside(self) -> str:
        """The step's work tree, seen from that of another: both lie below the build's work folder.

        >>> Address("patch", "single-binary", "kubernetes").beside
        '../../../patch/single-binary/kubernetes'
        """
        return f"../../../{self.folder}"

    @property
    def rank(self) -> int:
        """Position of the stage."""
        return STAGES.index(self.stage)


def parse(text: str, known: Iterable[str] = ()) -> Address:
    """Read an address.

    Args:
        text: ``stage:plugin/name[/path]``.
        known: addresses of steps; if given, another one is an error with a suggestion.

    Raises:
        PlanError: ``bad-address`` or ``unknown-address``.
    """
    stage, colon, rest = text.partition(":")
    parts = rest.split("/", 2)
    if not colon or stage not in STAGES or len(parts) < 2 or not all(parts[:2]):
        raise PlanError(f"{text!r} is no address (stage:plugin/name[/path])", reason="bad-address")
    address = Address(stage, parts[0], parts[1], parts[2] if len(parts) > 2 else "")
    known = list(known)
    if known and address.step not in known:
        raise PlanError(
            f"there is no step {address.step!r} in this build{suggest(address.step, known)}",
            reason="unknown-address",
            hint="k8sbuild plan",
        )
    return address
