"""A node: how soon it works, what it takes when idle, how fast pods come, what is to be downloaded."""

from __future__ import annotations

import json
import time
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.nodes import DATA, PAUSE, Node, archives, fresh_node, phases, programs, until
from bench.stats import median, spread_text
from bench.timing import cpu_seconds

if TYPE_CHECKING:
    from bench.workspace import Workspace

_START, _POD, _MEMORY, _CPU, _PODS, _DOWNLOAD = 8.0, 2.0, 350.0, 4.0, 60.0, 75.0
#: Seconds after which a node that nobody uses has done what its start leaves to do, and that its idling is looked at.
_SETTLED, _IDLE = 60.0, 300.0
_MAX_PODS = 110
_built = cache(programs)


def start(workspace: Workspace) -> Outcome:
    """Start on an empty data directory until the node is ready and a pod's log can be read."""
    ready, logs, said = [], [], {}
    for _ in range(workspace.rounds):
        with fresh_node(workspace, _built(workspace)) as node:
            began = time.monotonic()
            node.start()
            ready.append(node.ready_seconds)
            _run(node, "first")
            until(partial(_can_read_log, node, "first"), "the log of a pod", 120)
            logs.append(time.monotonic() - began)
            said = phases(node.log)
    return Outcome(
        measured=f"{median(logs):.1f} s",
        met=median(logs) <= _START,
        samples={"node ready, s": ready, "log read, s": logs},
        facts={"node ready": spread_text(ready), "log read": spread_text(logs), "phases of the last round, s": said},
    )


def _can_read_log(node: Node, name: str) -> bool:
    try:
        node.kubectl("logs", name)
    except AssertionError:
        return False
    return True


def _run(node: Node, name: str) -> None:
    """Apply a pod as soon as its service account is there."""
    until(lambda: bool(node.kubectl("get", "serviceaccount", "default", "--ignore-not-found")), "a service account")
    node.kubectl("apply", "-f", "-", text=json.dumps(_pod(name)))


