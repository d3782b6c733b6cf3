"""What an administrator does to a machine with a node: install, stop, kill, drain, loss of power, uninstall."""

from __future__ import annotations

import signal
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from e2e.command import k8sbuild
from e2e.machines import DATA, GATEWAY, PROGRAMS
from e2e.nodes import Node, until
from e2e.traces import traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from e2e.machines import Lan, Place

pytestmark = pytest.mark.e2e

#: Asks without any credential and prints the answer's status.
_ANONYMOUS = """
import ssl, sys, urllib.error, urllib.request
context = ssl._create_unverified_context()
try:
    print(urllib.request.urlopen(sys.argv[1], context=context, timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
INSTALLED = "/usr/local/bin/k8s"


@pytest.fixture
def installed(network: Lan, programs: Path, node: Callable[..., Node]) -> Node:
    """Return a node whose program is installed on its machine."""
    one = node()
    one.program = INSTALLED
    one.machine.run(f"{PROGRAMS}/k8s", "install")
    return one


def test_uninstall_leaves_no_trace(network: Lan, programs: Path, node: Callable[..., Node]) -> None:
    one = node()
    before = traces(one.machine)
    said = one.machine.run(f"{PROGRAMS}/k8s", "install")
    assert {"installed", INSTALLED} <= set(said.split())
    assert "installed" not in one.machine.run(f"{PROGRAMS}/k8s", "install")
    one.program = INSTALLED
    one.start()
    one.pod("web")
    assert one.machine.run("kubectl", "get", "node", "-o=name").strip() == "node/node-1"
    running = traces(one.machine).beyond(before)
    assert {"files", "mounts", "interfaces", "rules", "cgroups", "processes"} <= set(running)

    refused = subprocess.run(one.machine.argv(INSTALLED, "uninstall"), stdin=subprocess.DEVNULL, capture_output=True)
    assert refused.returncode == 1
    assert b"nothing was removed" in refused.stderr
    one.machine.run(INSTALLED, "uninstall", "--yes")
    assert one.process
    assert one.process.wait(10) == 0

    assert traces(one.machine).beyond(before) == {}


def test_uninstall_after_the_server_was_killed(installed: Node) -> None:
    installed.start()
    installed.pod("web")
    installed.kill()
    installed.machine.run(INSTALLED, "uninstall", "--yes", "--keep-data")
    left = installed.machine.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")
    assert "containerd" not in left
    assert "pause" not in left
    assert (installed.machine.data / "db").is_dir()
    assert installed.machine.run("ls", "/etc/default/k8s").strip() == "/etc/default/k8s"


def test_pods_run_on_while_the_server_stops_is_killed_and_begins_anew(installed: Node) -> None:
    installed.start()
    container = installed.pod("web")
    assert installed.stop() <= 15
    assert _runs(installed, container)
    installed.start()
    assert installed.container("web") == container
    installed.kill()
    assert _runs(installed, container)
    installed.start()
    assert installed.container("web") == container
    assert installed.find("{.status.containerStatuses[0].restartCount}", "pod", "web") == "0"


def test_after_a_loss_of_power_the_pod_comes_again(installed: Node, network: Lan, programs: Path) -> None:
    installed.start()
    container = installed.pod("web")
    again = Node(machine=network.machine("node-1", "192.0.2.7", programs))
    again.start()
    until(lambda: again.container("web") not in {"", container}, "a new container")
    again.wait("pod/web")
    assert again.stop() <= 15


def test_drain_ends_the_pods_and_the_next_start_takes_new_ones(installed: Node) -> None:
    installed.start("--drain-on-stop=20s")
    container = installed.pod("web", terminationGracePeriodSeconds=2)
    installed.signal(signal.SIGTERM)
    assert installed.process
    assert installed.process.wait(40) == 0, installed.log[-3000:]
    assert "The node's pods have ended" in installed.log
    assert not _runs(installed, container)
    installed.start()
    until(lambda: installed.find("{.spec.unschedulable}", "node", "node-1") == "", "a node that has pods again")
    installed.pod("again")


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build etcd and return its program."""
    folder = tmp_path_factory.mktemp("etcd")
    k8sbuild("build", "--target=etcd", f"--out={folder}")
    return folder / "artifacts" / "etcd"


