"""Notices to systemd: ready, alive, stopping."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

TIMEOUT = 1.0
"""Seconds to wait for systemd to take a notice. It reads at once, unless it is stuck itself."""


def notify(state: str) -> None:
    """Send a state such as `READY=1`, or several on lines of their own, if systemd wants it.

    Source: sd_notify(3). Never raises: a scheduler must not stop because systemd does not listen.
    """
    getattr(_thread, "tell", _send)(state)


_thread = threading.local()


@contextmanager
def speaking(tell: Callable[[str], None]) -> Iterator[None]:
    """Inside, this thread's states go to `tell`."""
    _thread.tell = tell
    try:
        yield
    finally:
        del _thread.tell


class Chorus:
    """What systemd is told by a process with several schedulers, which `names` tells apart.

    The process is ready when one of them is, and alive while all of them are; it stops when it is
    asked to, not when one of them ends.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.is_stopping = False
        self._statuses = dict.fromkeys(names, "starting")
        self._silent = set(self._statuses)
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def tell(self, name: str, state: str) -> None:
        """Pass on the state of one of them, as far as it is that of all."""
        with self._lock:
            lines = [line for each in state.split("\n") for line in self._lines(name, each)]
            if lines:
                _send("\n".join(lines))

    def _lines(self, name: str, line: str) -> list[str]:
        if line == "WATCHDOG=1":
            self._silent.discard(name)
            if self._silent:
                return []
            self._silent = set(self._statuses)
            return [line]
        if line.startswith("STATUS="):
            self._statuses[name] = line.removeprefix("STATUS=")
            line = f"STATUS={'; '.join(f'{each} {is_}' for each, is_ in self._statuses.items())}"
        if line in self._told or (line == "STOPPING=1" and not self.is_stopping):
            return []
        self._told = {each for each in self._told if not each.startswith("STATUS=")} | {line}
        return [line]


def _send(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(TIMEOUT)
        sender.connect(address)
        sender.sendall(state.encode(errors="backslashreplace"))


class Watchdog:
    """The notices of a leader that it is alive, as often as systemd expects them."""

    def __init__(self) -> None:
        interval = watchdog_interval()
        self.pause = math.inf if interval is None else interval / 2
        """Seconds at most between two of them; infinite if it expects none."""
        self._latest = time.monotonic()

    def tell(self) -> None:
        self._latest = time.monotonic()
        notify("WATCHDOG=1\nSTATUS=leading")

    def tell_if_due(self) -> None:
        if time.monotonic() - self._latest >= self.pause:
            self.tell()


def watchdog_interval() -> float | None:
    """Seconds within which systemd expects each `WATCHDOG=1`; None if it expects none.

    Source: sd_watchdog_enabled(3), which advises sending it twice in that time.
    """
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for the process that started this one
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / 1_000_000 if microseconds > 0 else None
