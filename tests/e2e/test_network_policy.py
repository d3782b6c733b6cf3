"""Network policies on a node that the toolkit built: who reaches whom, and when. `nox -s e2e -- network_policy`."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from e2e.machines import DATA, GATEWAY
from e2e.nodes import until
from e2e.pods import apply, pod, service, serving, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from e2e.machines import Lan, Place
    from e2e.nodes import Node

pytestmark = pytest.mark.e2e

#: Everyone, as a policy's selector; and one that selects the pods of tests that are guarded.
ALL: dict[str, Any] = {}
WEB = {"matchLabels": {"app": "web"}}
FRIEND = {"podSelector": {"matchLabels": {"app": "friend"}}}
#: Sends a packet of the protocol TCP that ends within its header.
_CUT = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
    raw.sendto(b"\\x30\\x39\\x1f\\x90", (sys.argv[1], 0))
"""
#: Asks as what runs on the node itself.
_ASK = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)"


def policy(name: str, selector: dict[str, Any], **rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a policy for pods; ``ingress`` and ``egress`` are the rules of the directions that it is about."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": selector, "policyTypes": [way.capitalize() for way in rules], **rules},
    }


def put(node: Node, *objects: dict[str, Any]) -> None:
    """Apply objects, new or not."""
    node.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def in_namespace(name: str, made: dict[str, Any]) -> dict[str, Any]:
    return {**made, "metadata": {**made["metadata"], "namespace": name}}


