"""Machines of a test's own, on one machine: namespaces with a network between them and a root that starts as ours.

What a node does to network, mounts, processes, cgroups and files ends with its machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DATA", "GATEWAY", "PROGRAMS", "Lan", "Machine", "NotHere", "Place", "lan"]

#: Where a machine has its data directory: on the real disk, since an overlay cannot lie on another one.
DATA = "/var/lib/k8s"
#: Where a machine has the folder that :meth:`Lan.machine` is given.
PROGRAMS = "/opt/k8s"
#: The address of what lies outside, and every machine's default route.
GATEWAY = "192.0.2.1"
#: Makes the root of a machine: this one's, with what is written kept in memory.
_ROOT = """
set -eu
mount --make-rprivate /
mount -t tmpfs -o size=1g tmpfs "$1/memory"
mkdir "$1/memory/upper" "$1/memory/work" "$1/memory/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/memory/upper,workdir=$1/memory/work" overlay "$1/memory/root"
cd "$1/memory/root"
mkdir -p run tmp .before ".$DATA" ".$PROGRAMS"
mount -t sysfs sysfs sys && mount -t tmpfs tmpfs sys/fs/cgroup
grep ' cgroup2\\? ' /proc/mounts | while read -r _ place kind options _; do
  mkdir -p ".$place"
  mount -t "$kind" -o "${options##*relatime,}" "$kind" ".$place"
