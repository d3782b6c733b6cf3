"""The typed API that the front ends and notebooks use.

>>> from pathlib import Path
>>> from k8sbuild import api
>>> request = api.Request(flags={"k8s": "v1.31.4"}, env={}, root=Path("."))
>>> report = api.build(request)                               # doctest: +SKIP
>>> [artifact.name for artifact in report.artifacts]          # doctest: +SKIP
['k8s', 'k8s-v1.31.4-linux-amd64.tar.zst']
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .build import host_platform
from .config import cache_folder, find_project
from .engine import events
from .engine.context import Folders
from .engine.events import Event, RunLog
from .engine.export import Artifact, export, write_build_json
from .engine.graph import Graph
from .engine.plan import Decision
from .engine.plan import plan as make_plan
from .engine.pool import Pool
from .engine.process import Processes
from .engine.run import Outcome, Runner
from .errors import BuildError, PluginError, StoreError
from .fetching import source_key
from .kinds import STAGES, Finding, Stage
from .project import Prepared, Request, Setup, prepare, setup
from .provenance import inputs_of, run_of
from .store.gc import lease
from .store.locks import lock as hold

if TYPE_CHECKING:
    from pathlib import Path

    from .options import Declared
    from .store.audit import Damage
    from .store.store import Store

__all__ = [
    "Decision",
    "Explanation",
    "PlanReport",
    "Report",
    "Request",
    "build",
    "clean",
    "doctor",
    "explain",
    "lock",
    "options",
    "plan",
    "setup",
]

Observer = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did.

    ``outcomes`` in the order of the graph, ``seconds`` wall time, ``log`` the run log.
    """

    target: str
    k8s: str
    platform: str
    outcomes: tuple[Outcome, ...]
    artifacts: tuple[Artifact, ...]
    warnings: tuple[str, ...]
    log: str
    seconds: float
    folder: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "target": self.target,
            "k8s": self.k8s,
            "platform": self.platform,
            "seconds": round(self.seconds, 3),
            "steps": [o.to_dict() for o in self.outcomes],
            "artifacts": [a.to_dict() for a in self.artifacts],
            "warnings": list(self.warnings),
            "folder": self.folder,
            "log": self.log,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What a build would do."""

    target: str
    k8s: str
    platform: str
    rows: tuple[Decision, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        rows = [row.to_dict() for row in self.rows]
        return {"target": self.target, "k8s": self.k8s, "platform": self.platform, "steps": rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a step ran: its components then and in the run that it is held against."""

    step: str
    state: str
    why: str
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, with the components that differ."""
        names = sorted({*self.before, *self.after})
        changed = {
            n: [self.before.get(n), self.after.get(n)] for n in names if self.before.get(n) != self.after.get(n)
        }
        return {"step": self.step, "state": self.state, "why": self.why, "changed": changed}


def options(request: Request) -> dict[str, Declared]:
    """Return every option by key, plugins' included; a broken plugin is passed over."""
    return dict(setup(request, strict=False).declared)


def build(
    request: Request,
    *,
    until: Stage | None = None,
    choose: Callable[[Prepared], Graph] | None = None,
    observers: tuple[tuple[str, Observer], ...] = (),
) -> Report:
    """Build a target: everything up to the stage ``until``, then artifacts and build.json.

    Args:
        choose: gives the graph to run instead, whose outputs are no artifacts (developer's commands).
        observers: ``(name, function)`` that get every event.

    Raises:
        BuildError: any of the tree; what is finished is not redone by the next run.
    """
    started = time.monotonic()
    base = setup(request)
    state = base.project.state
    run_id = events.new_run_id()
    warnings: list[str] = []
    watchers = (("warnings", _collect(warnings)), *observers, *_plugin_observers(base))
    log = RunLog(state / "runs" / f"{run_id}.jsonl", watchers)
    try:
        told = lambda what, done, total: log.emit("progress", what=what, done=done, total=total)  # noqa: E731
        prepared = prepare(request, log=state / "logs" / run_id / "resolve.log", progress=told)
        graph = choose(prepared) if choose else wanted(prepared, until)
        log.emit("run-started", **_header(prepared), run=run_id, purpose="develop" if choose else "build")
        report = _run(prepared, request, graph, "codegen" if choose else until, log, run_id, started, warnings)
        log.emit("run-finished", seconds=report.seconds)
        return report
    except BaseException as error:
        details = error.to_dict() if isinstance(error, BuildError) else {"message": repr(error)}
        log.emit("run-failed", error=details)
        raise
    finally:
        log.close()
        _forget_old_runs(state)


