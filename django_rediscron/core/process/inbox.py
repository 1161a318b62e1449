"""What signals and other threads ask of a scheduler, while it runs and when it has ended."""

from __future__ import annotations

import atexit
import os
import queue
import signal
import threading
import time
from contextlib import suppress
from typing import Any, Protocol

NAP = 0.2
"""Longest sleep without a check for signals, in seconds. A signal that arrives just as a thread
falls asleep does not wake it, which is not rare while another thread is busy."""

GRACE = 5.0
"""Seconds for which a process that was asked to stop takes further signals for the same request. It
is about to end, and must not look as if it had crashed."""

_DEADLY = (signal.SIG_DFL, signal.default_int_handler)

_STOP, _SYNC, _CHANGED = "stop", "sync", "changed"


class Inbox:
    """Messages that may be left at any moment, even during a command, and are read by `wait`.

    A request to stop can be seen at once, as `stopping`.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.sync_wanted = False
        self.changed_ids: set[str] = set()
        self.changes_missed = False
        """Whether there may be changes whose ids are not known."""
        self._messages: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()

    def stop(self) -> None:
        self.stopping = True
        self._messages.put((_STOP, None))

    def ask_to_sync(self) -> None:
        self._messages.put((_SYNC, None))

    def changed(self, id: str | None) -> None:
        """A schedule was changed; None if it is not known which ones."""
        self._messages.put((_CHANGED, id))

    def wait(self, seconds: float) -> bool:
        """Wait for a message, at most so long, and note all that there are. Whether any came."""
        received = False
        until = time.monotonic() + seconds
        while self._messages.empty() and (left := until - time.monotonic()) > 0:
            with suppress(queue.Empty):
                self._note(*self._messages.get(timeout=min(left, NAP)))
                received = True
                break
        while not self._messages.empty():
            self._note(*self._messages.get())
            received = True
        return received

    def forget_changes(self) -> None:
        """Call it when they have been dealt with."""
        self.changed_ids, self.changes_missed = set(), False

    def _note(self, message: str, id: str | None) -> None:
        if message == _SYNC:
            self.sync_wanted = True
        elif message == _CHANGED and id is None:
            self.changes_missed = True
        elif id is not None:
            self.changed_ids.add(id)


class Asked(Protocol):
    """Who does what signals ask for."""

    def stop(self) -> None: ...
    def ask_to_sync(self) -> None: ...


class Signals:
    """Handles signals inside its block, in the main thread; other threads get none.

    SIGINT and SIGTERM ask to stop, SIGHUP asks to sync.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
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
        self._asked.stop()

    def _sync_on_signal(self, number: int, frame: Any) -> None:
        self._asked.ask_to_sync()

    def _ignore_for_a_while(self, number: int, frame: Any) -> None:
        if time.monotonic() > (self._stopped or 0) + GRACE:
            signal.signal(number, self._before[number])
            os.kill(os.getpid(), number)

    def _ignore_at_the_end(self, number: int) -> None:
        """Python makes signals deadly again before its process has ended, but not ignored ones."""
        if signal.getsignal(number) == self._ignore_for_a_while:
            signal.signal(number, signal.SIG_IGN)
