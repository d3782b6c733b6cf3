"""What a run waits for: the end of a step, or a signal.

A signal's handler runs between any two instructions of the main thread. One
that raises there can leave a lock of the standard library held for ever, and
a thread that needs it waits for ever. While a run waits, handlers only leave
word, which is acted on where no lock is held (as :class:`asyncio.Runner` does).
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

__all__ = ["News", "queued"]

#: Seconds. A signal that comes just before the main thread sleeps does not wake it; its handler runs at the next look.
_LOOK = 0.2

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class News:
    """A queue of ended futures; signals go through it as well."""

    def __init__(self) -> None:
        # Its put may be called from a signal's handler.
        self._queue: SimpleQueue[Future[None] | Callable[[], Any]] = SimpleQueue()

    def put(self, future: Future[None]) -> None:
        """Say that a future is done."""
        self._queue.put(future)

    def signalled(self, act: Callable[[], Any]) -> None:
        """Have the one who waits call ``act``."""
        self._queue.put(act)

    def get(self) -> Future[None]:
        """Wait for a future that is done.

        Raises:
            KeyboardInterrupt: or whatever the handler of a signal raises.
        """
        while True:
            with suppress(Empty):
                found = self._queue.get(timeout=_LOOK)
                if not callable(found):
                    return found
                found()


@contextmanager
def queued() -> Iterator[News]:
    """Give news to wait for, and put signals that have a handler in Python among them during the block.

    In another thread than the main one signals stay as they are: none is handled there.

    >>> with queued() as news:
    ...     future.add_done_callback(news.put)    # doctest: +SKIP
    ...     news.get().result()                   # doctest: +SKIP
    """
    news = News()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: handler for number in _SIGNALS if callable(handler := signal.getsignal(number))}
    for number, handler in before.items():
        signal.signal(number, partial(_noted, news, handler))
    try:
        yield news
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _noted(news: News, handler: Callable[..., Any], number: int, _: object) -> None:
    news.signalled(partial(handler, number, None))
