"""Notices to systemd: ready, alive, stopping."""

from __future__ import annotations

import math
import os
import socket
import time
from contextlib import suppress

TIMEOUT = 1.0
"""Seconds to wait for systemd to take a notice. It reads at once, unless it is stuck itself."""


def notify(state: str) -> None:
    """Send a state such as `READY=1`, or several on lines of their own, if systemd wants it.

    Source: sd_notify(3). Never raises: a scheduler must not stop because systemd does not listen.
    """
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