@contextmanager
def _etcd(place: Place, program: Path, data: Path) -> Iterator[str]:
    """Run an etcd for the time of a block."""
    url, peers = f"http://{GATEWAY}:2379", f"http://{GATEWAY}:2380"
    clients = (f"--listen-client-urls={url}", f"--advertise-client-urls={url}")
    members = (f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}")
    words = (*clients, *members, f"--initial-cluster=default={peers}", "--log-level=error")
    with subprocess.Popen(place.argv(str(program), f"--data-dir={data}", *words)) as running:
        try:
            yield url
        finally:
            running.kill()


def test_a_pod_runs_on_while_the_state_moves_to_etcd(
    node: Callable[..., Node], network: Lan, etcd: Path, tmp_path: Path
) -> None:
    one = node()
    one.start()
    container = one.pod("web")
    one.stop()
    with _etcd(network.outside, etcd, tmp_path / "state") as url:
        said = one.machine.run(one.program, "migrate", f"--data-dir={DATA}", f"--etcd-servers={url}")
        assert "each compared" in said
        one.start("--server-mode=ha", f"--etcd-servers={url}")
        assert one.container("web") == container
        assert one.find("{.status.containerStatuses[0].restartCount}", "pod", "web") == "0"
        one.pod("again")
        assert one.stop() <= 15


def test_ports_are_those_that_the_documentation_has(installed: Node, documented_ports: set[str]) -> None:
    installed.start()
    until(lambda: "All components are ready" in installed.log, "all components are ready")
    lines = installed.machine.run("ss", "-Hltnp").splitlines()
    found = {fields[3] for fields in (line.split() for line in lines) if '"k8s"' in fields[-1]}
    open_to_all = {at for at in found if not at.startswith(("127.0.0.1:", "[::1]:"))}
    assert {at.rpartition(":")[2] for at in found} == documented_ports
    ports = [at.rpartition(":")[2] for at in open_to_all]
    assert sorted(ports) == ["10250", "6443"]
    for port in ports:
        answer = installed.machine.run(sys.executable, "-c", _ANONYMOUS, f"https://192.0.2.7:{port}/healthz")
        assert answer.strip() == "401", port


def test_check_and_inspect_of_a_node_that_runs(installed: Node) -> None:
    installed.start()
    installed.kubectl("create", "secret", "generic", "planted", "--from-literal=word=open-sesame-4711")
    installed.kubectl("create", "configmap", "leak", "--from-literal=word=open-sesame-4711")
    checked = subprocess.run(installed.machine.argv(INSTALLED, "check"), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert "a server runs (pid " in checked.stdout
    installed.machine.run(INSTALLED, "inspect", "--output=/tmp/a.tar.gz")
    packed = subprocess.run(installed.machine.argv("cat", "/tmp/a.tar.gz"), capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as tar:
        texts = {name.partition("/")[2]: tar.extractfile(name).read().decode() for name in tar.getnames()}  # type: ignore[union-attr]
    assert "Ready=True" in texts["nodes.txt"]
    assert texts["health/kubelet-10250.txt"].endswith("ok\n")
    everything = "".join(texts.values())
    assert "open-sesame-4711" not in everything
    keys = list((installed.machine.data / "tls").glob("*.key"))
    assert keys
    for path in keys:
        assert path.read_text(encoding="ascii").splitlines()[1] not in everything


def test_another_server_is_refused_with_the_words_of_check(installed: Node) -> None:
    installed.start()
    words = (INSTALLED, "--data-dir=/var/other", "--node-name=x")
    done = subprocess.run(installed.machine.argv(*words), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "ports: port 6443 of kube-apiserver is in use" in done.stderr
    checked = installed.machine.run(INSTALLED, "check", "--data-dir=/var/other", check=False)
    assert "port 6443 of kube-apiserver is in use" in checked


def _runs(node: Node, container: str) -> bool:
    """Say whether a container's shim has it still."""
    bundle = f"{DATA}/containerd/state/io.containerd.runtime.v2.task/k8s.io/{container}"
    pid = node.machine.run("cat", f"{bundle}/init.pid", check=False).strip()
    return bool(pid) and node.machine.run("readlink", f"/proc/{pid}/exe", check=False) != ""