def two_ports() -> dict[str, Any]:
    """Return the pod ``web``, with two named ports, which is ready when the kubelet reaches it."""
    made = pod("web")
    (first,) = made["spec"]["containers"]
    probe = {"httpGet": {"port": 8080}, "periodSeconds": 1}
    first |= {"ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": probe, "livenessProbe": probe}
    second = {**pod("web")["spec"]["containers"][0], "name": "second", "args": ["serve", ":9090"]}
    second["ports"] = [{"name": "admin", "containerPort": 9090}]
    made["spec"]["containers"].append(second)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Pods on a node: who of them reaches which of some addresses."""

    node: Node
    targets: dict[str, str]
    #: Pods that ask, by name: their namespace.
    askers: dict[str, str]

    def seen(self, asker: str) -> str:
        """Return the names of the targets that a pod reaches, as one text."""
        words = ("-n", self.askers[asker], "exec", asker, "--", "/probe", "reach", *self.targets.values())
        urls = self.node.kubectl(*words).split()
        return " ".join(name for name, url in self.targets.items() if url in urls)

    def becomes(self, **expected: str) -> None:
        """Wait until each pod reaches what it is to reach, and nothing else."""

        def so() -> bool:
            with ThreadPoolExecutor() as pool:
                found.update(zip(expected, pool.map(self.seen, expected), strict=True))
            return found == expected

        found: dict[str, str] = {}
        try:
            until(so, "", 30)
        except AssertionError:
            raise AssertionError(f"reached {found}, not {expected}\n{self.node.log[-2000:]}") from None


def scene(node: Node) -> Scene:
    """Make pods that ask, and one that is asked, on a node that runs."""
    put(node, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other", "labels": {"team": "green"}}})
    until(lambda: bool(node.kubectl("-n", "other", "get", "serviceaccount", "default", "--ignore-not-found")), "other")
    apply(node, pod("friend"), pod("stranger"), two_ports(), service("web"))
    put(node, in_namespace("other", pod("far")))
    node.wait("-n other pod/far")
    web = node.find("{.status.podIP}", "pod", "web")
    cluster = node.find("{.spec.clusterIP}", "service", "web-2")
    targets = {"http": f"http://{web}:8080/", "admin": f"http://{web}:9090/", "service": f"http://{cluster}/"}
    return Scene(node=node, targets=targets, askers={"friend": "default", "stranger": "default", "far": "other"})


ANY = "http admin service"


def test_ingress(node: Callable[..., Node], network: Lan, program: Path) -> None:
    one = node()
    start(one, program)
    # A pod that comes under a policy gets ready: probes reach it.
    put(one, policy("guard", WEB, ingress=[]))
    now = scene(one)
    now.becomes(friend="", stranger="", far="")
    web = one.find("{.status.podIP}", "pod", "web")
    one.machine.run(sys.executable, "-c", _ASK, f"http://{web}:8080/")
    assert one.kubectl("exec", "web", "-c", "probe", "--", "/probe", "reach", now.targets["service"]) != ""

    def rule(peers: Iterable[dict[str, Any]], *ports: object) -> None:
        put(one, policy("guard", WEB, ingress=[{"from": list(peers), "ports": [{"port": port} for port in ports]}]))

    rule([FRIEND])
    now.becomes(friend=ANY, stranger="", far="")
    rule([{"namespaceSelector": {"matchLabels": {"team": "green"}}}])
    now.becomes(friend="", stranger="", far=ANY)
    one.kubectl("label", "namespace", "other", "team-")
    now.becomes(friend="", stranger="", far="")
    rule([FRIEND], 8080)
    now.becomes(friend="http service", stranger="", far="")
    rule([FRIEND], "admin")
    now.becomes(friend="admin", stranger="", far="")
    rule([{"ipBlock": {"cidr": "10.42.0.0/16", "except": [f"{one.find('{.status.podIP}', 'pod', 'stranger')}/32"]}}])
    now.becomes(friend=ANY, stranger="", far=ANY)

    # Who comes from outside, through the node's port, is seen with the own address.
    put(one, service("web", type="NodePort"))
    door = f"http://{one.machine.address}:30080/"
    assert network.outside.run(str(program), "reach", door) == ""
    rule([{"ipBlock": {"cidr": f"{GATEWAY}/32"}}])
    until(lambda: network.outside.run(str(program), "reach", door) != "", "the door is open")

    one.kubectl("delete", "networkpolicy", "guard")
    now.becomes(friend=ANY, stranger=ANY, far=ANY)
    assert one.find("{.status.containerStatuses[*].restartCount}", "pod", "web") == "0 0"
    one.stop()


def test_egress(node: Callable[..., Node], network: Lan, program: Path) -> None:
    one = node()
    start(one, program)
    one.says("Deployment kube-system/coredns")
    one.wait("-n kube-system deployment/coredns", "condition=Available", 90)
    now = scene(one)
    api = f"http://{one.find('{.spec.clusterIP}', 'service', 'kubernetes')}:443/"
    own = {"api": api, "kubelet": f"http://{one.machine.address}:10250/", "outside": f"http://{GATEWAY}:8080/"}
    now = Scene(node=one, targets={**now.targets, **own}, askers=now.askers)
    with serving(network.outside, program, f"{GATEWAY}:8080"):
        now.becomes(friend=f"{ANY} api kubelet outside")
        dns = {
            "to": [{"namespaceSelector": ALL, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
            "ports": [{"port": 53, "protocol": "UDP"}],
        }
        put(one, policy("shut", FRIEND["podSelector"], egress=[dns]))
        now.becomes(friend="", stranger=f"{ANY} api kubelet outside")
        assert "10.43.0.1" in one.kubectl("exec", "friend", "--", "/probe", "look", "kubernetes.default")
        put(one, policy("shut", FRIEND["podSelector"], egress=[dns, {"to": [{"podSelector": WEB}]}]))
        now.becomes(friend=ANY)
        put(one, policy("shut", FRIEND["podSelector"], egress=[{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]))
        now.becomes(friend="api kubelet outside")
        put(one, policy("shut", FRIEND["podSelector"], egress=[]))
        now.becomes(friend="")
    one.stop()


def test_connections_and_servers_come_and_go(node: Callable[..., Node], network: Lan, program: Path) -> None:
    one = node()
    start(one, program)
    apply(one, two_ports())
    web = one.find("{.status.podIP}", "pod", "web")
    keeper = pod("keeper")
    keeper["spec"]["containers"][0]["args"] = ["keep", f"http://{web}:8080/"]
    keeper["spec"]["restartPolicy"] = "Never"
    apply(one, keeper)
    until(lambda: _kept(one) > 0, "a connection")
    outside = network.outside
    outside.run("ip", "route", "add", "10.42.0.0/16", "via", one.machine.address)

    def reaches() -> bool:
        return outside.run(str(program), "reach", f"http://{web}:8080/") != ""

    assert reaches()
    put(one, policy("guard", WEB, ingress=[]))
    until(lambda: not reaches(), "the policy holds")
    before, queued = _kept(one), _queued(one)
    until(lambda: _kept(one) > before + 3, "a connection from before the policy goes on")
    assert _queued(one) == queued, "its packets are let pass by the kernel"
    # Whoever may send to a pod may send what is no whole packet.
    outside.run(sys.executable, "-c", _CUT, web)
    assert not reaches()
    counted = one.kubectl("get", "--raw", "/metrics")
    assert 'kube_network_policies_packet_count{family="IPv4",protocol="TCP",verdict="drop"}' in counted

    one.stop()
    assert reaches(), "while no server runs, pods run on, and all may pass"
    one.start()
    assert not reaches()
    one.kill()
    assert reaches(), "a server that was killed does not shut pods off"
    one.start()
    assert not reaches()
    # What reloads a firewall removes everybody's rules.
    one.machine.run("nft", "delete", "table", "inet", "k8s-network-policy")
    until(lambda: "k8s-network-policy" in one.machine.run("nft", "list", "tables"), "the rules are written again")
    assert not reaches()
    before = _kept(one)
    until(lambda: _kept(one) > before + 3, "and a connection outlives all that")
    one.stop()

    one.start("--disable=network-policy")
    one.wait("pod/web")
    assert reaches()
    assert "k8s-network-policy" not in one.machine.run("nft", "list", "tables")
    one.stop()

    one.start()
    until(lambda: not reaches(), "the policy is there yet")
    one.kill()
    one.machine.run(one.program, "uninstall", "--yes", f"--data-dir={DATA}")
    assert "k8s-network-policy" not in one.machine.run("nft", "list", "tables")


def _kept(node: Node) -> int:
    """Return how often a connection was used."""
    lines = node.kubectl("logs", "keeper").splitlines()
    assert not any(line.startswith("lost") for line in lines)
    return len(lines)


def _queued(node: Node) -> str:
    """Return the number of the last packet that came to the server's queue."""
    return node.machine.run("awk", "$1 == 107 { print $8 }", "/proc/net/netfilter/nfnetlink_queue")


