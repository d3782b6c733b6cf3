"""The modules that ``go`` has extracted, held to the locked sums beside what it makes of them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from k8sbuild.engine.go import proxy
from k8sbuild.engine.inside import inside
from k8sbuild.errors import BuildError, CompileError
from k8sbuild.golang import modcache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from k8sbuild.engine.context import StepContext

__all__ = ["Modules"]


class Modules:
    """A program's modules in our GOMODCACHE; what is extracted there already is looked at from now on.

    The look takes about a second of a processor, which a compile that has little to do leaves free. So nothing waits
    for it but the result.

    Args:
        zips: address of the modules' zips and their sums.
    """

    def __init__(self, ctx: StepContext, zips: str) -> None:
        self._ctx = ctx
        self._zips = zips
        self._cache = inside(ctx).folders.cache / "modcache"
        sums = {name: pair[0] for name, pair in json.loads(ctx.read(f"{zips}/sums.json")).items()}
        # What `go` extracts meanwhile is no one's to look at before it is whole.
        self._fresh = modcache.absent(self._cache, sums)
        self._there = {name: sums[name] for name in sums.keys() - self._fresh.keys()}
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="modules")
        self._wrong = pool.submit(modcache.check, self._cache, self._there)
        pool.shutdown(wait=False)

    def sound(self, compile_: Callable[[], object]) -> None:
        """Compile from modules that are what their sums say; a wrong one is extracted anew and all compiled again.

        Raises:
            CompileError: ``digest-mismatch``, the second time is no better.
            BuildError: what *compile_* raises, unless a wrong module may be why.
        """
        failure = _failure(compile_)
        wrong = self._wrong.result()
        if not self._told([*wrong, *modcache.check(self._cache, self._fresh)]):
            if failure:
                raise failure
            return
        compile_()
        again = {**self._fresh, **{name: self._there[name] for name in wrong}}
        if wrong := modcache.check(self._cache, again):
            raise CompileError(
                f"{self._ctx.name}: what go extracts differs from its sums: {', '.join(wrong)}",
                reason="digest-mismatch",
                hint=f"look at the disk of {inside(self._ctx).folders.cache}",
            )

    def _told(self, wrong: Sequence[str]) -> bool:
        """Name modules that were found wrong and removed, and lay out what ``go`` needs to extract them again."""
        if wrong:
            proxy(self._ctx, self._zips)
            self._ctx.warn(f"changed in {self._cache}, and extracted anew: {', '.join(wrong[:5])}")
        return bool(wrong)


def _failure(compile_: Callable[[], object]) -> BuildError | None:
    try:
        compile_()
    except BuildError as error:
        if error.reason != "command-failed":
            raise
        return error
    return None