def _run(
    prepared: Prepared,
    request: Request,
    graph: Graph,
    until: Stage | None,
    log: RunLog,
    run_id: str,
    started: float,
    warnings: list[str],
) -> Report:
    base, store = prepared.setup, prepared.store
    folders = _folders(prepared, request, run_id)
    waiting = lambda who: log.emit("warning", message=f"waiting for {who}")  # noqa: E731
    with (
        lease(store, run_id),
        hold(folders.work.with_name(folders.work.name + ".lock"), f"build {prepared.build.target}", on_wait=waiting),
    ):
        if base.flag("check-store"):
            _check_store(prepared, log)
        last = _last_components(base, prepared, run_id)
        log.emit("plan", steps=[d.to_dict() for d in make_plan(graph, store, last)])
        runner = _runner(prepared, folders, log, last)
        outcomes = _with_retry(runner, graph, store)
        if base.flag("verify") and until is None:
            _verify(prepared, folders, log, graph, outcomes)
        artifacts = _export(prepared, outcomes, until)
        shutil.rmtree(folders.scratch, ignore_errors=True)
    for key in _first_use(prepared):
        log.emit("warning", message=f"{key}: no database vouches for its digest; it is trusted from its first use on")
    for artifact in artifacts:
        log.emit("artifact", name=artifact.name, size=artifact.size, sha256=artifact.sha256)
    return Report(
        target=prepared.build.target,
        k8s=prepared.build.k8s,
        platform=str(prepared.build.platform),
        outcomes=tuple(outcomes[name] for name in graph.nodes if name in outcomes),
        artifacts=tuple(artifacts),
        warnings=tuple(warnings),
        log=str(log.path),
        seconds=time.monotonic() - started,
        folder=str(_artifacts_folder(base)),
    )


def _first_use(prepared: Prepared) -> list[str]:
    """Return the sources whose digest nobody but the lock knows, those of targets that this one takes from as well."""
    keys = [source_key(n.data["source"]) for n in prepared.graph.nodes.values() if "source" in n.data]
    entries = {key: prepared.lock.get("sources", key) for key in keys}
    return sorted(key for key, entry in entries.items() if entry and entry["trust"] == "first-use")


def wanted(prepared: Prepared, until: Stage | None) -> Graph:
    """Return the part of the graph that the artifacts and the checks reach, up to a stage."""
    base = prepared.setup
    roots = list(prepared.artifacts.values())
    if not base.flag("skip-validate"):
        live = not base.flag("fast")
        roots += [
            node.name
            for node in prepared.graph.nodes.values()
            if node.address.stage == "validate" and (live or not node.data.get("live"))
        ]
    graph = prepared.graph.wanted(roots)
    if until is None:
        return graph
    rank, own = STAGES.index(until), prepared.build.target
    return graph.wanted(n.name for n in graph.nodes.values() if n.target == own and n.address.rank <= rank)


def _with_retry(runner: Runner, graph: Graph, store: Store) -> dict[str, Outcome]:
    """Run; a damaged store entry is named, dropped and rebuilt, once."""
    try:
        return runner.run(graph)
    except StoreError as error:
        if error.reason != "store-damaged":
            raise
        runner.log.emit("warning", message=f"{error.message}; it is rebuilt")
        _drop_damaged(store)
        again = replace(runner, decisions={}, outcomes={}, processes=Processes(), failure=None)
        return again.run(graph)


