"""Every patch of a build has its entry in a ledger: what `lint` and the validate stage hold series to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError
from k8sbuild.patching.ledger import check_ledger, parse_ledger
from k8sbuild.patching.series import series_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import date

    from k8sbuild.engine.context import StepContext

__all__ = ["Series", "check", "findings", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A folder of patches for one source.

    Args:
        name: whose it is, for messages.
        files: the folder's files by name; of patches the name counts alone.
        only: the patches that are applied; all where it is None.
    """

    name: str
    source: str
    version: str
    files: Mapping[str, bytes]
    only: Collection[str] | None = None


def findings(series: Series, today: date | None) -> Iterator[str]:
    """Yield what is wrong with a series' ledger, a line each.

    Args:
        today: the day that ``expires`` is held against; None leaves that out.

    >>> list(findings(Series(name="mine", source="lib", version="v1", files={"a.patch": b""}), None))
    ['mine (lib): a.patch: has no entry in the ledger']
    """
    name, files = series.name, series.files
    entries = parse_ledger(f"{name}/ledger.toml", files["ledger.toml"]) if "ledger.toml" in files else {}
    for finding in check_ledger(series_names(name, files), entries, series.version, today):
        # What is not applied may be for another version.
        if finding.reason != "ledger-applies-to" or series.only is None or finding.patch in series.only:
            yield f"{name} ({series.source}): {finding}"


def refuse(found: Iterable[str]) -> None:
    """Stop where there are findings.

    Raises:
        ValidateError: ``ledger`` with all of them.
    """
    if rows := list(found):
        raise ValidateError(
            "\n".join(["the ledger of a series is not in order", *rows]),
            reason="ledger",
            hint="say in ledger.toml, beside the patches, why each is there",
            details={"findings": rows},
        )


def check(ctx: StepContext) -> None:
    """Hold the series of one source to their ledgers; the day counts for `lint` alone."""
    p = ctx.params
    found: list[str] = []
    for row in p["series"]:
        files = {**dict.fromkeys(row["patches"], b""), **{n: data for n, (_, data) in ctx.local(row["part"]).items()}}
        series = Series(name=row["part"], source=p["source"], version=p["version"], files=files, only=row["only"])
        found += findings(series, None)
    refuse(found)
    ctx.facts["patches"] = sum(len(row["patches"]) for row in p["series"])
