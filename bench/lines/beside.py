"""Our server with Kine in its process against the same server with etcd beside it: start and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.servers import wait_for
from bench.stats import ratio, spread_text
from bench.timing import alternate
from bench.upstream import ETCD

from .boot import SETTLED, boot, cluster_of, single

if TYPE_CHECKING:
    from pathlib import Path

    from bench.separate import Cluster
    from bench.workspace import Workspace

    from .boot import Process, Start


def _on_etcd(cluster: Cluster, data: Path, start: Start) -> list[Process]:
    """Start the server when etcd answers."""
    etcd = start(cluster.etcd_server(data / "etcd"))
    wait_for(f"http://127.0.0.1:{cluster.etcd}/health")
    return [etcd, start(cluster.on_etcd(data))]


def measure(workspace: Workspace) -> Outcome:
    """Boot both by turns."""
    cluster = cluster_of(workspace)
    kine, etcd = alternate(
        workspace.rounds,
        lambda _: boot(workspace, cluster, single, settle=True),
        lambda _: boot(workspace, cluster, _on_etcd, settle=True),
    )
    found = {"Kine": kine, "etcd": etcd}
    api = {name: [each.api for each in boots] for name, boots in found.items()}
    memory = {name: [each.memory.rss for each in boots if each.memory] for name, boots in found.items()}
    start, resident = ratio(api["Kine"], api["etcd"]), ratio(memory["Kine"], memory["etcd"])
    return Outcome(
        measured=f"{start:.2f} start, {resident:.2f} memory",
        met=start < 1 and resident < 1,
        samples={
            **{f"{name}: API ready, s": values for name, values in api.items()},
            **{f"{name}: RSS, MiB": values for name, values in memory.items()},
        },
        facts={f"{name}, API ready": spread_text(values) for name, values in api.items()},
    )


LINE = Line(
    name="kine-beside-etcd",
    what="start of the API server and memory, Kine in the process vs etcd beside it",
    target="ratio < 1 of both",
    how=f"Our server on an empty data directory, by turns with the same server in the mode `ha` and etcd {ETCD} on an "
    f"empty directory, started first. The time is from the first process's start until `/readyz` is 200, the memory "
    f"that of all processes {SETTLED:.0f} s after everything was healthy.",
    measure=measure,
)
