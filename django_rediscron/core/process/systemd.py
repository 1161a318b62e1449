"""Word to systemd: ready, alive, stopping."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

TIMEOUT = 1.0
"""Seconds to wait for systemd to take word. It reads at once, unless it is stuck itself."""


def notify(state: str) -> None:
    """Send a state such as `READY=1`, or several on lines of their own, where systemd waits for it.

    Source: sd_notify(3). Never raises: a scheduler is not to stop for want of an audience.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # a name in no file system
        address = "\0" + address[1:]
    with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(TIMEOUT)
        sender.connect(address)
        sender.sendall(state.encode(errors="backslashreplace"))


def watchdog_interval() -> float | None:
    """Seconds within which systemd wants to hear `WATCHDOG=1` again and again; None: it does not.

    Source: sd_watchdog_enabled(3), which advises to send it twice in that time.
    """
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for the process that started this one
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / 1_000_000 if microseconds > 0 else None