#: The machines' addresses for IPv6.
SIX = {"gateway": "2001:db8::1", "node": "2001:db8::7"}


def test_two_address_families(node: Callable[..., Node], network: Lan, program: Path) -> None:
    ranges = ("--cluster-cidr=10.42.0.0/16,fd00:42::/48", "--service-cidr=10.43.0.0/16,fd00:43::/112")
    one = node(*ranges, f"--node-ip=192.0.2.7,{SIX['node']}")
    places: tuple[tuple[Place, str, str], ...] = ((network.outside, "gateway", "lan0"), (one.machine, "node", "eth0"))
    for place, address, link in places:
        place.run("ip", "addr", "add", f"{SIX[address]}/64", "dev", link, "nodad")
    one.machine.run("ip", "-6", "route", "add", "default", "via", SIX["gateway"])
    start(one, program)
    apply(one, pod("web"), pod("friend"))
    ips = json.loads(one.find("{.status.podIPs}", "pod", "web"))
    four, six = (each["ip"] for each in ips)
    now = Scene(
        node=one, targets={"4": f"http://{four}:8080/", "6": f"http://[{six}]:8080/"}, askers={"friend": "default"}
    )
    now.becomes(friend="4 6")
    put(one, policy("guard", WEB, ingress=[]))
    now.becomes(friend="")
    put(one, policy("guard", WEB, ingress=[{"from": [{"ipBlock": {"cidr": "fd00:42::/48"}}]}]))
    now.becomes(friend="6")
    put(one, policy("guard", WEB, ingress=[{"from": [FRIEND]}]))
    now.becomes(friend="4 6")
    one.stop()
