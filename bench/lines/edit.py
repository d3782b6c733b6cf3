"""From the edit of one line in a patch to the new binary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.plain import Plain, prepare, rebuilt
from bench.sides import ratios, samples, spreads
from bench.timing import Run, alternate

if TYPE_CHECKING:
    from pathlib import Path

    from bench.workspace import Workspace

TARGET = 1.15
_LEAF = "cmd/kube-scheduler/app"
_APIMACHINERY = "staging/src/k8s.io/apimachinery/pkg/apis/meta/v1"
_SETTINGS = '\n[patches]\nkubernetes = "patches"\n'
_VALUE = re.compile(r'"[\w-]*"')


def patch_of(folder: str, value: str) -> str:
    """Return a patch that adds a file with a line that holds the value.

    >>> print(patch_of("cmd/a/app", "one").splitlines()[-1])
    +var benchmark = "one"
    """
    path = f"{folder}/zz_benchmark.go"
    package = folder.rpartition("/")[2]
    body = [f"package {package}", "", f'var benchmark = "{value}"']
    head = [f"diff --git a/{path} b/{path}", "new file mode 100644", "--- /dev/null", f"+++ b/{path}"]
    return "\n".join([*head, f"@@ -0,0 +1,{len(body)} @@", *(f"+{line}" for line in body), ""])


def edit(file: Path, value: str) -> None:
    """Change the one line of a patch or of the file that it adds."""
    head, mark, line = file.read_text(encoding="utf-8").rpartition("var benchmark = ")
    file.write_text(head + mark + _VALUE.sub(f'"{value}"', line, count=1), encoding="utf-8")


def measure(workspace: Workspace, name: str, folder: str, rounds: int) -> Outcome:
    """Edit the patch and compile, by turns with the same edit in a copy of the tree and ``go build``."""
    project = workspace.project(f"edit-{name}", _SETTINGS)
    patch = project / "patches" / "0001-benchmark.patch"
    patch.parent.mkdir()
    patch.write_text(patch_of(folder, "begin"), encoding="utf-8")
    rebuilt(workspace, project)
    plain = prepare(workspace, project, f"edit-{name}-plain")
    output = workspace.root / f"edit-{name}-k8s"
    plain.build(output)
    found, alone = alternate(
        rounds,
        lambda number: _ours(workspace, project, patch, f"ours-{number}"),
        lambda number: _theirs(plain, folder, f"theirs-{number}", output),
    )
    wall, cpu = ratios(found, alone)
    sides = {"invoke compile": found, "go build": alone}
    return Outcome(
        measured=f"{wall:.2f} wall, {cpu:.2f} CPU",
        met=wall <= TARGET,
        samples=samples(sides),
        facts={**spreads(sides), "edited package": folder},
    )


def _ours(workspace: Workspace, project: Path, patch: Path, value: str) -> Run:
    edit(patch, f"{workspace.unique}-{value}")
    return workspace.invoke(project, "compile")


def _theirs(plain: Plain, folder: str, value: str, output: Path) -> Run:
    (file,) = plain.work.glob(f"*/*/kubernetes/{folder}/zz_benchmark.go")
    edit(file, f"{plain.workspace.unique}-{value}")
    return plain.build(output)


_HOW = (
    "A patch of the project adds a file to the package; each round changes its one line to a new text. "
    "`invoke compile` after an edit of the patch, by turns with `go build` after an edit of the file in a copy of the "
    "tree; both with a warm compile cache that has not seen the text."
)
LINES = (
    Line(
        name="edit-leaf",
        what="one patch line edited in a leaf package, until the new binary",
        target=f"≤ {TARGET} × `go build`",
        how=_HOW,
        measure=lambda workspace: measure(workspace, "leaf", _LEAF, workspace.rounds),
    ),
    Line(
        name="edit-apimachinery",
        what="one patch line edited in apimachinery, until the new binary",
        target=f"≤ {TARGET} × `go build`",
        how=f"As `edit-leaf`, in a package that most others import (`{_APIMACHINERY.removeprefix('staging/src/')}`).",
        measure=lambda workspace: measure(workspace, "apimachinery", _APIMACHINERY, min(workspace.rounds, 2)),
    ),
)
