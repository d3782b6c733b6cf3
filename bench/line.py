"""A line of the table: what is measured, its target, and what came out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .workspace import Workspace

__all__ = ["Line", "Outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a line gave.

    Args:
        measured: the number that is held against the target, with its unit.
        met: whether the target is met; None where it could not be measured.
        samples: every single measurement, by what it is (with its unit).
        facts: what else belongs to the number.
        notes: what a reader must know to judge it, such as what was left out.
    """

    measured: str
    met: bool | None
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, with samples to three digits."""
        rounded = {name: [round(value, 3) for value in values] for name, values in self.samples.items()}
        return {**asdict(self), "samples": rounded, "notes": list(self.notes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line.

    Args:
        name: for the command line.
        what: the quantity.
        target: what it should be.
        how: how it is measured, for the page.
        measure: measures it.
    """

    name: str
    what: str
    target: str
    how: str
    measure: Callable[[Workspace], Outcome]
