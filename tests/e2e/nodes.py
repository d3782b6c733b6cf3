"""A node that the toolkit built, booted on a machine of :mod:`machines`."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e.command import k8sbuild
from e2e.machines import DATA, PROGRAMS

from k8sbuild.providers.extract import extract_tar

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.machines import Machine

__all__ = ["PAUSE", "Node", "unpacked", "until"]

#: Seconds that a start and an orderly stop may take on a busy machine.
READY, STOP = 120.0, 30.0
#: The machine's disk may be nearly full, which is not what is tried here.
FLAGS = ("--kubelet-arg=eviction-hard=memory.available<10Mi", "--kubelet-arg=image-gc-high-threshold=100")

#: The image that is on every node.
PAUSE = "registry.k8s.io/pause:3.10"


def unpacked(folder: Path, *flags: str) -> Path:
    """Build ``k8s`` with its node and return the folder of the archive's files, with the images beside the program."""
    k8sbuild("build", "--node", *flags, "--skip-validate", f"--out={folder}")
    (archive,) = (folder / "artifacts").glob("k8s-v*-linux-*.tar.zst")
    extract_tar(archive, folder / "unpacked", zstd=True)
    (found,) = (folder / "unpacked").iterdir()
    (images,) = (folder / "artifacts").glob("k8s-images-*")
    shutil.copy(images, found)
    return found


@dataclass(slots=True, kw_only=True)
class Node:
    """One server with its node on a machine; it may be started again and again."""

    machine: Machine
    flags: tuple[str, ...] = ()
    program: str = f"{PROGRAMS}/k8s"
    #: The server's process here (of ``nsenter``), and how long its last start took.
    process: subprocess.Popen[bytes] | None = None
    ready_seconds: float = 0.0
    _logs: list[Path] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What the server has printed since its last start."""
        return self._logs[-1].read_text(encoding="utf-8", errors="replace")

    def start(self, *flags: str) -> None:
        """Start the server and wait until its node is ready."""
        began = time.monotonic()
        self.launch(*flags)
        self.says('"Node is ready"')
        self.ready_seconds = time.monotonic() - began

    def launch(self, *flags: str) -> None:
        """Start the server."""
        self._logs.append(self.machine.data.parent / f"server-{len(self._logs) + 1}.log")
        own = (f"--data-dir={DATA}", f"--node-name={self.machine.name}")
        words = [self.program, *own, *FLAGS, *self.flags, *flags]
        with self._logs[-1].open("wb") as log:
            self.process = subprocess.Popen(
                self.machine.argv(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def says(self, line: str) -> None:
        """Wait until the server has said something since its last start."""
        until(lambda: self._looks(line), f"the server says {line}", READY)

    def _looks(self, line: str) -> bool:
        assert self.process
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with exit code {self.process.returncode}\n{self.log[-3000:]}")
        return line in self.log

    @property
    def pid(self) -> int:
        """The id of the server itself, as it is here."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        (pid,) = children.read_text(encoding="ascii").split()
        return int(pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server itself."""
        os.kill(self.pid, number)

    def stop(self) -> float:
        """Send SIGTERM and return how long the orderly stop took."""
        assert self.process
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        assert self.process.wait(STOP) == 0, self.log[-3000:]
        return time.monotonic() - began

    def kill(self) -> None:
        """Send SIGKILL to the server."""
        assert self.process
        self.signal(signal.SIGKILL)
        self.process.wait(STOP)

    def kubectl(self, *args: str, text: str = "", check: bool = True, seconds: float = 120) -> str:
        """Run the binary's own kubectl on the machine and return what it prints."""
        admin = f"--kubeconfig={DATA}/admin.kubeconfig"
        return self.machine.run(self.program, "kubectl", admin, *args, text=text, check=check, seconds=seconds)

    def wait(self, what: str, condition: str = "condition=Ready", seconds: int = 60) -> None:
        """Wait for a condition of an object, ``pod/web``."""
        words = shlex.split(what)
        self.kubectl("wait", f"--for={condition}", f"--timeout={seconds}s", *words, seconds=seconds + 30)

    def pod(self, name: str, **spec: Any) -> str:
        """Run a pod that does nothing, wait until it runs and return the id of its container."""
        container = {"name": "pause", "image": PAUSE, "imagePullPolicy": "Never"}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"containers": [container], **spec},
        }
        # The node is ready before the controllers have made the service account.
        until(lambda: bool(self.kubectl("get", "serviceaccount", "default", "--ignore-not-found")), "a service account")
        self.kubectl("create", "-f", "-", text=json.dumps(pod))
        self.wait(f"pod/{name}")
        return self.container(name)

    def container(self, name: str) -> str:
        """Return the id of a pod's container."""
        return str(self.find("{.status.containerStatuses[0].containerID}", "pod", name)).removeprefix("containerd://")

    def find(self, path: str, *what: str) -> Any:
        """Return what a JSON path finds, as text: ``find("{.status.podIP}", "pod", "web")``."""
        return self.kubectl("get", *what, f"-o=jsonpath={path}")


def until(check: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it is not within the time.
    """
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)