def _verify(prepared: Prepared, folders: Folders, log: RunLog, graph: Graph, first: Mapping[str, Outcome]) -> None:
    """Build everything a second time without reuse and compare every output."""
    runner = _runner(prepared, folders, log, {}, fresh=True)
    checks = {n for n, node in graph.nodes.items() if node.address.stage == "validate"}
    second = runner.run(Graph(nodes={n: node for n, node in graph.nodes.items() if n not in checks}))
    differ = [n for n, o in second.items() if o.result and (r := first[n].result) and o.result.tree != r.tree]
    if differ:
        raise BuildError(
            f"not reproducible: {', '.join(differ)} gave other bytes the second time",
            reason="not-reproducible",
            hint="k8sbuild explain, and look at what these steps run",
            details={"steps": differ},
        )
    log.emit("warning", message=f"verified: {len(second)} steps gave the same bytes twice")


def _runner(
    prepared: Prepared, folders: Folders, log: RunLog, last: Mapping[str, Mapping[str, str]], *, fresh: bool = False
) -> Runner:
    base = prepared.setup
    return Runner(
        store=prepared.store,
        folders=folders,
        fetcher=prepared.fetcher,
        log=log,
        pool=Pool(int(base.values["jobs"]) if isinstance(base.values["jobs"], int) else 0),
        last=last,
        fresh=fresh,
        fast=base.flag("fast"),
    )


def _folders(prepared: Prepared, request: Request, run_id: str) -> Folders:
    state = prepared.setup.project.state
    name = f"{prepared.build.target}-{prepared.build.platform}"
    return Folders(
        work=state / "work" / name,
        cache=cache_folder(request.env),
        scratch=state / "tmp" / run_id,
        logs=state / "logs" / run_id,
    )


def _artifacts_folder(base: Setup) -> Path:
    return base.project.root / base.text("out") / "artifacts"


def _export(prepared: Prepared, outcomes: Mapping[str, Outcome], until: Stage | None) -> list[Artifact]:
    if until not in (None, "package", "validate"):
        return []
    folder = _artifacts_folder(prepared.setup)
    made = export(prepared.store, prepared.artifacts, outcomes, folder)
    if until is None:
        host = prepared.build.platform == host_platform() and prepared.build.target == "k8s"
        name = "build.json" if host else f"build-{prepared.build.target}-{prepared.build.platform}.json"
        write_build_json(folder / name, inputs_of(prepared, outcomes), run_of(prepared, outcomes))
    return made


def plan(request: Request, *, until: Stage | None = None) -> PlanReport:
    """Say what a build would do, without doing it."""
    project = find_project(request.root)
    prepared = prepare(request, log=project.state / "logs" / "plan.log")
    graph = wanted(prepared, until)
    last = _last_components(prepared.setup, prepared, "")
    rows = make_plan(graph, prepared.store, last)
    return PlanReport(
        target=prepared.build.target, k8s=prepared.build.k8s, platform=str(prepared.build.platform), rows=tuple(rows)
    )


def explain(request: Request, *, step: str = "", run: str = "", against: str = "") -> list[Explanation]:
    """Say why each step of a run (the last by default) ran or was reused.

    Args:
        step: part of an address; all steps by default.
        run, against: names of run logs.
    """
    from .engine.plan import difference

    logs = events.runs(find_project(request.root).state / "runs")
    chosen = _log(logs, run, -1)
    before = _components(_log(logs, against, logs.index(chosen) - 1)) if against or logs.index(chosen) else {}
    found = []
    for record in events.read(chosen):
        if record["event"] in ("step-finished", "step-reused", "step-failed") and step in record.get("step", ""):
            after = record.get("components", {})
            old = before.get(record["step"], {})
            why = record.get("why") or (difference(old, after) if old != after else "nothing changed")
            found.append(
                Explanation(step=record["step"], state=record["event"][5:], why=why, before=old, after=after)
            )
    return found


def _log(logs: list[Path], name: str, default: int) -> Path:
    named = [path for path in logs if name and name in path.name]
    if (name and not named) or not logs:
        raise BuildError(
            f"no run {name!r} is on record" if name else "nothing has run here yet",
            reason="no-run",
            hint=", ".join(path.stem for path in logs[-5:]) or "k8sbuild build",
        )
    return named[-1] if named else logs[default]


