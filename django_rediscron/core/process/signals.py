"""The signals that ask a scheduler to stop or to sync, while it runs and when it has ended."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

GRACE = 5.0
"""Seconds for which a process that was asked to stop takes more signals for the same request. It is
on its way out, and is not to be taken for one that crashed."""

_DEADLY = (signal.SIG_DFL, signal.default_int_handler)


class Signals:
    """Calls `stop` and `sync` inside its block, in the main thread; others get no signals."""

    def __init__(self, stop: Callable[[], None], sync: Callable[[], None]) -> None:
        self._stop = stop
        self._sync = sync
        self._stopped: float | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            ours = {
                signal.SIGINT: self._stop_on_signal,
                signal.SIGTERM: self._stop_on_signal,
                signal.SIGHUP: self._sync_on_signal,
            }
            self._before = {number: signal.signal(number, ours[number]) for number in ours}

    def __exit__(self, *failure: object) -> None:
        for number, handler in self._before.items():
            if self._stopped is None or handler not in _DEADLY:
                signal.signal(number, handler)
            else:
                signal.signal(number, self._ignore_for_a_while)
                atexit.register(self._ignore_at_the_end, number)

    def _stop_on_signal(self, number: int, frame: Any) -> None:
        if self._stopped is None:
            self._stopped = time.monotonic()
        self._stop()

    def _sync_on_signal(self, number: int, frame: Any) -> None:
        self._sync()

    def _ignore_for_a_while(self, number: int, frame: Any) -> None:
        if time.monotonic() > (self._stopped or 0) + GRACE:
            signal.signal(number, self._before[number])
            os.kill(os.getpid(), number)

    def _ignore_at_the_end(self, number: int) -> None:
        """Python makes signals deadly again before its process has ended, but not ignored ones."""
        if signal.getsignal(number) == self._ignore_for_a_while:
            signal.signal(number, signal.SIG_IGN)
