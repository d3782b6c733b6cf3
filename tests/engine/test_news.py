"""Signals while a run waits."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future

import pytest

from k8sbuild.engine.news import queued


def test_a_signal_is_acted_on_where_the_run_waits_and_nowhere_else() -> None:
    before = signal.getsignal(signal.SIGINT)
    future: Future[None] = Future()
    with queued() as news:
        future.add_done_callback(news.put)
        os.kill(os.getpid(), signal.SIGINT)
        future.set_result(None)
        with pytest.raises(KeyboardInterrupt):
            news.get()
        assert news.get() is future
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_without_a_handler_of_python_stays_as_it_is() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with queued():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_handles_no_signals() -> None:
    found = []

    def wait() -> None:
        before = signal.getsignal(signal.SIGINT)
        with queued():
            found.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert found == [True]


def test_a_waiting_run_is_woken() -> None:
    with queued() as news:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            news.get()
        timer.join()