done
mount --rbind /dev dev && mount -t proc proc proc && mount -t tmpfs tmpfs run && mount -t tmpfs tmpfs tmp
mkdir -p ".${TMPDIR:-/tmp}"
mount --bind "$1/data" ".$DATA" && mount --bind "$2" ".$PROGRAMS"
echo "$3" > etc/hostname && : > etc/resolv.conf
pivot_root . .before
umount -l /.before
mount --make-rshared /
echo ready
exec sleep infinity
"""
_NEEDED = ("ip", "unshare", "nsenter", "setpriv", "pivot_root", "iptables", "conntrack")


class NotHere(Exception):  # noqa: N818 - says what this machine lacks; nothing went wrong
    """This machine cannot hold machines of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Namespaces that a process holds."""

    pid: int
    kinds: tuple[str, ...]

    def argv(self, *words: str) -> list[str]:
        """Return the command line that runs a command there."""
        return ["nsenter", f"--target={self.pid}", *self.kinds, "--", *words]

    def run(self, *words: str, text: str = "", check: bool = True, seconds: float = 120) -> str:
        """Run a command there, for so long at most, and return what it prints."""
        done = subprocess.run(self.argv(*words), input=text, capture_output=True, text=True, timeout=seconds)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
        return done.stdout

    def connect(self, pid: int, name: str) -> None:
        """Connect the network of a process to the bridge here, as its interface ``eth0``."""
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        self.run("ip", "link", "set", name, "master", "lan0", "up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine(Place):
    """A place with a root and processes of its own, where a node can run."""

    name: str
    address: str
    #: Its data directory, seen from here.
    data: Path
    cgroups: tuple[Path, ...]

    def argv(self, *words: str) -> list[str]:
        """Return the command line that runs a command there, in its cgroups too."""
        return _inside(self.cgroups, super(Machine, self).argv(*words))


@dataclass(slots=True, kw_only=True)
class Lan:
    """A network of machines. Its own namespace is what lies outside, with the address :data:`GATEWAY`."""

    outside: Place
    folder: Path
    _stack: ExitStack
    _machines: dict[str, ExitStack] = field(default_factory=dict)
    _links: int = 0

    def host(self, address: str) -> Place:
        """Return a network namespace with an address on this network (``192.0.2.x``)."""
        place = Place(pid=self._stack.enter_context(_holder(["unshare", "--net"], _HOLD)), kinds=("--net",))
        self._join(place, address)
        return place

    def machine(self, name: str, address: str, programs: Path) -> Machine:
        """Return a machine with an address on this network, and a folder as :data:`PROGRAMS`.

        One of the same name is ended before, as a loss of power would end it; its data directory stays.
        """
        self.end(name)
        stack = self._machines[name] = ExitStack()
        folder = self.folder / name
        for part in ("data", "memory"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        cgroups = stack.enter_context(_cgroups(f"k8sbuild-{os.getpid()}-{name}"))
        kinds = ("--net", "--mount", "--pid", "--uts", "--cgroup")
        hold = ["sh", "-c", _ROOT, "sh", str(folder), str(programs), name]
        held = _holder(["unshare", *kinds, "--fork", "--kill-child"], hold, cgroups)
        pid = _child(stack.enter_context(held))
        machine = Machine(pid=pid, kinds=kinds, name=name, address=address, data=folder / "data", cgroups=cgroups)
        self._join(machine, address)
        machine.run("hostname", name)
        return machine

    def end(self, name: str) -> None:
        """End a machine at once, as a loss of power would."""
        self._machines.pop(name, ExitStack()).close()

    def close(self) -> None:
        """End every machine and the network."""
        for name in list(self._machines):
            self.end(name)
        self._stack.close()

    def _join(self, place: Place, address: str) -> None:
        self._links += 1
        self.outside.connect(place.pid, f"to{self._links}")
        for words in (
            ["link", "set", "lo", "up"],
            ["addr", "add", f"{address}/24", "dev", "eth0"],
            ["link", "set", "eth0", "up"],
            ["route", "add", "default", "via", GATEWAY],
        ):
            place.run("ip", *words)


_HOLD = ("sh", "-c", "echo ready; exec sleep infinity")


@contextmanager
def lan(folder: Path) -> Iterator[Lan]:
    """Make a network with nothing but its outside, for the time of a block; raise :class:`NotHere`."""
    missing = [] if os.geteuid() == 0 else ["root"]
    missing += [name for name in _NEEDED if shutil.which(name, path=_path()) is None]
    if missing:
        raise NotHere(f"this machine lacks {', '.join(missing)}: NO node is booted here")
    with ExitStack() as stack:
        outside = Place(pid=stack.enter_context(_holder(["unshare", "--net"], _HOLD)), kinds=("--net",))
        for words in (
            ["link", "set", "lo", "up"],
            ["link", "add", "lan0", "type", "bridge"],
            ["addr", "add", f"{GATEWAY}/24", "dev", "lan0"],
            ["link", "set", "lan0", "up"],
        ):
            outside.run("ip", *words)
        made = Lan(outside=outside, folder=folder, _stack=stack)
        stack.callback(made.close)
        yield made


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


@contextmanager
def _holder(namespaces: list[str], hold: Sequence[str], cgroups: tuple[Path, ...] = ()) -> Iterator[int]:
    """Run what holds namespaces; it ends with this process at the latest, and what runs in them ends with it."""
    argv = _inside(cgroups, ["setpriv", "--pdeathsig", "KILL", *namespaces, *hold])
    env = {**os.environ, "PATH": _path(), "DATA": DATA, "PROGRAMS": PROGRAMS}
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    try:
        assert child.stdout
        assert child.stderr
        if child.stdout.readline() != "ready\n":
            raise AssertionError(f"no namespaces: {child.stderr.read()}")
        yield child.pid
    finally:
        child.kill()
        child.communicate()


def _child(pid: int) -> int:
    (found,) = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return int(found)


def _inside(cgroups: tuple[Path, ...], words: Sequence[str]) -> list[str]:
    """Return the command line that enters cgroups before it runs a command."""
    enter = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'
    return ["sh", "-ec", enter, "sh", *map(str, cgroups), "--", *words]


@contextmanager
def _cgroups(name: str) -> Iterator[tuple[Path, ...]]:
    """Make a cgroup of this name in every hierarchy, and remove it with all below it."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    made = tuple(Path(place, name) for _, place, kind, *_ in mounts if kind in {"cgroup", "cgroup2"})
    for folder in made:
        folder.mkdir()
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (folder / setting).exists() and not (folder / "cgroup.controllers").exists():
                (folder / setting).write_text((folder.parent / setting).read_text(encoding="ascii"), encoding="ascii")
    try:
        yield made
    finally:
        for folder in made:
            _remove(folder)


def _remove(cgroup: Path) -> None:
    """Remove a cgroup whose processes have been killed; they leave in their own time."""
    end = time.monotonic() + 20
    for folder in sorted((cgroup, *cgroup.glob("**/")), reverse=True):
        while folder.exists():
            try:
                folder.rmdir()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
