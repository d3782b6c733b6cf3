"""The entrypoint on machines with control groups of each version: which commands it runs, on a root of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from k8sbuild_cri_dockerd_image import plugin

SCRIPT = Path(plugin.__file__).parent / "files/entrypoint"
#: Noted, and not done.
NOTED = ("mount", "umount", "mknod", "update-alternatives")
FOREIGN = "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n0::/docker/x\n"


class Root:
    """A folder that stands for the root, where commands are noted."""

    def __init__(self, folder: Path, groups: str, *, iptables: bool = True) -> None:
        self.folder = folder
        for name in ("sys/fs/cgroup", "proc/self", "proc/sys/vm", "proc/sys/kernel/random", "dev", "etc", "bin"):
            (folder / name).mkdir(parents=True)
        (folder / "proc/self/cgroup").write_text(groups)
        (folder / "proc/sys/vm/overcommit_memory").write_text("1")
        (folder / "proc/sys/kernel/random/uuid").write_text("12-34\n")
        for name in NOTED:
            self.program(name, 'echo "${0##*/} $*" >>"$NOTES"')
        self.program("unshare", 'echo "unshare $1" >>"$NOTES"\nshift\nexec "$@"')
        self.program("iptables-nft", f"exit {0 if iptables else 1}")
        text = SCRIPT.read_text()
        for name in ("/sys/fs", "/proc", "/dev/kmsg", "/etc/machine-id"):
            text = text.replace(f" {name}", f" {folder}{name}").replace(f"<{name}", f"<{folder}{name}")
            text = text.replace(f"={name}", f"={folder}{name}").replace(f">{name}", f">{folder}{name}")
            text = text.replace(f'"{name}', f'"{folder}{name}')
        self.program("entrypoint", text.partition("\n")[2])

    def program(self, name: str, text: str) -> None:
        (self.folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.folder / "bin" / name).chmod(0o755)

    def run(self) -> list[str]:
        """Run it, and return the notes, with paths as the container would have them."""
        notes = self.folder / "notes"
        notes.touch()
        env = {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "NOTES": str(notes)}
        argv = [self.folder / "bin/entrypoint", "sh", "-c", 'echo "became $*" >>"$NOTES"', "init", "a b"]
        done = subprocess.run(argv, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return notes.read_text().replace(str(self.folder), "").splitlines()


def test_version_2_is_left_as_it_is(tmp_path: Path) -> None:
    root = Root(tmp_path, "0::/\n")
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").write_text("cpu memory pids\n")
    notes = root.run()
    assert notes == ["mount --make-rshared /", "mknod -m 600 /dev/kmsg c 1 11", "became a b"]
    assert (tmp_path / "etc/machine-id").read_text() == "1234\n"


def test_version_1_is_mounted_anew_in_a_name_space_of_its_own(tmp_path: Path) -> None:
    notes = Root(tmp_path, FOREIGN).run()
    assert notes[0] == "unshare --cgroup"
    mounts = [note for note in notes if note.startswith("mount -t")]
    assert mounts == [
        "mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup",
        "mount -t cgroup -o memory cgroup /sys/fs/cgroup/memory",
        "mount -t cgroup -o cpu,cpuacct cgroup /sys/fs/cgroup/cpu,cpuacct",
        "mount -t cgroup -o name=systemd cgroup /sys/fs/cgroup/systemd",
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
    ]
    assert notes.count("unshare --cgroup") == 1
    assert notes[-1] == "became a b"
    assert (tmp_path / "sys/fs/cgroup/cpuacct").is_symlink()


def test_a_name_space_that_is_there_is_used(tmp_path: Path) -> None:
    notes = Root(tmp_path, "3:cpu,cpuacct:/\n1:name=systemd:/\n").run()
    assert "unshare --cgroup" not in notes


@pytest.mark.parametrize("there", [True, False])
def test_rules_are_put_where_the_kernel_has_them(tmp_path: Path, there: bool) -> None:
    root = Root(tmp_path, "0::/\n", iptables=there)
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").write_text("")
    chosen = [note for note in root.run() if note.startswith("update-alternatives")]
    wanted = [f"update-alternatives --set {name} /usr/sbin/{name}-legacy" for name in ("iptables", "ip6tables")]
    assert chosen == ([] if there else wanted)
