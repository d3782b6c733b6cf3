"""Coverage of Go packages, from what ``go test -coverprofile`` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Coverage", "overall", "read_profile", "refuse_below"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Statements of a package: how many run in its tests, of how many.

    >>> Coverage(2, 3).percent
    66.6
    """

    covered: int
    statements: int

    @property
    def percent(self) -> float:
        """The share in percent, to a tenth, rounded down: what is just below a threshold never looks like it."""
        return self.covered * 1000 // self.statements / 10 if self.statements else 100.0


def read_profile(lines: Iterable[str]) -> dict[str, Coverage]:
    """Return the coverage of each package that has statements.

    Args:
        lines: of a profile: ``package/file.go:1.2,3.4 STATEMENTS COUNT``; a block may be there more than once.

    >>> read_profile(["mode: set", "m/p/a.go:1.2,3.4 2 1", "m/p/a.go:5.2,6.4 1 0"])
    {'m/p': Coverage(covered=2, statements=3)}
    """
    blocks: dict[str, tuple[int, bool]] = {}
    for line in lines:
        block, _, rest = line.partition(" ")
        if block == "mode:":
            continue
        statements, count = map(int, rest.split())
        blocks[block] = (statements, count > 0 or blocks.get(block, (0, False))[1])
    packages: dict[str, Coverage] = {}
    for block, (statements, hit) in blocks.items():
        name = block.rpartition("/")[0]
        have = packages.get(name, Coverage(0, 0))
        packages[name] = Coverage(have.covered + statements * hit, have.statements + statements)
    return packages


def overall(packages: Mapping[str, Coverage]) -> Coverage:
    """Return the coverage of all packages together, statement by statement."""
    return Coverage(sum(c.covered for c in packages.values()), sum(c.statements for c in packages.values()))


def refuse_below(packages: Mapping[str, Coverage], least: float) -> None:
    """Hold each package to a percentage of its statements.

    Raises:
        ValidateError: ``go-coverage``, naming the packages below it.
    """
    below = {name: c.percent for name, c in sorted(packages.items()) if c.covered * 100 < least * c.statements}
    if below:
        rows = [f"  {name}: {percent:.1f} %" for name, percent in below.items()]
        rows.append(f"all packages together: {overall(packages).percent:.1f} %")
        raise ValidateError(
            "\n".join([f"tests run less than {least:g} % of the statements of", *rows]),
            reason="go-coverage",
            hint="write tests; the module's GoModule says how much it wants",
            details={"below": below, "least": least},
        )