def _pod(name: str) -> dict[str, object]:
    container = {"name": "pause", "image": PAUSE, "imagePullPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


def pod(workspace: Workspace) -> Outcome:
    """Apply a pod to a node that has had one, until it runs."""
    took = []
    with fresh_node(workspace, _built(workspace)) as node:
        node.start()
        node.pod("before")
        for number in range(workspace.rounds):
            began = time.monotonic()
            node.kubectl("apply", "-f", "-", text=json.dumps(_pod(f"pod-{number}")))
            node.wait(f"pod/pod-{number}", "jsonpath={.status.phase}=Running")
            took.append(time.monotonic() - began)
    return Outcome(measured=f"{median(took):.2f} s", met=median(took) <= _POD, samples={"running, s": took})


@cache
def _idle(workspace: Workspace) -> tuple[float, float, dict[str, float]]:
    """Return MiB of the server, percent of a core, and MiB of the runtime's programs."""
    with fresh_node(workspace, _built(workspace)) as node:
        node.start()
        time.sleep(_SETTLED)
        used, began = cpu_seconds(node.pid), time.monotonic()
        time.sleep(_IDLE)
        percent = 100 * (cpu_seconds(node.pid) - used) / (time.monotonic() - began)
        runtime = node.machine.run(
            "sh", "-c", "for p in /proc/[0-9]*; do echo $(sed -n 's/^VmRSS:[^0-9]*//p; s/^Name:.//p' $p/status); done"
        )
        resident = _resident(node)
    rows = [line.split() for line in runtime.splitlines() if line.startswith("containerd")]
    sums: dict[str, float] = {}
    for name, kib, *_ in rows:
        sums[name] = sums.get(name, 0.0) + float(kib) / 1024
    return resident, percent, sums


def _resident(node: Node) -> float:
    text = Path(f"/proc/{node.pid}/smaps_rollup").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Rss:"))


def memory(workspace: Workspace) -> Outcome:
    """Look at what a node takes that nobody uses."""
    resident, _, runtime = _idle(workspace)
    return Outcome(
        measured=f"{resident:.0f} MiB",
        met=resident <= _MEMORY,
        samples={"resident, MiB": [resident]},
        facts={"runtime, MiB": {name: round(size) for name, size in runtime.items()}},
    )


def cpu(workspace: Workspace) -> Outcome:
    """Look at how much a node computes that nobody uses."""
    _, percent, _ = _idle(workspace)
    return Outcome(measured=f"{percent:.1f} %", met=percent <= _CPU, samples={"of a core, %": [percent]})


def pods(workspace: Workspace) -> Outcome:
    """Fill a node with pods, empty it and fill it again."""
    took: dict[str, list[float]] = {"ready, s": [], "gone, s": []}
    leases = []
    with fresh_node(workspace, _built(workspace)) as node:
        node.start()
        node.pod("before")
        node.kubectl("delete", "pod", "before", "--grace-period=1")
        others = len(node.kubectl("get", "pods", "-A", "-o=name").split())
        at_first = _leases(node)
        node.kubectl("create", "deployment", "many", f"--image={PAUSE}", "--replicas=0")
        for _ in range(2):
            began = time.monotonic()
            node.kubectl("scale", "deployment/many", f"--replicas={_MAX_PODS - others}")
            node.wait("deployment/many", f"jsonpath={{.status.readyReplicas}}={_MAX_PODS - others}", seconds=600)
            took["ready, s"].append(time.monotonic() - began)
            began = time.monotonic()
            node.kubectl("scale", "deployment/many", "--replicas=0")
            node.wait("pod -l app=many", "delete", seconds=600)
            took["gone, s"].append(time.monotonic() - began)
            leases.append(_leases(node) - at_first)
    first, second = took["ready, s"]
    return Outcome(
        measured=f"{first:.0f} s, then {second:.0f} s; {max(leases)} addresses leaked",
        met=max(first, second) <= _PODS and max(leases) <= 0,
        samples=took,
        facts={"pods of others": others},
    )


def _leases(node: Node) -> int:
    """Count the addresses that the CNI plugin host-local has given away."""
    folders = f"/var/lib/cni {DATA}/cni"
    return len(node.machine.run("sh", "-c", f"find {folders} -name '10.42.*' 2>/dev/null || true").split())


def download(workspace: Workspace) -> Outcome:
    """Add up the archives of a node."""
    _built(workspace)
    sizes = {path.name: path.stat().st_size / 1e6 for path in archives(workspace)}
    total = sum(sizes.values())
    return Outcome(
        measured=f"{total:.1f} MB",
        met=total <= _DOWNLOAD,
        samples={f"{name}, MB": [size] for name, size in sizes.items()},
    )


_WHERE = "The node is installed from its archive on a machine of namespaces, with this kernel and processors. "
LINES = (
    Line(
        name="node-start",
        what="process start → node Ready and `kubectl logs` works, first start, images imported",
        target=f"≤ {_START:.0f} s",
        how=_WHERE + "The time is from the start of the process on an empty data directory until the log of a pod, "
        "applied once the node is ready, can be read by the binary's own kubectl.",
        measure=start,
    ),
    Line(
        name="node-pod",
        what="pod Running after `kubectl apply`, image present",
        target=f"≤ {_POD:.0f} s",
        how=_WHERE + "From the start of `kubectl apply` until `kubectl wait` has seen the phase Running.",
        measure=pod,
    ),
    Line(
        name="node-memory",
        what="resident memory of the server, idle, with kubelet and kube-proxy (runtime apart)",
        target=f"≤ {_MEMORY:.0f} MiB",
        how=_WHERE + f"Rss of smaps_rollup {_SETTLED + _IDLE:.0f} s after the node was ready, with nothing to do.",
        measure=memory,
    ),
    Line(
        name="node-cpu",
        what="idle CPU of the server over five minutes",
        target=f"≤ {_CPU:.0f} % of one core",
        how=_WHERE
        + f"Processor time of the process over {_IDLE:.0f} s, from {_SETTLED:.0f} s after the node was ready.",
        measure=cpu,
    ),
    Line(
        name="node-pods",
        what=f"{_MAX_PODS} pods in all, Ready; a second round after deletion",
        target=f"≤ {_PODS:.0f} s each, no address leaked",
        how=_WHERE + "One deployment is scaled up until the node is full, down to none, and up again.",
        measure=pods,
    ),
    Line(
        name="node-download",
        what="download of a node: program, runtime and images, compressed",
        target=f"≤ {_DOWNLOAD:.0f} MB",
        how="The sizes of the archive and of the archive of images.",
        measure=download,
    ),
)
