"""The lock that makes one scheduler the leader; its token fences what the scheduler writes."""

from __future__ import annotations

import uuid
from contextlib import suppress

from redis import Redis
from redis.exceptions import LockError
from redis.lock import Lock
from rq.utils import as_text

from .exceptions import SchedulerLockedError
from .keys import LOCK


class LeaderLock:
    """redis-py's own lock under our key, with the scheduler's name in the token."""

    def __init__(self, connection: Redis, name: str, ttl: float) -> None:
        self.connection = connection
        self.token = f"{name}:{uuid.uuid4().hex}"
        self._lock = Lock(connection, LOCK, timeout=ttl, thread_local=False)

    def acquire(self) -> None:
        """Take the lock. Raises `SchedulerLockedError` where another scheduler holds it."""
        if self._lock.acquire(blocking=False, token=self.token):
            return
        holder, expires_in = lock_holder(self.connection)
        if holder == self.token:  # taken, but the reply was lost and redis-py asked again
            self._lock.local.token = self.token.encode()
            return
        if holder is None:  # it was released in this very moment
            self.acquire()
            return
        raise SchedulerLockedError(holder.rpartition(":")[0] or holder, expires_in)

    def extend(self) -> bool:
        """Give the lock its whole TTL again. False where it is not ours any more."""
        try:
            return self._lock.reacquire()
        except LockError:
            return False

    def release(self) -> None:
        """Give the lock up, if it is still ours."""
        with suppress(LockError):
            self._lock.release()


def lock_holder(connection: Redis) -> tuple[str | None, float | None]:
    """The token that holds the lock (None: free), and the seconds until it expires."""
    with connection.pipeline() as pipe:
        pipe.get(LOCK)
        pipe.pttl(LOCK)
        token, life = pipe.execute()
    return (None if token is None else as_text(token)), (life / 1000 if life >= 0 else None)
