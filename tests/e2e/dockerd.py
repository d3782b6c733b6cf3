"""A Docker daemon of a test's own: from locked Debian packages, in name spaces of its own, with nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FLAGS", "PACKAGES", "Docker", "controllers", "running", "wait_for"]

PACKAGES = ("?essential", "docker.io", "iproute2", "iptables", "mount", "procps", "util-linux")
#: What stands for ``--privileged`` where the machine itself lacks a capability.
FLAGS = (
    "--cap-add=ALL",
    "--cap-drop=SYS_RESOURCE",
    "--device-cgroup-rule=a *:* rwm",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
)
_CGROUPS = Path("/sys/fs/cgroup")
#: Where cgroups of version 2 are on this machine: beside version 1 or alone.
_V2 = _CGROUPS / "unified" if (_CGROUPS / "unified").exists() else _CGROUPS
#: Started as the first process of its name space, so that all that it starts ends with it.
_START = """
ip link set lo up
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir run/k8sbuild
mount --bind "$2" run/k8sbuild
mount --bind "$2" var/lib/docker
# Docker unpacks layers below a root of its own, which must be a mount for that.
pivot_root . mnt
exec chroot . sh -euc '
umount --lazy /mnt
iptables=$(iptables-nft -t nat -S >/dev/null 2>&1 && echo nft || echo legacy)
update-alternatives --set iptables "/usr/sbin/iptables-$iptables" >/dev/null
exec dockerd --host=unix:///run/k8sbuild/docker.sock --cgroup-parent="$1" --storage-driver=overlay2
' dockerd "$3"
"""


def wait_for(what: str, seconds: float, found: Callable[[], object]) -> float:
    """Wait until something is there, and return how long that took."""
    started = time.monotonic()
    while not found():
        assert time.monotonic() - started < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - started


def controllers() -> set[str]:
    """Return what version 2 of cgroups can limit on this machine; version 1 may have taken it all."""
    file = _V2 / "cgroup.controllers"
    return set(file.read_text().split()) if file.exists() else set()


class Docker:
    """The daemon's command line, and the cgroup that is above those of its containers."""

    def __init__(self, root: Path, state: Path, cgroup: str) -> None:
        self.cgroup = cgroup
        self._argv = [str(root / "usr/bin/docker"), f"--host=unix://{state}/docker.sock"]

    def answers(self) -> bool:
        """Say whether the daemon does."""
        return subprocess.run([*self._argv, "version"], capture_output=True).returncode == 0

    def __call__(self, *words: str, check: bool = True, timeout: float = 300) -> str:
        """Run a command and return its output."""
        done = subprocess.run([*self._argv, *words], capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}{done.stdout}"
        return done.stdout.strip()

    def inside(self, container: str, *words: str, check: bool = False, timeout: float = 60) -> str:
        """Run a command in a container."""
        return self("exec", container, *words, check=check, timeout=timeout)


@contextmanager
def running(tar: Path, folder: Path) -> Iterator[Docker]:
    """Run the daemon of a root file system during a block.

    Args:
        tar: of the root file system with :data:`PACKAGES`.
        folder: for it and all that the daemon keeps; on a file system that overlays can be on.
    """
    root, state = folder / "root", folder / "state"
    state.mkdir()
    with tarfile.open(tar) as file:
        file.extractall(root, filter="fully_trusted")
    (root / "var/lib/docker").mkdir(parents=True, exist_ok=True)
    parent = f"/k8sbuild-e2e-{os.getpid()}"
    unshare = ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    argv = [*unshare, "sh", "-euc", _START, "dockerd", root, state, parent]
    with (folder / "dockerd.log").open("w") as log, _cgroup(parent):
        daemon = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        docker = Docker(root, state, parent)
        try:
            wait_for("dockerd", 60, lambda: daemon.poll() is not None or docker.answers())
            assert daemon.poll() is None, (folder / "dockerd.log").read_text()[-3000:]
            yield docker
        finally:
            daemon.kill()
            daemon.wait()
            shutil.rmtree(root, ignore_errors=True)
            shutil.rmtree(state, ignore_errors=True)


@contextmanager
def _cgroup(name: str) -> Iterator[None]:
    """Give what version 2 of cgroups can limit to a cgroup, which is removed at the end; where version 1 is too.

    Where version 2 is alone, those who start containers do it.
    """
    root = _V2 / "cgroup.subtree_control"
    given = controllers() - set(root.read_text().split()) if _V2 != _CGROUPS else set()
    try:
        if _V2 != _CGROUPS:
            own = Path(f"{_V2}{name}")
            own.mkdir(exist_ok=True)
            for controller in controllers():
                root.write_text(f"+{controller}")
                (own / root.name).write_text(f"+{controller}")
        yield
    finally:
        _remove_cgroups(name)
        for controller in given:
            # Another daemon may have it too.
            with suppress(OSError):
                root.write_text(f"-{controller}")


def _remove_cgroups(parent: str) -> None:
    """Remove what the daemon's containers left: only folders, from the innermost on."""
    for top in (_CGROUPS, *_CGROUPS.glob("*/")):
        for folder, _, _ in os.walk(str(top) + parent, topdown=False):
            wait_for(f"{folder} is empty", 10, lambda folder=folder: _removed(folder))


def _removed(folder: str) -> bool:
    try:
        Path(folder).rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
