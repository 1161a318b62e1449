"""The lock that makes one scheduler the leader; its token fences what the scheduler writes."""

from __future__ import annotations

import uuid
from contextlib import suppress
from weakref import WeakKeyDictionary

from redis import Redis
from redis.exceptions import LockError
from redis.lock import Lock

from ..exceptions import SchedulerLockedError
from ..schedule.texts import shown_bytes
from ..store.keys import LOCK
from ..store.scripts import Script, run_script
from .identity import died_here

REPLACE_LOCK = Script("replace_lock")

_unanswered: WeakKeyDictionary[Redis, str] = WeakKeyDictionary()
"""By client: a token that may hold the lock without anybody knowing, as Redis did not answer."""


class LeaderLock:
    """redis-py's own lock under our key, with the scheduler's name in the token.

    `connection` is the scheduler's own: where an attempt to take or release the lock was not
    answered, the next one goes on with its token.
    """

    def __init__(self, connection: Redis, name: str, ttl: float) -> None:
        self.connection = connection
        self.ttl = ttl
        self.token = _unanswered.get(connection) or f"{name}:{uuid.uuid4().hex}"
        self._lock = Lock(connection, LOCK, timeout=ttl, thread_local=False)

    def acquire(self) -> None:
        """Take the lock. Raises `SchedulerLockedError` where another scheduler holds it.

        A holder that ran on this machine and died is replaced at once.
        """
        _unanswered[self.connection] = self.token
        try:
            self._acquire()
        except SchedulerLockedError:
            del _unanswered[self.connection]
            raise
        del _unanswered[self.connection]

    def _acquire(self) -> None:
        while not self._lock.acquire(blocking=False, token=self.token):
            holder, expires_in = lock_holder(self.connection)
            if holder is None:
                continue  # released in this very moment
            if holder != self.token and not self._replace_dead(holder):
                raise SchedulerLockedError(holder_name(holder), expires_in)
            # Ours, though redis-py does not know: the reply was lost, or it was handed on.
            self._lock.local.token = self.token.encode()
            if self.extend():  # for some of its life may be over
                return

    def _replace_dead(self, holder: str) -> bool:
        if not died_here(holder_name(holder), self.connection, holder):
            return False
        arguments = [holder, self.token, int(self.ttl * 1000)]
        return bool(run_script(self.connection, REPLACE_LOCK, [LOCK], arguments))

    def extend(self) -> bool:
        """Give the lock its whole TTL again. False where it is not ours any more."""
        try:
            return self._lock.reacquire()
        except LockError:
            return False

    def release(self) -> None:
        """Give the lock up, if it is still ours."""
        _unanswered[self.connection] = self.token
        release_unanswered(self.connection)


def is_unanswered(connection: Redis) -> bool:
    """Whether this client may hold the lock, because an attempt to take or release it failed."""
    return connection in _unanswered


def release_unanswered(connection: Redis) -> None:
    """Release the lock if this client took it, or gave it up, without hearing an answer."""
    token = _unanswered.get(connection)
    if token is not None:
        lock = Lock(connection, LOCK, timeout=1, thread_local=False)
        lock.local.token = token.encode()
        with suppress(LockError):
            lock.release()
        del _unanswered[connection]


def lock_holder(connection: Redis) -> tuple[str | None, float | None]:
    """The token that holds the lock (None: free), and the seconds until it expires."""
    with connection.pipeline() as pipe:
        pipe.get(LOCK)
        pipe.pttl(LOCK)
        token, life = pipe.execute()
    return (None if token is None else shown_bytes(token)), (life / 1000 if life >= 0 else None)


def holder_name(token: str) -> str:
    """The name of the scheduler that a token belongs to."""
    return token.rpartition(":")[0] or token
