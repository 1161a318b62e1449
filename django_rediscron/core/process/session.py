"""A scheduler in Redis: the lock by which it leads, and its entry in RQ's registry."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from secrets import token_hex
from typing import Protocol

from redis import Redis
from redis.client import Pipeline

from ..dispatch.protocol import LockLostError
from ..store.keys import SCHEDULERS, scheduler_key
from ..story.counts import PassCounts
from .identity import identity
from .lock import LeaderLock
from .rq_pages import NONE, RqPages

REGISTRY_TTL = 120
"""Seconds; RQ's own number: so long after its last heartbeat RQ forgets a scheduler."""

HEARTBEATS_PER_TTL = 3
"""A heartbeat may be late by two thirds of the lock's TTL before the lock is lost."""

REDIS_LOSS_MARKER = "seen"
"""A field of ours in the hash that RQ keeps of a scheduler: a random text for its latest sync.
It is gone if Redis lost its data, and another one if Redis went back to older data."""


class Scheduler(Protocol):
    """What leading and standing by call on a scheduler, as programs may override it."""

    log: logging.Logger
    sync: Callable[[], object] | None

    def register_birth(self) -> None: ...
    def heartbeat(self) -> None: ...
    def register_death(self) -> None: ...
    def calculate_sleep_interval(self) -> float: ...


class Session:
    """What other processes see of a scheduler, and the client by which they do.

    `write_entry(pipe)` writes what RQ keeps of the scheduler, with `fields()` in it.
    """

    def __init__(
        self,
        client: Redis,
        name: str,
        lock_ttl: float,
        write_entry: Callable[[Pipeline], object],
    ) -> None:
        self.client = client
        self.name = name
        self.key = scheduler_key(name)
        self.lock_ttl = lock_ttl
        self.marker = ""
        """What the entry has as `REDIS_LOSS_MARKER`; empty if that is not known."""
        self.passes = PassCounts()
        """Those of this process that the next heartbeat counts in Redis."""
        self.rq_pages = RqPages(client)
        self._write_entry = write_entry
        self._lock = LeaderLock(client, name)

    @property
    def is_leading(self) -> bool:
        """Whether this scheduler holds the lock, as far as it knows."""
        return self._lock.token != ""

    @property
    def token(self) -> str:
        """The token that fences writes. Raises `LockLostError` if this scheduler does not lead."""
        if not self.is_leading:
            raise LockLostError
        return self._lock.token

    @property
    def held_token(self) -> str:
        """The same; empty if this scheduler does not lead."""
        return self._lock.token

    def tell_of_reign(self, is_told: bool) -> None:
        """Whether receivers are told that this scheduler leads; by default they are."""
        self._lock.is_told = is_told

    @property
    def role(self) -> str:
        """`leader` or `standby`."""
        return "leader" if self.is_leading else "standby"

    @property
    def heartbeat_interval(self) -> float:
        """Seconds between two heartbeats of a leader."""
        return min(self.lock_ttl, REGISTRY_TTL) / HEARTBEATS_PER_TTL

    def fields(self) -> dict[str, str]:
        """What the entry says: its role, which process it is, and, of a leader, its schedules."""
        jobs = self.rq_pages.jobs if self.is_leading else NONE
        return {"role": self.role, "token": self._lock.token, "cron_jobs": jobs, **identity()}

    def lead(self) -> None:
        """Take the lock and enter the registry.

        Raises `SchedulerLockedError`, before anything is entered, if another scheduler holds it.
        """
        self._lock.acquire(self.lock_ttl)
        try:
            self.enter_registry()
        except BaseException:
            self._lock.release()
            raise

    def enter_registry(self) -> None:
        """Enter RQ's registry, or replace the entry there, as leader or standby."""
        with self.client.pipeline() as pipe:
            pipe.zremrangebyscore(SCHEDULERS, 0, time.time() - REGISTRY_TTL)
            pipe.zadd(SCHEDULERS, {self.name: time.time()})
            self._write_entry(pipe)
            pipe.execute()

    def heartbeat(self) -> bool:
        """Extend the lock and the entry. False if the lock is no longer ours."""
        if not self._lock.extend(self.lock_ttl):
            return False
        with self.client.pipeline(transaction=False) as pipe:
            pipe.zadd(SCHEDULERS, {self.name: time.time()})
            pipe.expire(self.key, REGISTRY_TTL)
            self.passes.write(pipe)
            _, known, *_ = pipe.execute()
        if not known:  # Redis lost it, or this machine slept for longer
            self.enter_registry()
        return True

    def renew_marker(self) -> bool:
        """Write another marker into the entry. False if the one before was lost."""
        before, self.marker = self.marker, ""  # not known if no answer comes
        marker = token_hex(8)
        with self.client.pipeline() as pipe:
            pipe.hget(self.key, REDIS_LOSS_MARKER)
            pipe.hset(self.key, REDIS_LOSS_MARKER, marker)
            found, _ = pipe.execute()
        self.marker = marker
        return bool(found == before.encode())

    def has_marker(self) -> bool:
        """Whether the entry still has the marker."""
        return bool(self.client.hget(self.key, REDIS_LOSS_MARKER) == self.marker.encode())

    def lose_lock(self) -> None:
        """Note that this scheduler no longer leads; nothing is written."""
        self._lock.lose()

    def leave(self, pipeline: Pipeline | None = None) -> None:
        """Leave the registry and release the lock, if it is, or may be, ours."""
        client = self.client if pipeline is None else pipeline
        self.passes.write(client)
        client.zrem(SCHEDULERS, self.name)
        client.delete(self.key)
        self._lock.release()

    @property
    def may_hold_lock(self) -> bool:
        """Whether Redis did not answer the latest attempt to take or release the lock."""
        return self._lock.is_unanswered

    def release_unanswered(self) -> None:
        """Release the lock that it may hold without having been told so."""
        if self._lock.is_unanswered:
            self._lock.release()
