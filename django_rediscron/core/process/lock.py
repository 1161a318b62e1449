"""The lock that makes one scheduler the leader; its token fences what the scheduler writes.

Taking, extending and releasing it also records the reign, see `story/reigns.py`.
"""

from __future__ import annotations

import os
import socket
import uuid

from redis import Redis
from rq.utils import now

from ..exceptions import SchedulerLockedError
from ..schedule.texts import lossy_text
from ..store.keys import LOCK, holder_name
from ..store.scripts import Script, run_script
from ..timing.cron_times import utc_text
from .identity import died_here

SHORTEST_LOCK_TTL, LONGEST_LOCK_TTL = 1, 86400
"""Seconds: three heartbeats must fit in, and a crash must not stop schedules for days."""

EXTEND_LOCK = Script("extend_lock")
RELEASE_LOCK = Script("release_lock")
REPLACE_LOCK = Script("replace_lock")


class LeaderLock:
    """The lock as one scheduler sees it. `client` is the scheduler's own."""

    def __init__(self, client: Redis, name: str) -> None:
        self.token = ""
        """The scheduler's name and a random suffix; empty while it does not hold the lock."""
        self.is_told = True
        """Whether receivers are to be told that it leads now."""
        self._client = client
        self._name = name
        self._unanswered = ""
        self._lost = ""  # the token of a reign whose end is still to be recorded
        self._since = ""

    @property
    def is_unanswered(self) -> bool:
        """Whether Redis did not answer the latest attempt to take or release the lock.

        The scheduler may hold it then; the next attempt uses the same token.
        """
        return bool(self._unanswered)

    def acquire(self, ttl: float) -> None:
        """Take the lock. Raises `SchedulerLockedError` if another scheduler holds it.

        A holder that ran on this machine and died is replaced at once.
        """
        self._record_loss()
        token = self._unanswered or f"{self._name}:{uuid.uuid4().hex}"
        self._unanswered = token
        self._since = _now()
        try:
            while not self._take(token, ttl):
                pass
        except SchedulerLockedError:
            self._unanswered = ""
            raise
        self.token, self._unanswered = token, ""

    def _take(self, token: str, ttl: float) -> bool:
        """One attempt. False if the lock has just been released, or taken over by another."""
        if self._client.set(LOCK, token, px=_milliseconds(ttl), nx=True):
            return self._extend(token, ttl)
        holder, expires_in = lock_holder(self._client)
        if holder is None:
            return False
        if holder == token:  # ours, though no answer came; some of its TTL may be over
            return self._extend(token, ttl)
        if not died_here(holder_name(holder), self._client, holder):
            raise SchedulerLockedError(holder_name(holder), expires_in)
        arguments = [holder, token, _milliseconds(ttl)]
        replaced = run_script(self._client, REPLACE_LOCK, [LOCK], arguments)
        return bool(replaced) and self._extend(token, ttl)

    def extend(self, ttl: float) -> bool:
        """Give the lock its whole TTL again. False if it is no longer ours."""
        return self.token != "" and self._extend(self.token, ttl)

    def _extend(self, token: str, ttl: float) -> bool:
        whose = (_now(), self._since, socket.gethostname(), os.getpid())
        arguments = [token, _milliseconds(ttl), *whose, int(self.is_told)]
        return bool(run_script(self._client, EXTEND_LOCK, [LOCK], arguments))

    def lose(self) -> None:
        """Note that the lock is no longer ours; nothing is written before the next attempt."""
        self._lost, self.token = self.token or self._lost, ""

    def release(self) -> None:
        """Give the lock up if it is, or may be, ours."""
        self._record_loss()
        self._unanswered = self.token or self._unanswered
        self.token = ""
        if self._unanswered:
            self._release(self._unanswered)
            self._unanswered = ""

    def _record_loss(self) -> None:
        if self._lost:
            self._release(self._lost)
            self._lost = ""

    def _release(self, token: str) -> None:
        run_script(self._client, RELEASE_LOCK, [LOCK], [token, _now()])


def _now() -> str:
    return utc_text(now())


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def lock_holder(connection: Redis) -> tuple[str | None, float | None]:
    """The token that holds the lock (None: free), and the seconds until it expires."""
    with connection.pipeline() as pipe:
        pipe.get(LOCK)
        pipe.pttl(LOCK)
        token, life = pipe.execute()
    return (None if token is None else lossy_text(token)), (life / 1000 if life >= 0 else None)
