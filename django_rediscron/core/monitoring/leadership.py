"""Which scheduler leads and which ones stand by, from RQ's registry and the lock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from ..process.identity import MAX_DIGITS
from ..schedule.texts import lossy_text
from ..store.keys import LOCK, SCHEDULERS, holder_name, scheduler_key

STANDBY_SILENCE = 30.0
"""Seconds. A standby tries to take the lock, and sends a heartbeat, about every second."""

REGISTERED = 50
"""Schedulers to look at, those with the latest heartbeats: RQ rarely prunes its registry."""


@dataclass(frozen=True)
class SchedulerState:
    """A scheduler in RQ's registry."""

    name: str
    age: float | None = None
    """Seconds since its latest heartbeat; None: it is not registered."""
    host: str | None = None
    pid: int | None = None
    role: str | None = None
    """`leader` or `standby`, as it wrote itself; None: another program's, or long gone."""
    application: str | None = None
    """Its project, among those that share one Redis; None if unknown."""

    def __str__(self) -> str:
        where = [f"host {self.host}"] if self.host else []
        where += [f"pid {self.pid}"] if self.pid else []
        return f"{self.name!r} ({', '.join(where)})" if where else repr(self.name)


@dataclass(frozen=True)
class Leadership:
    """Who holds the lock, for how much longer, and who else is registered."""

    leader: SchedulerState | None
    expires_in: float | None
    """Seconds until the lock expires unless extended; None: it cannot, or there is no lock."""
    others: list[SchedulerState]
    """Latest heartbeat first."""
    token: str | None = None
    """What the lock holds."""

    @property
    def standbys(self) -> list[SchedulerState]:
        """Those that wait for the lock, by name."""
        waiting = (other for other in self.others if other.role == "standby")
        living = (other for other in waiting if (other.age or 0) <= STANDBY_SILENCE)
        return sorted(living, key=lambda standby: standby.name)

    @property
    def deposed(self) -> SchedulerState | None:
        """The latest leader that neither holds the lock nor signed off: it froze or died."""
        return next((other for other in self.others if other.role == "leader"), None)


def read_leadership(client: Redis) -> Leadership:
    """Read it in two round trips, with plain commands. `client` is one that returns bytes."""
    moment = time.time()
    with client.pipeline(transaction=False) as pipe:
        pipe.get(LOCK)
        pipe.pttl(LOCK)
        pipe.zrevrange(SCHEDULERS, 0, REGISTERED - 1, withscores=True)
        token, life, registered = pipe.execute()
    ages: dict[str, float | None] = {
        # A heartbeat before the epoch, or infinitely long ago, is damaged data.
        lossy_text(name): max(0.0, moment - max(heartbeat, 0.0))
        for name, heartbeat in registered
    }
    token = None if token is None else lossy_text(token)
    holder = None if token is None else holder_name(token)
    if holder is not None:
        ages.setdefault(holder, None)
    with client.pipeline(transaction=False) as pipe:
        for name in ages:
            pipe.hmget(scheduler_key(name), "hostname", "pid", "role", "application")
        states = {
            name: _state(name, ages[name], values)
            for name, values in zip(ages, pipe.execute(raise_on_error=False), strict=True)
        }
    leader = None if holder is None else states.pop(holder)
    return Leadership(leader, life / 1000 if life >= 0 else None, list(states.values()), token)


def _state(
    name: str, age: float | None, values: Sequence[bytes | None] | Exception
) -> SchedulerState:
    if isinstance(values, Exception):
        if "WRONGTYPE" not in str(values):
            raise values
        return SchedulerState(name, age)
    host, pid, role, application = (lossy_text(value) if value else None for value in values)
    return SchedulerState(name, age, host, _number(pid), role, application)


def _number(text: str | None) -> int | None:
    """A process id; None for any other text."""
    return int(text) if text and text.isdecimal() and len(text) <= MAX_DIGITS else None
