"""Command lines: our one process, and upstream's separate ones with etcd as somebody would write them in a script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Cluster", "admin_of"]


def admin_of(files: Path) -> tuple[Path, Path]:
    """Return certificate and key of the administrator in a data directory of ours."""
    return files / "tls" / "client-admin.crt", files / "tls" / "client-admin.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Ports and files that both sides use.

    Args:
        ours: our binary.
        programs: folder of upstream's programs and etcd.
        files: data directory of an earlier run of ours, whose certificates, keys and kubeconfigs upstream's use.
        api, manager, scheduler, etcd, peer: ports.
    """

    ours: Path
    programs: Path
    files: Path
    api: int
    manager: int
    scheduler: int
    etcd: int
    peer: int

    def url(self, path: str) -> str:
        """Return a URL of the API server."""
        return f"https://127.0.0.1:{self.api}{path}"

    def single(self, data: Path) -> list[str]:
        """Our server on an empty data directory."""
        return self._ours("single", data)

    def on_etcd(self, data: Path) -> list[str]:
        """Our server with its state in the etcd beside it."""
        return [*self._ours("ha", data), f"--etcd-servers=http://127.0.0.1:{self.etcd}"]

    def _ours(self, mode: str, data: Path) -> list[str]:
        return [
            str(self.ours), f"--server-mode={mode}", "--disable-agent", f"--data-dir={data}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--https-listen-port={self.api}",
            f"--controller-manager-port={self.manager}", f"--scheduler-port={self.scheduler}",
        ]  # fmt: skip

    def etcd_server(self, data: Path) -> list[str]:
        """Run etcd as it comes: every write is synced."""
        client, peer = f"http://127.0.0.1:{self.etcd}", f"http://127.0.0.1:{self.peer}"
        return [
            str(self.programs / "etcd"), f"--data-dir={data}",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        ]  # fmt: skip

    def apiserver(self) -> list[str]:
        """Run kube-apiserver with the same settings that ours has."""
        issuer = "https://kubernetes.default.svc.cluster.local"
        return [
            str(self.programs / "kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{self.etcd}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={self.api}",
            "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.43.0.0/16",
            f"--tls-cert-file={self._cert('serving-kube-apiserver')}",
            f"--tls-private-key-file={self._key('serving-kube-apiserver')}",
            f"--client-ca-file={self._cert('client-ca')}",
            f"--kubelet-certificate-authority={self._cert('server-ca')}",
            f"--kubelet-client-certificate={self._cert('client-kube-apiserver-kubelet')}",
            f"--kubelet-client-key={self._key('client-kube-apiserver-kubelet')}",
            f"--requestheader-client-ca-file={self._cert('request-header-ca')}",
            "--requestheader-allowed-names=system:auth-proxy",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={self._cert('client-request-header')}",
            f"--proxy-client-key-file={self._key('client-request-header')}",
            f"--service-account-issuer={issuer}", f"--api-audiences={issuer}",
            f"--service-account-signing-key-file={self._key('service-account')}",
            f"--service-account-key-file={self._key('service-account')}",
            "--anonymous-auth=false", "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
        ]  # fmt: skip

    def controller_manager(self) -> list[str]:
        """Run kube-controller-manager, which makes its own serving certificate as in kubeadm's clusters."""
        return [
            *self._elected("kube-controller-manager", self.manager),
            "--use-service-account-credentials=true", f"--root-ca-file={self._cert('server-ca')}",
            f"--service-account-private-key-file={self._key('service-account')}",
            f"--cluster-signing-cert-file={self._cert('client-ca')}",
            f"--cluster-signing-key-file={self._key('client-ca')}",
            "--allocate-node-cidrs=true", "--cluster-cidr=10.42.0.0/16", "--service-cluster-ip-range=10.43.0.0/16",
        ]  # fmt: skip

    def kube_scheduler(self) -> list[str]:
        """Run kube-scheduler, which makes its own serving certificate, too."""
        return self._elected("kube-scheduler", self.scheduler)

    def _elected(self, name: str, port: int) -> list[str]:
        file = self.files / "cred" / f"client-{name}.kubeconfig"
        words = ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"]
        flags = [f"--{word}={file}" for word in words]
        return [str(self.programs / name), *flags, "--bind-address=127.0.0.1", f"--secure-port={port}"]

    def _cert(self, name: str) -> Path:
        return self.files / "tls" / f"{name}.crt"

    def _key(self, name: str) -> Path:
        return self.files / "tls" / f"{name}.key"
