"""One pool of cores and memory for all steps of a run."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Pool", "available_memory"]


class Pool:
    """Hands out cores and memory; a step that wants more than there is gets all of it.

    Args:
        cores: 0 takes all of the machine.
        memory: MiB.
    """

    def __init__(self, cores: int = 0, memory: int = 0) -> None:
        self.cores = cores or len(os.sched_getaffinity(0))
        self.memory = memory or available_memory()
        self._cores = self.cores
        self._memory = self.memory
        self._changed = threading.Condition()

    @contextmanager
    def take(self, cores: int, memory: int) -> Iterator[int]:
        """Wait for cores and memory; gives the number of cores. ``cores=0`` asks for all."""
        want = min(cores or self.cores, self.cores)
        need = min(memory, self.memory)
        with self._changed:
            self._changed.wait_for(lambda: self._cores >= want and self._memory >= need)
            self._cores -= want
            self._memory -= need
        try:
            yield want
        finally:
            with self._changed:
                self._cores += want
                self._memory += need
                self._changed.notify_all()


def available_memory() -> int:
    """Return how much memory can be used, in MiB: what the kernel says is available, less where a cgroup limits it."""
    limits = [_meminfo()]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text) >> 20)
    return max(min(limits), 256)


def _meminfo() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) >> 10
    return 1024