def lock(request: Request, *, check: bool = False) -> dict[str, Any]:
    """Add what the lock lacks by resolving and fetching; with ``check`` only say what is missing.

    Raises:
        ResolveError: ``not-locked`` with ``check``.
    """
    flags = {**request.flags, "locked": check}
    request = replace(request, flags=flags)
    project = find_project(request.root)
    if check:
        prepared = prepare(request, log=project.state / "logs" / "lock.log")
        missing = [n.name for n in prepared.graph.nodes.values() if n.pinned is not None and n.pinned() is None]
        if missing:
            from .errors import ResolveError

            raise ResolveError(f"not locked: {', '.join(missing)}", reason="not-locked", hint="k8sbuild lock")
    else:
        build(request, until="fetch")
    return {"lock": str(project.lock), "complete": True}


def doctor(request: Request) -> list[Finding]:
    """Look at this machine and the plugins; each finding has a fix."""
    from .doctor import findings

    base = setup(request, strict=False)
    return [*findings(base, cache_folder(request.env)), *_plugin_findings(base)]


def _plugin_findings(base: Setup) -> list[Finding]:
    found: list[Finding] = []
    for plugin in base.plugins:
        try:
            found += base.plugins.yielded(plugin, "k8sbuild_doctor", Finding)
        except PluginError as error:
            found.append(Finding(name=f"plugin {plugin.name}", ok=False, message=error.message, fix=error.hint))
    return found


def clean(request: Request, *, everything: bool = False) -> list[str]:
    """Remove artifacts and work trees of this project; with ``everything`` run logs too. The store stays."""
    base = setup(request, strict=False)
    gone = [_artifacts_folder(base), base.project.state / "work", base.project.state / "tmp"]
    if everything:
        gone += [base.project.state / "runs", base.project.state / "logs"]
    for folder in (removed := [f for f in gone if f.exists()]):
        shutil.rmtree(folder)
    return [str(folder) for folder in removed]


def _header(prepared: Prepared) -> dict[str, Any]:
    return {"target": prepared.build.target, "k8s": prepared.build.k8s, "platform": str(prepared.build.platform)}


def _collect(warnings: list[str]) -> Observer:
    def observer(event: Event) -> None:
        if event.kind == "warning":
            warnings.append(str(event.data.get("message", "")))

    return observer


def _plugin_observers(base: Setup) -> tuple[tuple[str, Observer], ...]:
    rows: list[tuple[str, Observer]] = []
    for plugin in base.plugins:
        hook = base.plugins.hooks.get(plugin.name, {}).get("k8sbuild_event")
        if hook is not None:
            rows.append((plugin.name, lambda event, hook=hook: hook(event=event)))  # type: ignore[misc]
    return tuple(rows)


def _check_store(prepared: Prepared, log: RunLog) -> None:
    for damage in _drop_damaged(prepared.store):
        log.emit("warning", message=f"store: {damage.what} {damage.name}: {damage.problem}; it is rebuilt")


def _drop_damaged(store: Store) -> list[Damage]:
    """Forget every tree that cannot be trusted any more; what gave it runs again."""
    found = store.check()
    for digest in {digest for damage in found for digest in damage.trees}:
        store.drop(digest)
    return found


def _last_components(base: Setup, prepared: Prepared, run_id: str) -> dict[str, Mapping[str, str]]:
    """Return each step's components in the newest run of the same target and platform that mentions it."""
    wanted_header = _header(prepared)
    found: dict[str, Mapping[str, str]] = {}
    for path in reversed(events.runs(base.project.state / "runs")):
        if path.stem == run_id:
            continue
        first = next(iter(events.read(path)), {})
        same = all(first.get(name) == wanted_header[name] for name in ("target", "platform"))
        if same and first.get("purpose", "build") == "build":
            for name, components in _components(path).items():
                found.setdefault(name, components)
            break
    return found


def _components(path: Path) -> dict[str, Mapping[str, str]]:
    return {r["step"]: r["components"] for r in events.read(path) if r.get("components") and "step" in r}


def _forget_old_runs(state: Path, keep: int = 50) -> None:
    for path in events.runs(state / "runs")[:-keep]:
        path.unlink(missing_ok=True)
        shutil.rmtree(state / "logs" / path.stem, ignore_errors=True)
