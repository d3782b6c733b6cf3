"""The pods' network of a node that the toolkit built: who reaches whom, and under which address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from e2e.machines import DATA, GATEWAY, PROGRAMS
from e2e.nodes import until
from e2e.pods import apply, asked, pod, service, serving, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from e2e.machines import Lan, Machine, Place
    from e2e.nodes import Node

pytestmark = pytest.mark.e2e

#: The second node's address, and the ones of the machines for IPv6.
NEIGHBOUR = "192.0.2.8"
SIX = {"gateway": "2001:db8::1", "node": "2001:db8::7", "neighbour": "2001:db8::8"}


def neighbour(node: Node, network: Lan, *addresses: str) -> tuple[Place, list[str]]:
    """Add a node that is a network namespace; return it and its ranges of pods."""
    made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-2"}}
    node.kubectl("create", "-f", "-", text=json.dumps(made))
    known = {"status": {"addresses": [{"type": "InternalIP", "address": ip} for ip in (NEIGHBOUR, *addresses)]}}
    node.kubectl("patch", "node", "node-2", "--subresource=status", f"--patch={json.dumps(known)}")
    until(lambda: node.find("{.spec.podCIDRs}", "node", "node-2") != "", "node-2 has its pods' addresses")
    ranges = json.loads(node.find("{.spec.podCIDRs}", "node", "node-2"))
    return network.host(NEIGHBOUR), ranges


def test_who_is_seen_where(node: Callable[..., Node], network: Lan, program: Path) -> None:
    one = node()
    # What machines may be like: strict about sources, and forwarding for nobody.
    one.machine.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.ip_forward=0")
    one.machine.run("iptables", "-P", "FORWARD", "DROP")
    start(one, program)
    apply(one, pod("a"), pod("b", hostPort=8081), service("b"), service("b", type="NodePort"), service("a"))
    a, b = (one.find("{.status.podIP}", "pod", name) for name in "ab")

    assert asked(one, "a", f"http://{b}:8080/") == a
    cluster_ip = one.find("{.spec.clusterIP}", "service", "b-2")
    until(lambda: asked(one, "a", f"http://{cluster_ip}/", check=False) == a, "the Service answers")
    own = one.find("{.spec.clusterIP}", "service", "a-2")
    until(lambda: asked(one, "a", f"http://{own}/", check=False) != "", "a pod's own Service answers")
    with serving(network.outside, program, f"{GATEWAY}:8080"):
        assert asked(one, "a", f"http://{GATEWAY}:8080/") == one.machine.address
    for port in (30080, 8081):
        assert network.outside.run(str(program), "ask", f"http://{one.machine.address}:{port}/", "") != ""

    other, (pods,) = neighbour(one, network)
    far = pods.replace("0/24", "5")
    other.run("ip", "addr", "add", f"{far}/32", "dev", "lo")
    other.run("ip", "route", "add", one.find("{.spec.podCIDR}", "node", "node-1"), "via", one.machine.address)
    until(lambda: pods in _routes(one.machine), "a route to node-2")
    with serving(other, program, f"{far}:8080"):
        assert asked(one, "a", f"http://{far}:8080/") == a
    assert other.run(str(program), "ask", f"http://{b}:8080/", far) == far
    one.kubectl("delete", "node", "node-2")
    until(lambda: pods not in _routes(one.machine), "no route to node-2")


def _routes(machine: Machine) -> str:
    return machine.run("ip", "route", "show", "proto", "107")


def test_two_address_families(node: Callable[..., Node], network: Lan, program: Path) -> None:
    ranges = ("--cluster-cidr=10.42.0.0/16,fd00:42::/48", "--service-cidr=10.43.0.0/16,fd00:43::/112")
    one = node(*ranges, f"--node-ip=192.0.2.7,{SIX['node']}")
    for place, address, link in ((network.outside, "gateway", "lan0"), (one.machine, "node", "eth0")):
        place.run("ip", "addr", "add", f"{SIX[address]}/64", "dev", link, "nodad")
    one.machine.run("ip", "-6", "route", "add", "default", "via", SIX["gateway"])
    start(one, program)
    apply(one, pod("a"), pod("b"))

    ips = [json.loads(one.find("{.status.podIPs}", "pod", name)) for name in "ab"]
    (_, a), (_, b) = ([each["ip"] for each in found] for found in ips)
    assert asked(one, "a", f"http://[{b}]:8080/") == a
    with serving(network.outside, program, f"[{SIX['gateway']}]:8080"):
        assert asked(one, "a", f"http://[{SIX['gateway']}]:8080/") == SIX["node"]
    other, (_, pods) = neighbour(one, network, SIX["neighbour"])
    far = pods.replace("/64", "5")
    own = json.loads(one.find("{.spec.podCIDRs}", "node", "node-1"))[1]
    other.run("ip", "addr", "add", f"{SIX['neighbour']}/64", "dev", "eth0", "nodad")
    other.run("ip", "addr", "add", f"{far}/128", "dev", "lo", "nodad")
    other.run("ip", "-6", "route", "add", own, "via", SIX["node"])
    until(lambda: pods in one.machine.run("ip", "-6", "route", "show", "proto", "107"), "a route to node-2")
    with serving(other, program, f"[{far}]:8080"):
        assert asked(one, "a", f"http://[{far}]:8080/") == a


def test_nothing_is_left(node: Callable[..., Node], network: Lan, program: Path) -> None:
    one = node()
    if " uninstall " not in one.machine.run(f"{PROGRAMS}/k8s", "--help"):
        pytest.skip("this k8s has no uninstall: what it leaves on a whole machine is NOT looked at")
    one.machine.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    before = _machine(one.machine)
    start(one, program)
    apply(one, pod("a", hostPort=8081))
    neighbour(one, network)
    until(lambda: _routes(one.machine) != "", "a route to node-2")
    one.stop()

    one.machine.run(f"{PROGRAMS}/k8s", "uninstall", "--yes", f"--data-dir={DATA}")

    assert _machine(one.machine) == before


def _machine(machine: Machine) -> dict[str, str]:
    """Return what a network can change on a machine."""
    asked = {
        "links": "ip -o link | sed 's/ state.*//'",
        "routes": "ip route; ip -6 route",
        # An empty table is there once somebody has looked at it.
        "rules": "for program in iptables ip6tables; do $program-save | grep -e '^-A' -e '^:.* - '; done; true",
        "settings": "cd /proc/sys/net && grep -rs '' ipv4 ipv6/conf bridge netfilter/*_tcp_* | grep -v secret",
        "cni": "ls /var/lib/cni/results 2>/dev/null || true",
    }
    return {what: machine.run("sh", "-c", command) for what, command in asked.items()}


def test_no_network_is_the_users_own(node: Callable[..., Node]) -> None:
    one = node("--network=none")
    one.launch()
    one.says('"All components are ready"')
    assert one.machine.run("ip", "link", "show", "k8s0", check=False) == ""
    assert "K8S-" not in one.machine.run("iptables-save")
    one.machine.run("sh", "-ec", _OWN)
    one.says('"Node is ready"')


#: A network of the user's.
_OWN = """mkdir -p /etc/cni/net.d && cat >/etc/cni/net.d/10-own.conflist <<'END'
{"cniVersion": "1.0.0", "name": "own", "plugins": [{"type": "ptp", "ipam": {"type": "static"}}]}
END"""
