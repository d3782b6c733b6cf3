"""Commands for those who write plugins, overlays and patches."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.kinds import Option
from k8sbuild.options import CORE
from k8sbuild.report.stream import say

from .command import Answer, Call, Command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["COMMANDS"]

#: What decides how a build's trees are prepared.
_PREPARE = tuple(o.name for o in CORE if o.name not in ("arch", "fast", "skip-validate", "verify", "out"))


def test(call: Call) -> Answer:
    """Run the Go tests of the distribution's own packages."""
    from k8sbuild import gotest
    from k8sbuild.report.live import progress

    packages = tuple(word for text in call.own["package"] for word in text.split(",")) or ("./...",)
    with progress(sys.stderr) as observer:
        report = gotest.run_tests(
            call.request, packages=packages, race=not call.own["no-race"], observers=(("progress", observer),)
        )
    return Answer(kind="test", data=report.to_dict(), text=lambda: _tests(report.to_dict()))


def _tests(data: Mapping[str, Any]) -> str:
    from k8sbuild.report.table import near
    from k8sbuild.report.words import columns, duration

    count = f"{data['tests']} tests in {len(data['packages'])} packages, {duration(data['seconds'])}"
    rows = [_package(row) for row in data["packages"]] + [("", name, "", "no tests", "") for name in data["untested"]]
    parts = [
        columns(rows, right={2, 3}),
        _section("skipped", data["skipped"]),
        _section("warnings", data["warnings"]),
        f"{count}\nrun log: {near(data['log'])}",
    ]
    return "\n\n".join(part for part in parts if part)


def _package(row: Mapping[str, Any]) -> tuple[str, ...]:
    coverage = "" if row["coverage"] is None else f"{row['coverage']:.1f} %"
    return row["result"], row["package"], f"{row['seconds']:.1f} s", coverage, "race" if row["race"] else ""


def _section(title: str, rows: Sequence[str]) -> str:
    return "\n".join([title, *(f"  {row}" for row in rows)]) if rows else ""


def lint(call: Call) -> Answer:
    """Check overlays and ledgers; the first kind of finding is the error."""
    from k8sbuild import gotest
    from k8sbuild.report.live import progress

    with progress(sys.stderr) as observer:
        report = gotest.lint(call.request, observers=(("progress", observer),))
    data = {"ok": True, "seconds": round(report.seconds, 3), "log": report.log}
    return Answer(kind="lint", data=data, text=lambda: "overlays and ledgers are in order")


def patch_refresh(call: Call) -> Answer:
    """Lay out an edit tree with ``--start``, else write what was changed in it into a series."""
    from k8sbuild import edit
    from k8sbuild.report.live import progress
    from k8sbuild.report.table import near

    own = {name: str(call.own[name]) for name in ("source", "plugin", "name", "why")}
    with progress(sys.stderr) as observer:
        watchers = (("progress", observer),)
        if call.own["start"]:
            tree = edit.start(call.request, own["source"], observers=watchers)
            text = f"edit {near(tree.folder)}, then: k8sbuild patch-refresh --source={tree.source} --name=NAME"
            return Answer(kind="edit-tree", data=asdict(tree), text=lambda: text)
        made = edit.refresh(call.request, **own, observers=watchers)
    lines = [f"wrote {near(made.patch)}", *(f"  {path}" for path in made.files)]
    lines += [] if own["why"] else [f"say why in {near(made.ledger)}"]
    return Answer(kind="patch-refresh", data=asdict(made), text=lambda: "\n".join(lines))


def shell(call: Call) -> Answer:
    """Open a shell in an edit tree, or run one command there; its exit code is ours."""
    from k8sbuild import edit
    from k8sbuild.report.live import progress

    with progress(sys.stderr) as observer:
        place = edit.shell(call.request, str(call.own["source"]), observers=(("progress", observer),))
    command = str(call.own["command"])
    argv = ["/bin/sh", "-c", command] if command else [os.environ.get("SHELL") or "/bin/sh"]
    kept = {name: os.environ[name] for name in ("HOME", "TERM", "USER") if name in os.environ and not command}
    env = {**place.env, **kept, "K8SBUILD_MODULE": place.module}
    if not command:
        say(f"go build ./... in $K8SBUILD_MODULE takes this tree: cd {place.module}", sys.stderr)
    code = subprocess.run(argv, cwd=place.folder, env=env).returncode
    data = {"folder": place.folder, "module": place.module, "exit_code": code}
    return Answer(kind="shell", data=data, text=lambda: f"{place.folder}: exit {code}", exit_code=code)


def install(call: Call, *, dry: bool = False) -> Answer:
    """Install programs, units and settings of the last build."""
    from k8sbuild.install import install as put

    root = Path(str(call.own["root"]))
    made = put(call.request, root=root, dry=dry)
    verb = "would install" if dry else "installed"
    lines = [f"{verb} {root / path}" for path in made.files]
    lines += [f"kept {root / path}, which was there" for path in made.kept]
    return Answer(kind="install", data=asdict(made) | {"dry": dry}, text=lambda: "\n".join(lines))


_SOURCE = Option(name="source", help="the source to work on", default="kubernetes")

COMMANDS = (
    Command(
        name="test",
        help="Test the distribution's own Go packages.",
        run=test,
        dry=None,
        options=_PREPARE,
        plugins=True,
        own=(
            Option(name="package", help="patterns of go, relative to the module (./pkg/certs/...)", type="list"),
            Option(name="no-race", help="leave the race detector out", type="bool", default=False),
        ),
    ),
    Command(
        name="lint",
        help="Check overlays (gofmt, vet) and ledgers.",
        run=lint,
        dry=None,
        options=_PREPARE,
        plugins=True,
    ),
    Command(
        name="patch-refresh",
        help="Turn an edit tree's changes into a patch.",
        run=patch_refresh,
        dry=None,
        options=tuple(name for name in _PREPARE if name != "plugin"),
        plugins=True,
        own=(
            Option(name="start", help="lay out the edit tree, .k8sbuild/edit/SOURCE", type="bool", default=False),
            _SOURCE,
            Option(name="plugin", help="whose series gets the patch; the project's own without it"),
            Option(name="name", help="the patch's name, without number and ending", default="change"),
            Option(name="why", help="what the ledger says about it"),
        ),
    ),
    Command(
        name="shell",
        help="Open a shell in an edit tree.",
        run=shell,
        dry=None,
        options=_PREPARE,
        plugins=True,
        own=(_SOURCE, Option(name="command", help="run this instead of a shell")),
    ),
    Command(
        name="install",
        help="Install what was built; --root stages it.",
        run=install,
        dry=partial(install, dry=True),
        options=("target", "arch", "out", "plugin", "no-plugin"),
        own=(Option(name="root", help="the folder that is the system's root", default="/", type="path"),),
    ),
)
