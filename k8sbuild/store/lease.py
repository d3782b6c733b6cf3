"""What a running build holds, so that what it uses stays.

It protects everything that is used from its beginning to its end. So a build takes one before it looks at the store,
and need not list what it uses.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from k8sbuild.errors import StoreError
from k8sbuild.store.files import disk_errors
from k8sbuild.store.locks import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from k8sbuild.store.store import Store

__all__ = ["lease"]


@contextmanager
def lease(store: Store, run_id: str, *, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Keep what is used during the block from being removed; waits while a collection runs.

    Raises:
        StoreError: ``bad-run-id``, *run_id* cannot name a file; ``store-read-only``.
    """
    if not run_id or "/" in run_id or run_id.startswith("."):
        raise StoreError(f"{run_id!r} cannot name a lease", reason="bad-run-id", hint="use letters, digits, '-', '_'")
    path = store.layout.leases / f"{run_id}.lock"
    holding = lock(path, f"run {run_id}", on_wait=on_wait)
    with lock(store.layout.gc_lock, f"begin run {run_id}", on_wait=on_wait):
        holding.__enter__()
    try:
        with disk_errors("write", path):
            os.utime(path)
        yield
    finally:
        holding.__exit__(None, None, None)
