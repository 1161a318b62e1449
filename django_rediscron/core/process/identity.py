"""Which process a scheduler is, so that another on the same machine can tell that it died."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from redis import Redis
from redis.exceptions import ResponseError

from ..schedule.texts import lossy_text
from ..store.keys import scheduler_key

PROC = Path("/proc")

MAX_DIGITS = 19
"""Of a process id; anything longer is not one."""


def identity() -> dict[str, str]:
    """What a scheduler's hash says about its process; empty if the system does not tell.

    RQ's own `pid` is that of the process that made the scheduler, which may have forked since. Host
    names are not enough: containers may share one, with process ids of their own.
    """
    pid, machine = os.getpid(), _machine()
    started = _started(pid)
    return {"pid": str(pid), "machine": machine, "started": started} if machine and started else {}


def died_here(name: str, connection: Redis, token: str | None = None) -> bool:
    """Whether the scheduler of that name was a process of this machine that has ended.

    With a token, the process that held the lock with it: one that has just taken the lock may not
    have replaced yet what its dead namesake wrote.
    """
    try:
        fields = connection.hmget(scheduler_key(name), "pid", "machine", "started", "token")
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        return False
    pid, machine, started, held = (lossy_text(value) if value else "" for value in fields)
    if token is not None and held != token:
        return False
    if not pid.isdecimal() or len(pid) > MAX_DIGITS or not machine or machine != _machine():
        return False
    return _started(int(pid)) not in (started, None)


@cache
def _machine() -> str:
    """This boot of this machine, and this namespace of process ids.

    With its name, for machines that were copied while they ran.
    """
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{os.uname().nodename}/{boot}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process started, in ticks since boot; empty if it is dead, None if it is hidden.

    Source: proc(5), field 22 of /proc/PID/stat, counted after the name in parentheses.
    """
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None if _exists(pid) else ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


def _exists(pid: int) -> bool:
    """Whether there is such a process, even another user's, which /proc may hide."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True
