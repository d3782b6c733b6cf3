"""Our one process against upstream's separate processes and etcd: time until healthy, memory when settled."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from k8sbuild_single_binary_checks.servers import free_ports

from bench.line import Line, Outcome
from bench.separate import Cluster, admin_of
from bench.servers import Memory, memory_of, running, wait_for
from bench.stats import ratio, spread_text
from bench.timing import alternate, cpu_seconds
from bench.upstream import ETCD, K8S, build_programs

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from bench.workspace import Workspace

    Process = subprocess.Popen[bytes]
    Start = Callable[[list[str]], Process]
    Starter = Callable[[Cluster, Path, Start], list[Process]]

_TIME_TARGET, _MEMORY_TARGET = 0.6, 0.5
#: Seconds after which a server that nobody uses has done what its start leaves to do.
SETTLED = 30.0
_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """A boot on an empty data directory.

    Args:
        api: seconds until /readyz of the API server is 200.
        healthy: seconds until /healthz of the other two is 200 as well.
        working: seconds until the controllers have made the first service account.
        cpu: processor seconds of all processes until then.
        memory: of all processes when they have settled; None where it was not waited for.
    """

    api: float
    healthy: float
    working: float
    cpu: float
    memory: Memory | None = None


@cache
def boots(workspace: Workspace) -> list[list[Boot]]:
    """Boot ours and upstream's, by turns."""
    cluster = cluster_of(workspace)
    rounds = max(workspace.rounds, _ROUNDS)
    return alternate(
        rounds,
        lambda _: boot(workspace, cluster, single, settle=True),
        lambda _: boot(workspace, cluster, _in_order, files=cluster.files, settle=True),
    )


@cache
def cluster_of(workspace: Workspace) -> Cluster:
    """Build both sides' programs, and let ours make certificates and kubeconfigs once."""
    project = workspace.project("boot")
    workspace.invoke(project, "build", "--skip-validate")
    programs = _alike(workspace, build_programs(workspace), project / "dist" / "artifacts" / "k8s")
    api, manager, scheduler, etcd, peer = free_ports(5)
    files = workspace.fresh("boot-files")
    cluster = Cluster(
        ours=programs / "k8s", programs=programs, files=files,
        api=api, manager=manager, scheduler=scheduler, etcd=etcd, peer=peer,
    )  # fmt: skip
    boot(workspace, cluster, lambda own, _, start: [start(own.single(files))], files=files, settle=False)
    return cluster


def _alike(workspace: Workspace, programs: Path, ours: Path) -> Path:
    """Copy the programs of both sides by one means.

    Linux maps as much of a program at once as was written to its file at once: the same one takes 40 or 95 MiB.
    """
    folder = workspace.fresh("boot-programs")
    for program in (*programs.iterdir(), ours):
        shutil.copy(program, folder / program.name)
    return folder


def boot(workspace: Workspace, cluster: Cluster, starter: Starter, *, files: Path | None = None, settle: bool) -> Boot:
    """Boot once on an empty data directory; ``files`` is where the certificates are, by default there as well."""
    data = workspace.fresh("boot-data")
    admin = admin_of(files or data)
    with ExitStack() as stack:
        began = time.monotonic()

        def start(argv: list[str]) -> Process:
            return stack.enter_context(running(argv, workspace.log(argv[0].rpartition("/")[2])))

        processes = starter(cluster, data, start)
        wait_for(cluster.url("/readyz"), admin)
        api = time.monotonic() - began
        for port in (cluster.manager, cluster.scheduler):
            wait_for(f"https://127.0.0.1:{port}/healthz")
        healthy = time.monotonic() - began
        wait_for(cluster.url("/api/v1/namespaces/default/serviceaccounts/default"), admin)
        working, cpu = time.monotonic() - began, sum(cpu_seconds(process.pid) for process in processes)
        time.sleep(SETTLED if settle else 0)
        memory = memory_of(processes) if settle else None
    shutil.rmtree(data)
    return Boot(api=api, healthy=healthy, working=working, cpu=cpu, memory=memory)


def single(cluster: Cluster, data: Path, start: Start) -> list[Process]:
    return [start(cluster.single(data))]


def _in_order(cluster: Cluster, data: Path, start: Start) -> list[Process]:
    """Start each when the one that it needs is ready."""
    processes = [start(cluster.etcd_server(data))]
    wait_for(f"http://127.0.0.1:{cluster.etcd}/health")
    processes.append(start(cluster.apiserver()))
    wait_for(cluster.url("/readyz"), admin_of(cluster.files))
    return [*processes, start(cluster.controller_manager()), start(cluster.kube_scheduler())]


def measure_time(workspace: Workspace) -> Outcome:
    """Hold our time until everything is healthy against upstream's."""
    ours, theirs = boots(workspace)
    value = ratio([each.healthy for each in ours], [each.healthy for each in theirs])
    sides = {"ours": ours, "upstream": theirs}
    return Outcome(
        measured=f"{value:.2f}",
        met=value <= _TIME_TARGET,
        samples={
            f"{side}: {kind}, s": [getattr(each, kind) for each in found]
            for side, found in sides.items()
            for kind in ("api", "healthy", "working", "cpu")
        },
        facts={side: spread_text([each.healthy for each in found]) for side, found in sides.items()},
    )


def measure_memory(workspace: Workspace) -> Outcome:
    """Hold our memory against upstream's four processes."""
    ours, theirs = ([each.memory for each in side if each.memory] for side in boots(workspace))
    rss = ratio([each.rss for each in ours], [each.rss for each in theirs])
    pss = ratio([each.pss for each in ours], [each.pss for each in theirs])
    return Outcome(
        measured=f"{rss:.2f} RSS, {pss:.2f} PSS",
        met=rss <= _MEMORY_TARGET,
        samples={
            "ours: RSS, MiB": [each.rss for each in ours],
            "ours: PSS, MiB": [each.pss for each in ours],
            "upstream: RSS, MiB": [each.rss for each in theirs],
            "upstream: PSS, MiB": [each.pss for each in theirs],
        },
        facts={"ours, RSS": spread_text([e.rss for e in ours]), "upstream, RSS": spread_text([e.rss for e in theirs])},
    )


_HOW = (
    f"Upstream's kube-apiserver, kube-controller-manager and kube-scheduler, built from the {K8S} tree without any "
    f"patch, and etcd {ETCD} built from its module, with the same toolchain, static and stripped as ours. They get "
    "the certificates, keys and kubeconfigs that our server made in another run, and the same settings; "
    "controller-manager and scheduler make their own serving certificates, as in clusters that kubeadm makes. etcd "
    "syncs every write. "
)
LINES = (
    Line(
        name="boot",
        what="all healthy on an empty data directory vs upstream's separate processes and etcd",
        target=f"ratio ≤ {_TIME_TARGET}",
        how=_HOW + "The time is from the first process's start until `/readyz` of the API server and `/healthz` of "
        "the other two are 200. Upstream's are started in order, each when the one that it needs is ready: "
        "controller-manager and scheduler end where they find no API server. `working` is when the controllers have "
        "made the service account of the namespace `default`.",
        measure=measure_time,
    ),
    Line(
        name="boot-memory",
        what="resident memory, settled, vs upstream's separate processes and etcd",
        target=f"ratio ≤ {_MEMORY_TARGET}",
        how=f"The same boots, {SETTLED:.0f} s after everything was healthy: the resident memory of all processes (Rss "
        "of smaps_rollup), and Pss, where pages that several processes share count once. The programs of both sides "
        "are copied by one means before: Linux maps as much of a file at once as was written to it at once.",
        measure=measure_memory,
    ),
)
