"""A scheduler process that does not lead: how it starts, waits for its turn, and signs off."""

from __future__ import annotations

import time

from redis.exceptions import RedisError

from ..exceptions import SchedulerLockedError
from ..store.connections import is_passing
from .inbox import Inbox
from .outage import Outage, probe
from .session import Scheduler, Session
from .systemd import notify

STANDBY_INTERVAL = 0.5
"""Seconds between a standby's attempts to lead: a clean hand-over takes no longer."""


class Standby:
    """What a scheduler process does while it does not lead, or no longer leads."""

    def __init__(
        self, scheduler: Scheduler, session: Session, inbox: Inbox, outage: Outage
    ) -> None:
        self._scheduler = scheduler
        self._session = session
        self._inbox = inbox
        self._outage = outage
        self._registered = self._probed = False

    def lead_at_once(self) -> None:
        """Take the lock; if Redis is unavailable, try again for as long as a lock lives.

        Raises `SchedulerLockedError`. An attempt that was not answered may have taken the lock.
        """
        until = time.monotonic() + self._session.lock_ttl
        self._outage.at_start = True
        while not self._inbox.stopping:
            self._outage.attempt()
            try:
                self.bid()
            except (RedisError, OSError) as error:
                if not is_passing(error) or time.monotonic() > until:
                    raise
                self.wait_for_redis(error)
            else:
                self._outage.over()
                self._outage.at_start = False
                return

    def wait_to_lead(self) -> None:
        """Wait until this scheduler has the lock, or is asked to stop."""
        log, name = self._scheduler.log, self._session.name
        announced = False
        while not self._inbox.stopping:
            self._outage.attempt()
            try:
                locked = self._bid_as_standby()
                self._outage.over()
                if locked is None:
                    log.info("Scheduler %s: leads", name)
                    return
                if not announced:
                    announced = True
                    log.info("Scheduler %s: standing by: %s", name, locked)
                    notify("READY=1")
                notify("WATCHDOG=1\nSTATUS=standing by")
                self._inbox.wait(STANDBY_INTERVAL)
            except (RedisError, OSError) as error:
                self.wait_for_redis(error)

    def _bid_as_standby(self) -> SchedulerLockedError | None:
        """Try to lead, else show in the registry that this one stands by. Returns why it does."""
        try:
            self.bid()
        except SchedulerLockedError as locked:
            if locked.holder != self._session.name:  # else the entry is that of a leading namesake
                self._session.enter_registry()
                self._registered = True
            return locked
        return None

    def bid(self) -> None:
        """Try to lead. Raises `SchedulerLockedError`."""
        self._probe()
        try:
            self._scheduler.register_birth()
        except SchedulerLockedError as locked:
            self._registered &= locked.holder != self._session.name
            raise
        self._registered = True

    def _probe(self) -> None:
        """Once, before it leads: an unsuitable server must not look like an outage."""
        if not self._probed:
            probe(self._session.client)
            self._probed = True

    def wait_for_redis(self, error: Exception) -> None:
        """Redis is unavailable: wait a little before the next attempt."""
        pause = self._outage.failed(error)
        # The idle connections may lead to a server that is no longer the master.
        self._session.client.connection_pool.disconnect(inuse_connections=False)
        notify("WATCHDOG=1\nSTATUS=waiting for Redis")
        if not self._inbox.stopping:
            self._inbox.wait(pause)

    def sign_off(self) -> None:
        """Release the lock and leave the registry, unless Redis has just failed to answer."""
        session = self._session
        if not (self._registered or session.may_hold_lock):
            return
        if not self._outage.timed_out:
            self._outage.attempt()
            try:
                session.release_unanswered()
                if self._registered:
                    self._scheduler.register_death()
                self._outage.over()
                return
            except (RedisError, OSError) as error:
                self._outage.failed(error)
        self._scheduler.log.warning(
            "Scheduler %s: could not sign off; a lock that it holds expires within %s s",
            session.name,
            session.lock_ttl,
        )
        session.lose_lock()
