"""What ginkgo reports of each test.

Source: https://pkg.go.dev/github.com/onsi/ginkgo/v2/types#Report
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["LABEL", "NOT_RUN", "Outcome", "images_of", "outcomes"]

#: The label of conformance tests.
LABEL = "Conformance"
NOT_RUN = "not run"
#: How the end of a whole run shows in the tests that it cut off.
_CUT = re.compile(r"suite timeout occurred|[Ii]nterrupted by")
_FAILED = frozenset(("failed", "panicked", "timedout"))
_NAMESPACE = re.compile(r'Destroying namespace "([^"]+)" for this suite')
_NONE = "<none>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a test.

    Args:
        state: ``passed``, ``failed``, ``skipped`` (by the test itself) or ``not run``.
        seconds: how long it took.
        said: the first line of what it said where it did not pass.
        images: that its pods ran.
    """

    state: str
    seconds: float = 0.0
    said: str = ""
    images: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data, without what says nothing."""
        return {name: value for name, value in asdict(self).items() if value}


def outcomes(report: Iterable[Mapping[str, Any]], images: Mapping[str, Iterable[str]]) -> dict[str, Outcome]:
    """Return the outcome of each conformance test by its full name.

    Args:
        report: what ``--json-report`` wrote: the suites, here one.
        images: that pods ran, by namespace.
    """
    return {_name(spec): _outcome(spec, images) for spec in _specs(report)}


def _specs(report: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for suite in report:
        for spec in suite["SpecReports"] or ():
            labels = [spec["LeafNodeLabels"], *(spec["ContainerHierarchyLabels"] or ())]
            if spec["LeafNodeType"] == "It" and any(LABEL in (row or ()) for row in labels):
                yield spec


def _name(spec: Mapping[str, Any]) -> str:
    return " ".join([*(spec["ContainerHierarchyTexts"] or ()), spec["LeafNodeText"]])


def _outcome(spec: Mapping[str, Any], images: Mapping[str, Iterable[str]]) -> Outcome:
    said: str = spec.get("Failure", {}).get("Message", "")
    steps = (event.get("Message", "") for event in spec.get("SpecEvents") or ())
    namespaces = {name for step in steps for name in _NAMESPACE.findall(step)}
    return Outcome(
        state=_state(spec["State"], said),
        seconds=round(spec["RunTime"] / 1e9, 1),
        said=said.strip().partition("\n")[0],
        images=tuple(sorted({image for name in namespaces for image in images.get(name, ())})),
    )


def _state(state: str, said: str) -> str:
    """Return the state in our words: a test that was not reached, or was cut off, says nothing.

    >>> [_state(*row) for row in (("passed", ""), ("panicked", "x"), ("skipped", "needs 2 nodes"), ("skipped", ""))]
    ['passed', 'failed', 'skipped', 'not run']
    >>> _state("timedout", "A suite timeout occurred"), _state("timedout", "A spec timeout occurred")
    ('not run', 'failed')
    """
    if state in _FAILED and not _CUT.search(said):
        return "failed"
    known = {"passed": "passed", "skipped": "skipped" if said else NOT_RUN}
    return known.get(state, NOT_RUN)


def images_of(rows: Iterable[str]) -> dict[str, set[str]]:
    """Return the images of pods by namespace.

    Args:
        rows: a namespace and lists of images, as ``kubectl get --output=custom-columns=…`` prints them.

    >>> found = images_of(["a-1  r.example/x:1,r.example/y:2  <none>", "a-1  r.example/x:1  r.example/z:3"])
    >>> sorted(found["a-1"])
    ['r.example/x:1', 'r.example/y:2', 'r.example/z:3']
    """
    found: dict[str, set[str]] = {}
    for row in rows:
        namespace, *lists = row.split() or [""]
        found.setdefault(namespace, set()).update(name for text in lists for name in text.split(",") if text != _NONE)
    return found
