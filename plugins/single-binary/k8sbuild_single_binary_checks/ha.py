"""The live check of high availability: two servers on one etcd, of which any may be lost."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError

from .objects import check, deploy, fill
from .servers import READY, command, free_ports, start, started
from .watches import watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.context import StepContext

    from .servers import Server

__all__ = ["boot"]

HA = "--server-mode=ha"
#: What servers of one cluster have in common, in ``tls`` of their data directories.
SHARED = ("client-ca.crt", "client-ca.key", "server-ca.crt", "server-ca.key", "request-header-ca.crt",
          "request-header-ca.key", "service-account.key")  # fmt: skip
#: Seconds until another one leads: the lease's duration, and time to see that it is over.
TAKEOVER = 45.0


def boot(ctx: StepContext) -> None:
    """Boot two servers, one with client certificates for etcd; kill the leader, bring it back, stop both in order."""
    binary = ctx.path(ctx.params["binary"])
    with tempfile.TemporaryDirectory(prefix="k8s-ha-") as folder, ExitStack() as stack:
        one, two = Path(folder, "one"), Path(folder, "two")
        _certify(ctx, binary, one)
        _share(one / "tls", two / "tls")
        plain, secure = stack.enter_context(_etcd(ctx, Path(folder, "etcd"), one / "tls"))

        first = stack.enter_context(start(ctx, binary, one, HA, *secure))
        fill(first)
        leader = _leader(first)
        second = stack.enter_context(start(ctx, binary, two, HA, *plain))
        ctx.facts["ready_seconds"] = [round(server.ready_seconds, 2) for server in (first, second)]
        ctx.facts["rss_mib"] = [server.rss() for server in (first, second)]
        check(second, ctx.params["k8s"])
        _same_tokens(first, second)

        first.kill()
        ctx.facts["takeover_seconds"] = round(_taken_over(second, leader), 2)
        first = stack.enter_context(start(ctx, binary, one, HA, *secure))
        ctx.facts["ready_again_seconds"] = round(first.ready_seconds, 2)
        check(first, ctx.params["k8s"])

        # The second one leads now.
        with watched(first):
            ctx.facts["stop_seconds"] = [round(first.stop(), 2)]
        with watched(second):
            ctx.facts["stop_seconds"].append(round(second.stop(), 2))


def _certify(ctx: StepContext, binary: Path, data: Path) -> None:
    """Let a server make its certificates; it is killed as soon as it waits for its etcd."""
    flags = (HA, f"--etcd-servers=http://127.0.0.1:{free_ports(1)[0]}")
    end = time.monotonic() + READY
    with ctx.running(command(binary, data, *flags)) as process:
        # Written after the certificates.
        while not (data / "admin.kubeconfig").is_file():
            if process.poll() is not None or time.monotonic() > end:
                raise ValidateError("the server made no certificates", reason="boot-failed", log=str(ctx.log_file))
            time.sleep(0.02)


def _share(one: Path, two: Path) -> None:
    two.mkdir(mode=0o700, parents=True)
    for name in SHARED:
        shutil.copy2(one / name, two / name)


@contextmanager
def _etcd(ctx: StepContext, data: Path, tls: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Run etcd; gives a server's flags for its plain address, and for the one that wants client certificates.

    The cluster's own certificates serve: the authority of clients, and the API server's, which is for loopback.
    """
    plain, secure, peer = (f"127.0.0.1:{port}" for port in free_ports(3))
    argv = [
        str(ctx.path(ctx.params["etcd"])), f"--data-dir={data}", "--log-level=warn", "--enable-grpc-gateway=false",
        f"--listen-client-urls=http://{plain},https://{secure}", f"--advertise-client-urls=http://{plain}",
        f"--listen-peer-urls=http://{peer}", f"--initial-advertise-peer-urls=http://{peer}",
        f"--initial-cluster=default=http://{peer}",
        "--client-cert-auth", f"--trusted-ca-file={tls}/client-ca.crt",
        f"--cert-file={tls}/serving-kube-apiserver.crt", f"--key-file={tls}/serving-kube-apiserver.key",
    ]  # fmt: skip
    with started(ctx, argv):
        yield [f"--etcd-servers=http://{plain}"], [
            f"--etcd-servers=https://{secure}", f"--etcd-cafile={tls}/server-ca.crt",
            f"--etcd-certfile={tls}/client-admin.crt", f"--etcd-keyfile={tls}/client-admin.key",
        ]  # fmt: skip


def _leader(server: Server) -> str:
    """Return who runs the controllers."""
    lease = ("-n", "kube-system", "get", "lease", "kube-controller-manager")
    return server.kubectl(*lease, "-o", "jsonpath={.spec.holderIdentity}")


def _taken_over(server: Server, before: str) -> float:
    """Return how long the last server needs until its controllers and scheduler deal with new pods."""
    began = time.monotonic()
    deploy(server, "late", within=TAKEOVER)
    if _leader(server) == before:
        raise ValidateError("the killed server is still named as the one that leads", reason="live-controllers")
    return time.monotonic() - began


def _same_tokens(one: Server, two: Server) -> None:
    """A service account's token of one server must be good at the other."""
    token = one.kubectl("-n", "proof", "create", "token", "default").strip()
    review = f'{{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {{"token": "{token}"}}}}'
    said = two.kubectl("create", "-f", "-", "-o", "jsonpath={.status.authenticated}", text=review)
    if said != "true":
        raise ValidateError("a token of the first server is refused by the second", reason="live-tokens")
