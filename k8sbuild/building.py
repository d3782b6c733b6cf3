"""A build: one run from a request to artifacts, build.json and a run log."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from .build import host_platform
from .config import cache_folder
from .engine import events
from .engine.events import Observer, RunLog
from .engine.export import Artifact, export, write_build_json
from .engine.folders import Folders
from .engine.graph import Graph
from .engine.plan import plan as make_plan
from .engine.pool import Pool
from .engine.run import Outcome, Runner
from .errors import BuildError, Interrupted, StoreError
from .fetching import source_key
from .history import forget_old_runs, header, last_components
from .planning import wanted
from .project import Prepared, Request, Setup, prepare, setup
from .provenance import inputs_of, run_of
from .store.lease import lease
from .store.locks import lock as hold
from .store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .engine.events import Event
    from .engine.plan import Past
    from .kinds import Stage

__all__ = ["Observers", "Report", "build"]

_T = TypeVar("_T")
#: What became of the steps, how many were verified, the artifacts.
_Done = tuple[dict[str, Outcome], int, list[Artifact]]
#: Who gets every event: ``(name, function)``.
Observers = tuple[tuple[str, Observer], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did.

    ``outcomes`` in the order of the graph, ``seconds`` wall time, ``log`` the run log, ``verified`` how many steps
    gave the same bytes twice (``--verify``).
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
    verified: int = 0

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
            "verified": self.verified,
            "log": self.log,
        }


def build(
    request: Request,
    *,
    until: Stage | None = None,
    choose: Callable[[Prepared], Graph] | None = None,
    keep_lock: bool = True,
    observers: Observers = (),
) -> Report:
    """Build a target: everything up to the stage ``until``, then artifacts and build.json.

    Args:
        choose: gives the graph to run instead, whose outputs are no artifacts (developer's commands).
        keep_lock: write what the lock lacks into its file at once; else whoever chose may save it.
        observers: ``(name, function)`` that get every event.

    Raises:
        BuildError: any of the tree; what is finished is not redone by the next run.
    """
    started = time.monotonic()
    base = setup(request)
    state = base.project.state
    run_id = events.new_run_id()
    resolve_log = state / "logs" / run_id / "resolve.log"
    warnings: list[str] = []
    watchers = (("warnings", _collect(warnings)), *observers, *_plugin_observers(base))
    log = RunLog(state / "runs" / f"{run_id}.jsonl", watchers)
    try:
        prepared = _mending(
            lambda: prepare(request, log=resolve_log, base=base, progress=_told(log), keep_lock=keep_lock),
            Store(cache_folder(request.env) / "store").mend,
            lambda text: log.emit("warning", message=text),
        )
        graph = choose(prepared) if choose else wanted(prepared, until)
        log.emit("run-started", **header(prepared), run=run_id, purpose="develop" if choose else "build")
        run = _Run(prepared=prepared, graph=graph, until="codegen" if choose else until, log=log, run_id=run_id)
        outcomes, verified, artifacts = run.perform(_folders(prepared, request, run_id))
        seconds = time.monotonic() - started
        log.emit("run-finished", seconds=seconds)
        return run.report(outcomes, artifacts, warnings=tuple(warnings), seconds=seconds, verified=verified)
    except BaseException as error:
        log.emit("run-failed", error=_details(error))
        raise
    finally:
        log.close()
        forget_old_runs(state)


def _mending(act: Callable[[], _T], mend: Callable[[], object], warn: Callable[[str], None]) -> _T:
    """Act; a damaged store entry that stops it is named and dropped, and all is done again, once."""
    try:
        return act()
    except StoreError as error:
        if error.reason != "store-damaged":
            raise
        warn(f"{error.message}; it is rebuilt")
        mend()
        return act()


def _told(log: RunLog) -> Callable[[str, int, int], None]:
    """Return what puts the progress of a resolve, which is no step, into the run log."""
    return lambda what, done, total: log.emit("progress", what=what, done=done, total=total)


def _details(error: BaseException) -> dict[str, Any]:
    if isinstance(error, KeyboardInterrupt):
        error = Interrupted("interrupted", reason="interrupted")
    return error.to_dict() if isinstance(error, BuildError) else {"message": repr(error)}


def _collect(warnings: list[str]) -> Observer:
    def observer(event: Event) -> None:
        if event.kind == "warning":
            warnings.append(str(event.data.get("message", "")))

    return observer


def _plugin_observers(base: Setup) -> Observers:
    hooks = [(plugin.name, base.plugins.hooks.get(plugin.name, {})) for plugin in base.plugins]
    return tuple((name, _observer(found["k8sbuild_event"])) for name, found in hooks if "k8sbuild_event" in found)


def _observer(hook: Callable[..., object]) -> Observer:
    def observer(event: Event) -> None:
        hook(event=event)

    return observer


def _folders(prepared: Prepared, request: Request, run_id: str) -> Folders:
    state = prepared.setup.project.state
    name = f"{prepared.build.target}-{prepared.build.platform}"
    return Folders(
        work=state / "work" / name,
        cache=cache_folder(request.env),
        gocache=cache_folder(request.env) / "gocache",
        # One for all runs: what a killed one left there, the next removes.
        scratch=state / "tmp" / name,
        logs=state / "logs" / run_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What a run is about, once its graph is known."""

    prepared: Prepared
    graph: Graph
    until: Stage | None
    log: RunLog
    run_id: str

    def perform(self, folders: Folders) -> _Done:
        """Run the graph and put artifacts in their place, alone in the folders of this build."""
        prepared, log = self.prepared, self.log
        base = prepared.setup
        place = folders.work.with_name(folders.work.name + ".lock")
        with (
            lease(prepared.store, self.run_id, on_wait=self.waiting),
            hold(place, f"build {prepared.build.target}", on_wait=self.waiting),
        ):
            shutil.rmtree(folders.scratch, ignore_errors=True)
            if base.flag("check-store"):
                for damage in prepared.store.mend():
                    self.warn(f"store: {damage.what} {damage.name}: {damage.problem}; it is rebuilt")
            done = _mending(lambda: self.reusing(folders), prepared.fetcher.mend, self.warn)
            shutil.rmtree(folders.scratch, ignore_errors=True)
        for key in _first_use(prepared):
            self.warn(f"{key}: no database vouches for its digest; it is trusted from its first use on")
        for artifact in done[2]:
            log.emit("artifact", name=artifact.name, size=artifact.size, sha256=artifact.sha256)
        return done

    def waiting(self, who: str) -> None:
        """Say whom the run waits for."""
        self.warn(f"waiting for {who}")

    def warn(self, message: str) -> None:
        """Put a warning into the run log."""
        self.log.emit("warning", message=message)

    def runner(self, folders: Folders, last: Mapping[str, Past], *, fresh: bool = False) -> Runner:
        """Return what runs steps on this machine."""
        base = self.prepared.setup
        return Runner(
            store=self.prepared.store,
            folders=folders,
            fetcher=self.prepared.fetcher,
            log=self.log,
            pool=Pool(int(base.values["jobs"]) if isinstance(base.values["jobs"], int) else 0),
            last=last,
            fresh=fresh,
        )

    def reusing(self, folders: Folders) -> _Done:
        """Run what the store has not, verify on request, and put artifacts in their place."""
        prepared = self.prepared
        last = last_components(prepared, self.graph, self.run_id)
        planned = make_plan(self.graph, prepared.store, last)
        self.log.emit("plan", steps=[decision.to_dict() for decision in planned])
        runner = self.runner(folders, last)
        # What is reused rests on nothing that runs, and the lease keeps it.
        runner.decisions.update({decision.step: decision for decision in planned if decision.state == "reused"})
        outcomes = runner.run(self.graph)
        verified = self.verify(folders, outcomes) if prepared.setup.flag("verify") and self.until is None else 0
        return outcomes, verified, _export(prepared, outcomes, self.until)

    def verify(self, folders: Folders, first: Mapping[str, Outcome]) -> int:
        """Build everything a second time, compare every output, and return how many there are.

        Nothing of the first time is at hand: other work trees, and a compile cache that is empty at first.
        """
        apart = folders.scratch / "verify"
        folders = replace(folders, work=apart / "work", gocache=apart / "gocache")
        made = {n: node for n, node in self.graph.nodes.items() if node.address.stage != "validate"}
        self.log.emit("verify", steps=len(made))
        try:
            second = self.runner(folders, {}, fresh=True).run(Graph(nodes=made))
        finally:
            shutil.rmtree(apart, ignore_errors=True)
        differ = [n for n, o in second.items() if o.result and (r := first[n].result) and o.result.tree != r.tree]
        if differ:
            raise BuildError(
                f"not reproducible: {', '.join(differ)} gave other bytes the second time",
                reason="not-reproducible",
                hint="k8sbuild explain, and look at what these steps run",
                details={"steps": differ},
            )
        return len(second)

    def report(self, outcomes: Mapping[str, Outcome], artifacts: list[Artifact], **rest: Any) -> Report:
        """Return what the run did."""
        build = self.prepared.build
        return Report(
            target=build.target,
            k8s=build.k8s,
            platform=str(build.platform),
            outcomes=tuple(outcomes[name] for name in self.graph.nodes if name in outcomes),
            artifacts=tuple(artifacts),
            log=str(self.log.path),
            folder=str(self.prepared.setup.artifacts),
            **rest,
        )


def _export(prepared: Prepared, outcomes: Mapping[str, Outcome], until: Stage | None) -> list[Artifact]:
    if until not in (None, "package", "validate"):
        return []
    folder = prepared.setup.artifacts
    plain = prepared.build.platform == host_platform() and prepared.target.default
    document = folder / ("build.json" if plain else f"build-{prepared.build.target}-{prepared.build.platform}.json")
    # SHA256SUMS and the index are shared by all targets and platforms.
    with hold(folder.with_name(f".{folder.name}.guard"), "write artifacts"):
        made = export(prepared.store, prepared.artifacts, outcomes, folder)
        if until == "package":
            # Nothing was proved of these artifacts, and what was proved of others is no word on them.
            document.unlink(missing_ok=True)
        else:
            write_build_json(document, inputs_of(prepared, outcomes), run_of(prepared, outcomes))
    return made


def _first_use(prepared: Prepared) -> list[str]:
    """Return the sources whose digest nobody but the lock knows, those of targets that this one takes from as well."""
    keys = [source_key(n.source) for n in prepared.graph.nodes.values() if n.source]
    entries = {key: prepared.lock.get("sources", key) for key in keys}
    return sorted(key for key, entry in entries.items() if entry and entry["trust"] == "first-use")
