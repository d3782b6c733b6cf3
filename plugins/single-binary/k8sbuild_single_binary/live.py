"""The live check: boots the shipped binary, fills it, kills it, boots it again, stops it in order."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.context import StepContext

__all__ = ["Server", "boot"]

READY = 90.0
STOP = 15.0

OBJECTS = """
apiVersion: v1
kind: Namespace
metadata: {name: proof}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: proof}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: example.invalid/web:1}]}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: proofs.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: proofs, singular: proof, kind: Proof}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
CUSTOM = """
apiVersion: example.org/v1
kind: Proof
metadata: {name: one, namespace: proof}
spec: {value: 42}
"""


@dataclass(slots=True, kw_only=True)
class Server:
    """One boot of the binary: its process, data directory and admin kubeconfig."""

    binary: Path
    data: Path
    process: subprocess.Popen[bytes]
    ready_seconds: float = 0.0

    def kubectl(self, *args: str, text: str = "") -> str:
        """Run the binary's own kubectl and return its output.

        Raises:
            ValidateError: ``kubectl-failed``.
        """
        done = subprocess.run(
            [str(self.binary), "kubectl", "--kubeconfig", str(self.data / "admin.kubeconfig"), *args],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            env={"HOME": str(self.data), "PATH": "/usr/bin:/bin"},
        )
        if done.returncode:
            raise ValidateError(f"kubectl {' '.join(args)}: {done.stderr.strip()[-400:]}", reason="kubectl-failed")
        return done.stdout

    def rss(self) -> int:
        """Return the resident memory in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) >> 10
        return 0

    def stop(self) -> float:
        """Send SIGTERM and return how long the orderly stop took.

        Raises:
            ValidateError: ``stop-failed``.
        """
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            raise ValidateError(f"still running {STOP:.0f} s after SIGTERM", reason="stop-failed") from None
        if code != 0:
            raise ValidateError(f"exit code {code} after SIGTERM", reason="stop-failed")
        return time.monotonic() - started


def boot(ctx: StepContext) -> None:
    """Boot in single mode, create objects, ``kill -9``, boot again, find them, stop with exit code 0."""
    binary = ctx.path(ctx.params["binary"])
    with tempfile.TemporaryDirectory(prefix="k8s-live-") as folder:
        data = Path(folder) / "data"
        with start(ctx, binary, data) as server:
            ctx.facts["ready_seconds"] = round(server.ready_seconds, 2)
            fill(server)
            ctx.facts["rss_mib"] = server.rss()
            server.process.kill()
            server.process.wait()
        with start(ctx, binary, data) as server:
            ctx.facts["ready_again_seconds"] = round(server.ready_seconds, 2)
            check(server, ctx.params["k8s"])
            ctx.facts["stop_seconds"] = round(server.stop(), 2)


def fill(server: Server) -> None:
    """Create a namespace, a deployment whose pods the controllers make, a CRD and a custom resource."""
    server.kubectl("apply", "-f", "-", text=OBJECTS)
    server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/proofs.example.org")
    server.kubectl("apply", "-f", "-", text=CUSTOM)
    end = time.monotonic() + 30
    while len(server.kubectl("-n", "proof", "get", "pods", "-o", "name").split()) != 2:
        if time.monotonic() > end:
            raise ValidateError("the controllers made no pods within 30 s", reason="live-controllers")
        time.sleep(0.2)


def check(server: Server, k8s: str) -> None:
    """Hold what is there after a kill against what was created."""
    value = server.kubectl("-n", "proof", "get", "proofs.example.org", "one", "-o", "jsonpath={.spec.value}")
    server.kubectl("-n", "proof", "get", "deployment", "web", "-o", "name")
    version = server.kubectl("get", "--raw", "/version")
    if value != "42" or f'"gitVersion": "{k8s}"' not in version:
        raise ValidateError(f"after a kill: value {value!r}, version {version[:200]}", reason="live-lost")


@contextmanager
def start(ctx: StepContext, binary: Path, data: Path) -> Iterator[Server]:
    """Boot the binary on free ports and wait until it says READY=1.

    Raises:
        ValidateError: ``boot-failed`` with the end of its log.
    """
    api, manager, scheduler = free_ports(3)
    argv = [
        str(binary), "--server-mode=single", "--disable-agent", f"--data-dir={data}",
        "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--https-listen-port={api}",
        f"--controller-manager-port={manager}", f"--scheduler-port={scheduler}",
    ]  # fmt: skip
    with notify_socket() as (address, listener), ctx.running(argv, env={"NOTIFY_SOCKET": address}) as process:
        server = Server(binary=binary, data=data, process=process)
        server.ready_seconds = _wait(ctx, process, listener)
        yield server


def _wait(ctx: StepContext, process: subprocess.Popen[bytes], listener: socket.socket) -> float:
    started = time.monotonic()
    listener.settimeout(0.05)
    while time.monotonic() - started < READY and process.poll() is None:
        try:
            if b"READY=1" in listener.recv(4096):
                return time.monotonic() - started
        except TimeoutError:
            continue
    log = ctx.log_file.read_text(encoding="utf-8", errors="replace")[-1500:]
    what = f"ended with exit code {process.returncode}" if process.poll() is not None else "was not ready"
    raise ValidateError(f"the server {what} within {READY:.0f} s\n{log}", reason="boot-failed", log=str(ctx.log_file))


@contextmanager
def notify_socket() -> Iterator[tuple[str, socket.socket]]:
    """Give an abstract datagram socket as systemd does, see sd_notify(3)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")
        name: bytes = listener.getsockname()
        yield "@" + name[1:].decode(), listener


def free_ports(count: int) -> list[int]:
    """Return ports that are free on loopback now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
