"""A scheduler process that does not lead: how it comes, waits to lead, and goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from ..exceptions import SchedulerLockedError
from .inbox import Inbox
from .lock import is_unanswered, release_unanswered
from .outage import Outage, is_passing
from .probe import probe
from .systemd import notify

if TYPE_CHECKING:
    from ..scheduler import RedisCronScheduler

STANDBY_INTERVAL = 0.5
"""Seconds between a standby's attempts to lead: a clean hand-over takes no longer."""


class Standby:
    """What a scheduler process does as long as it does not lead, or not any more."""

    def __init__(self, scheduler: RedisCronScheduler) -> None:
        self.scheduler = scheduler
        self._reset()

    def _reset(self) -> None:
        self._inbox = Inbox()
        self._registered = self._probed = False
        self._outage = Outage(self.scheduler.log, self.scheduler.name)

    def stop(self) -> None:
        self._inbox.stop()

    def _be_born(self) -> None:
        """Take the lock; where Redis is away, try again for as long as a lock lives.

        It may be ours already, for all that we know, though no answer came.
        """
        until = time.monotonic() + self.scheduler.lock_ttl
        self._outage.at_start = True
        while not self._inbox.stopping:
            self._outage.attempt()
            try:
                self._probe()
                self.scheduler.register_birth()
            except (RedisError, OSError) as error:
                if not is_passing(error) or time.monotonic() > until:
                    raise
                self._endure(error)
            else:
                self._registered = True
                self._outage.over()
                self._outage.at_start = False
                return

    def _stand_by(self) -> None:
        """Wait until the lock is ours, or until asked to stop."""
        announced = False
        while not self._inbox.stopping:
            self._outage.attempt()
            try:
                locked = self._bid()
                self._outage.over()
                if locked is None:
                    self.scheduler.log.info("Scheduler %s: leads", self.scheduler.name)
                    return
                if not announced:
                    announced = True
                    self.scheduler.log.info(
                        "Scheduler %s: standing by: %s", self.scheduler.name, locked
                    )
                    notify("READY=1")
                notify("WATCHDOG=1\nSTATUS=standing by")
                self._inbox.wait(STANDBY_INTERVAL)
            except (RedisError, OSError) as error:
                self._endure(error)

    def _bid(self) -> SchedulerLockedError | None:
        """Try to lead. Returns why not."""
        scheduler = self.scheduler
        self._probe()
        try:
            scheduler.register_birth()
        except SchedulerLockedError as locked:
            if locked.holder != scheduler.name:  # else the entry is that of a namesake, who leads
                scheduler.enter_registry()
                self._registered = True
            return locked
        self._registered = True
        return None

    def _probe(self) -> None:
        """Once, before we lead: a server that can never do must not seem to be away."""
        if not self._probed:
            probe(self.scheduler._client)
            self._probed = True

    def _endure(self, error: Exception) -> None:
        """Redis is away: wait a little."""
        pause = self._outage.failed(error)
        # Those that are left may lead to a server that is no master any more.
        self.scheduler._client.connection_pool.disconnect(inuse_connections=False)
        notify("WATCHDOG=1\nSTATUS=waiting for Redis")
        if not self._inbox.stopping:
            self._inbox.wait(pause)

    def _leave(self) -> None:
        """Give up the lock and the entry in the registry, unless Redis has just kept us waiting."""
        scheduler = self.scheduler
        if not (self._registered or is_unanswered(scheduler._client)):
            return
        if not self._outage.timed_out:
            self._outage.attempt()
            try:
                release_unanswered(scheduler._client)
                if self._registered:
                    scheduler.register_death()
                self._outage.over()
                return
            except (RedisError, OSError) as error:
                self._outage.failed(error)
        scheduler.log.warning(
            "Scheduler %s: could not sign off; a lock that it holds expires within %s s",
            scheduler.name,
            scheduler.lock_ttl,
        )
        scheduler._lock = None
