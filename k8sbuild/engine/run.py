"""Runs a graph: parallel within one pool, each step's key decided when its inputs are there."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import BuildError, Interrupted, PlanError, StoreError
from k8sbuild.store.files import disk_full, is_full
from k8sbuild.store.locks import lock
from k8sbuild.store.recent import Recent
from k8sbuild.store.result import Result

from .code import loaded
from .keys import key_of
from .news import queued
from .plan import Decision, Past, components_of, decide
from .process import Processes, current
from .secrets import mask, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from k8sbuild.fetching import Fetcher
    from k8sbuild.store.store import Store

    from .context import StepContext
    from .events import RunLog
    from .folders import Folders
    from .graph import Graph, Node
    from .pool import Pool

__all__ = ["Outcome", "Runner"]

#: The environment of every external command; nothing of the user's.
BASE_ENV = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/local/bin:/usr/bin:/bin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a step; ``began`` is the process's monotonic clock when it started to run."""

    step: str
    state: str
    why: str = ""
    seconds: float = 0.0
    began: float = 0.0
    result: Result | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        facts = dict(self.result.facts) if self.result else {}
        return {
            "step": self.step, "state": self.state, "why": self.why, "seconds": round(self.seconds, 3), "facts": facts
        }  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Runner:
    """Runs the steps of one build on this machine.

    Args:
        last: what each step was in the last run of this build that came to it.
        fresh: reuse nothing but fetched content.
        decisions: those that a plan has made and that stand, at first; then what became of every step.
    """

    store: Store
    folders: Folders
    fetcher: Fetcher
    log: RunLog
    pool: Pool
    last: Mapping[str, Past]
    fresh: bool = False
    processes: Processes = field(default_factory=Processes)
    decisions: dict[str, Decision] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    #: By step, the secrets that no text may have.
    hidden: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failure: BuildError | None = None
    trees: Recent = field(init=False)

    def __post_init__(self) -> None:
        self.trees = Recent(self.store)

    def run(self, graph: Graph) -> dict[str, Outcome]:
        """Run what must run; returns each step's outcome.

        Raises:
            BuildError: the first step's error; what was running is stopped, what is finished stays finished.
        """
        order: TopologicalSorter[str] = TopologicalSorter(
            {name: {a.step for a in node.inputs} for name, node in graph.nodes.items()}
        )
        order.prepare()
        with ThreadPoolExecutor(max_workers=self.pool.cores + 2, thread_name_prefix="step") as pool:
            try:
                self._loop(graph, order, pool)
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                self.processes.stop()
                # A step that was stopped or not started because another failed is not what went wrong.
                if isinstance(error, Interrupted) and self.failure is not None:
                    raise self.failure from self.failure.__cause__
                raise
        return self.outcomes

    def _loop(self, graph: Graph, order: TopologicalSorter[str], pool: ThreadPoolExecutor) -> None:
        running: dict[Future[None], str] = {}
        with queued() as news:
            while order.is_active():
                # What is settled makes more ready at once: nothing waits for a step that it does not need.
                while ready := sorted(order.get_ready()):
                    for name in ready:
                        if self._settled(graph.nodes[name]):
                            order.done(name)
                        else:
                            future = pool.submit(self._run, graph.nodes[name])
                            running[future] = name
                            future.add_done_callback(news.put)
                if running:
                    future = news.get()
                    future.result()
                    order.done(running.pop(future))

    def _settled(self, node: Node) -> bool:
        """Say whether the step need not run, and remember why."""
        decision = self.decisions.get(node.name) or decide(
            node, self.decisions, self.store, self.last.get(node.name, Past()), fresh=self.fresh
        )
        self.decisions[node.name] = decision
        if decision.state == "runs":
            return False
        self.outcomes[node.name] = Outcome(
            step=node.name, state=decision.state, why=decision.why, result=decision.result
        )
        kind = "step-reused" if decision.state == "reused" else "step-skipped"
        self.log.emit(kind, node.name, why=decision.why, key=decision.key, components=dict(decision.components))
        return True

    def _run(self, node: Node) -> None:
        decision = self.decisions[node.name]
        current.set(self.processes)
        with self.pool.take(node.step.cores, node.step.memory) as cores:
            if self.failure or self.processes.stopped:
                raise Interrupted(f"{node.name} is not started: another step failed", reason="interrupted")
            name = decision.key or node.address.folder
            with lock(self.folders.cache / "locks" / name, node.name, on_wait=lambda who: self._waiting(node, who)):
                if not self._made_meanwhile(node, decision):
                    self._execute(node, decision, cores)

    def _waiting(self, node: Node, who: str) -> None:
        self.log.emit("warning", node.name, message=f"{node.name} waits for {who}")

    def _made_meanwhile(self, node: Node, decision: Decision) -> bool:
        """Another build may have made the same result while this one waited for its lock."""
        result = self.store.get_result(decision.key) if decision.key and node.step.reuse and not self.fresh else None
        if result is None:
            return False
        self._finish(node, result, "reused", "made by another build meanwhile", 0.0)
        return True

    def _execute(self, node: Node, decision: Decision, cores: int) -> None:
        self.log.emit("step-started", node.name, why=decision.why, key=decision.key)
        started = time.monotonic()
        out = self.folders.scratch / node.address.folder
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        try:
            ctx = self._context(node, out, cores)
            found = loaded(node.step.run, node.name, node.components)(ctx)
            if isinstance(found, list):
                ctx.facts["found"] = found
            result = self._keep(node, ctx, time.monotonic() - started)
        except (Exception, SystemExit) as error:
            raise self._ended(node, decision, self._named(node, error)) from error
        finally:
            with suppress(OSError):
                shutil.rmtree(out, ignore_errors=True)
        self._finish(node, result, "ran", decision.why, result.seconds)

    def _ended(self, node: Node, decision: Decision, failure: BuildError) -> BuildError:
        """Record that a step failed, or that it was stopped: because another one failed, or by Ctrl-C."""
        known = {"key": decision.key, "components": dict(decision.components)}
        if self.processes.stopped:
            why = f"{self.failure.step} failed" if self.failure else "interrupted"
            self.log.emit("step-stopped", node.name, why=why, **known)
            return Interrupted(f"{node.name} was stopped: {why}", reason="interrupted")
        # Before the cores are given back, so that no waiting step takes them.
        self.failure = self.failure or failure
        self.log.emit("step-failed", node.name, why=decision.why, error=failure.to_dict(), **known)
        return failure

    def _named(self, node: Node, error: Exception | SystemExit) -> BuildError:
        """Return the error with the step's name and log; what is not ours becomes a named error of the plugin."""
        if isinstance(error, BuildError):
            failure = error
        elif isinstance(error, OSError) and is_full(error):
            where = min((self.folders.scratch, self.folders.cache), key=lambda folder: shutil.disk_usage(folder).free)
            failure = disk_full(f"{node.name}: {error.strerror}: {where}", path=str(where))
        else:
            failure = _raised(node, error)
        log = self.folders.log_of(node.name)
        hidden = self.hidden.get(node.name, ())
        failure.message, failure.hint = mask(failure.message, hidden), mask(failure.hint, hidden)
        failure.details = mask(failure.details, hidden)
        failure.step = failure.step or node.name
        failure.log = failure.log or (str(log) if log.is_file() else "")
        return failure

    def _context(self, node: Node, out: Any, cores: int) -> StepContext:
        # Half of the engine is behind a context; a build that has nothing to do is over before that is loaded.
        from .context import StepContext
        from .inside import Inside

        inputs = {a.step: self.decisions[a.step].result for a in node.inputs}
        secrets = resolve(node.name, node.step.secrets, self.fetcher.env)
        hidden = self.hidden[node.name] = tuple(secrets.values())
        behind = Inside(
            store=self.store,
            trees={name: self.trees.load(r.tree) for name, r in inputs.items() if r},
            declared=node.inputs,
            local_files=node.local,
            folders=self.folders,
            processes=self.processes,
            fetcher=self.fetcher if node.step.needs_network else None,
            source=node.source,
            go_parts=node.go,
            input_facts={name: r.facts for name, r in inputs.items() if r},
            secrets=secrets,
        )
        return StepContext(
            name=node.name,
            params=node.step.params,
            out=out,
            cores=cores,
            env={**BASE_ENV, "HOME": str(self._home()), **node.step.env},
            progress=lambda what, done, total: self.log.emit(
                "progress", node.name, what=mask(what, hidden), done=done, total=total
            ),
            warn=lambda text: self.log.emit("warning", node.name, message=mask(text, hidden)),
            _inside=behind,
        )

    def _home(self) -> Path:
        """Return an empty HOME, outside every output: commands leave traces in it (Go's telemetry counters)."""
        home = self.folders.scratch / "home"
        home.mkdir(parents=True, exist_ok=True)
        return home

    def _keep(self, node: Node, ctx: StepContext, seconds: float) -> Result:
        tree = kept if (kept := ctx._inside.kept) is not None else self.store.take_folder(ctx.out)
        for path in node.step.outputs:
            if not tree.has(path):
                raise PlanError(f"{node.name} did not make its output {path!r}", reason="missing-output")
        inputs = {a.step: r.tree for a in node.inputs if (r := self.decisions[a.step].result)}
        components = components_of(node, inputs, self.store)
        if components is None:
            raise StoreError(f"{node.name} ran, but the lock does not know its content", reason="not-locked")
        result = Result(
            key=key_of(components),
            step=node.name,
            tree=tree.digest,
            components=components,
            seconds=round(seconds, 3),
            made=time.time(),
            facts=mask(ctx.facts, self.hidden[node.name]),
        )
        self.store.put_result(result)
        self.trees.keep(tree)
        return result

    def _finish(self, node: Node, result: Result, state: str, why: str, seconds: float) -> None:
        self.decisions[node.name] = Decision(step=node.name, state="reused", why=why, key=result.key, result=result)
        began = time.monotonic() - seconds
        self.outcomes[node.name] = Outcome(
            step=node.name, state=state, why=why, seconds=seconds, began=began, result=result
        )
        self.log.emit(
            "step-finished" if state == "ran" else "step-reused",
            node.name,
            why=why,
            key=result.key,
            seconds=round(seconds, 3),
            tree=result.tree,
            components=dict(result.components),
            facts=dict(result.facts),
        )


def _raised(node: Node, error: Exception | SystemExit) -> BuildError:
    from k8sbuild.errors import PluginError
    from k8sbuild.plugins.manager import place

    return PluginError(
        f"{node.name}: {node.step.run} raised {type(error).__name__}: {error}",
        reason="step-raised",
        details={"place": place(error)},
        hint=f"see {place(error)}",
    )
