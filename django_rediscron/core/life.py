"""The life of a scheduler process: waiting to lead, leading through Redis's bad days, leaving."""

from __future__ import annotations

import queue
import random
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError
from rq.exceptions import StopRequested

from . import store
from .batch import LockLostError
from .exceptions import LeadershipLostError, SchedulerLockedError
from .keys import INDEXED, LAST_UPDATE
from .listener import ChangeListener
from .notify import notify

if TYPE_CHECKING:
    from .scheduler import RedisCronScheduler

HEARTBEATS_PER_TTL = 3
"""A heartbeat may come late by two thirds of the lock's life before the lock is lost."""

STANDBY_INTERVAL = 0.5
"""Seconds between a standby's attempts to lead: a clean hand-over takes no longer."""

MAX_BACK_OFF = 1.0
"""Seconds between attempts while Redis is away: it is to be noticed soon when it is back."""

CLOCK_TOLERANCE = 1.0
"""Seconds by which the wall clock may go back without notice."""

_STOP, _SYNC = "stop", "sync"


class Life:
    """One scheduler's `start`. Signals and other threads leave word in its inbox, and nothing else:
    they may come at any moment, in the middle of a command too."""

    def __init__(self, scheduler: RedisCronScheduler) -> None:
        self.scheduler = scheduler
        self._reset()

    def _reset(self) -> None:
        self._inbox: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
        self._stopping = False
        self._sync_wanted = False
        self._trouble: float | None = None  # since when Redis is away, by the monotonic clock
        self._attempts = 0
        self._clock = time.time()

    def stop(self) -> None:
        self._stopping = True
        self._inbox.put((_STOP, None))

    def live(self, *, burst: bool, standby: bool) -> None:
        scheduler = self.scheduler
        scheduler.log.info("Scheduler %s: starting", scheduler.name)
        handlers = self._install_handlers()
        try:
            if not standby:
                scheduler.register_birth()
            try:
                if standby:
                    self._stand_by()
                self._lead(burst=burst, standby=standby)
            finally:
                notify("STOPPING=1")
                self._leave()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._reset()
        scheduler.log.info("Scheduler %s: shutdown complete", scheduler.name)

    # Leading

    def _lead(self, *, burst: bool, standby: bool) -> None:
        """Pass after pass, until asked to stop.

        Raises `LeadershipLostError` where another scheduler took over, if it may not stand by.
        """
        if burst:
            self._repair()
            try:
                self._pass()
            except LockLostError:
                self._regain_lock(standby=False)
                self._pass()
            return
        listener = ChangeListener(self.scheduler._client, self._changed)
        listener.start()
        try:
            self._reign(standby=standby)
        finally:
            listener.stop()

    def _reign(self, *, standby: bool) -> None:
        fresh = True  # it begins with repairs
        while not self._stopping:
            try:
                if fresh:
                    self._repair()
                    fresh = False
                    notify("READY=1")
                self._work()
            except (LockLostError, StopRequested):
                fresh = True
                self._regain_lock(standby=standby)
            except (RedisError, OSError) as error:
                self._endure(error)

    def _work(self) -> None:
        """One pass, a heartbeat, and sleep until there is something to do."""
        scheduler = self.scheduler
        self._pass()
        scheduler.heartbeat()
        pause = min(scheduler.calculate_sleep_interval(), scheduler.lock_ttl / HEARTBEATS_PER_TTL)
        self._recovered()
        notify("WATCHDOG=1\nSTATUS=leading")
        ids = self._wait(pause)
        if self._sync_wanted:
            self._sync()
        if ids:
            # What another program wrote, which does not keep our indexes, is entered now.
            indexed, updated = scheduler._client.mget(INDEXED, LAST_UPDATE)
            if indexed != updated:
                store.index_missing(ids, scheduler._client)
        if self._clock_was_set_back():
            scheduler.log.warning("Scheduler %s: the clock was set back", scheduler.name)
            self._repair()

    def _pass(self) -> None:
        scheduler = self.scheduler
        if scheduler._lock is None:
            raise LockLostError
        token = scheduler._lock.token
        for _ in scheduler._dispatcher.enqueue_due(token, scheduler.lock_ttl):
            if self._stopping:
                return

    def _repair(self) -> None:
        """Make the indexes true, and go on from a clock that was set back."""
        scheduler = self.scheduler
        report = store.reindex(scheduler._client)
        if report.restored or report.pruned:
            scheduler.log.warning(
                "Scheduler %s: repaired the index: %d schedules put back, %d stale members removed",
                scheduler.name,
                report.restored,
                report.pruned,
            )
        if report.ahead and scheduler._lock is not None:
            scheduler._dispatcher.retime(report.ahead, scheduler._lock.token, scheduler.lock_ttl)

    def _regain_lock(self, *, standby: bool) -> None:
        """Redis may have lost the lock, perhaps with all its data."""
        scheduler = self.scheduler
        scheduler._lock = None
        try:
            scheduler.register_birth()
        except SchedulerLockedError as locked:
            if not standby:
                raise LeadershipLostError(locked.holder, locked.expires_in) from None
            scheduler.log.warning("Scheduler %s: lost the lock: %s", scheduler.name, locked)
            self._stand_by()
            return
        scheduler.log.warning("Scheduler %s: took the lost lock again", scheduler.name)
        self._sync()

    def _sync(self) -> None:
        self._sync_wanted = False
        scheduler = self.scheduler
        if scheduler.sync is None:
            return
        try:
            scheduler.sync()
        except (RedisError, OSError):
            self._sync_wanted = True
            raise
        except Exception:  # a program's own code: its schedules are as they were
            scheduler.log.exception("Scheduler %s: syncing failed", scheduler.name)

    def _clock_was_set_back(self) -> bool:
        before, self._clock = self._clock, time.time()
        return self._clock < before - CLOCK_TOLERANCE

    # Waiting

    def _stand_by(self) -> None:
        """Wait until the lock is ours, or until asked to stop."""
        scheduler = self.scheduler
        waiting = False
        while not self._stopping:
            try:
                scheduler.register_birth()
                self._recovered()
                scheduler.log.info("Scheduler %s: leads", scheduler.name)
                return
            except SchedulerLockedError as locked:
                if not waiting:
                    waiting = True
                    scheduler.log.info("Scheduler %s: stands by: %s", scheduler.name, locked)
                    notify("READY=1")
                with suppress(RedisError, OSError):
                    scheduler.enter_registry()
                self._recovered()
                notify("WATCHDOG=1\nSTATUS=standing by")
                self._wait(STANDBY_INTERVAL)
            except (RedisError, OSError) as error:
                self._endure(error)

    def _endure(self, error: Exception) -> None:
        """Redis is away: say so once, and wait a little."""
        scheduler = self.scheduler
        if self._trouble is None:
            self._trouble = time.monotonic()
            scheduler.log.error("Scheduler %s: Redis is in trouble: %s", scheduler.name, error)
        self._attempts += 1
        notify("WATCHDOG=1\nSTATUS=waiting for Redis")
        if not self._stopping:
            limit = min(MAX_BACK_OFF, 0.05 * 2 ** min(self._attempts, 9))
            self._wait(random.uniform(limit / 2, limit))

    def _recovered(self) -> None:
        if self._trouble is not None:
            away = time.monotonic() - self._trouble
            scheduler = self.scheduler
            scheduler.log.warning("Scheduler %s: Redis is back after %.1f s", scheduler.name, away)
        self._trouble, self._attempts = None, 0

    def _wait(self, seconds: float) -> set[str]:
        """Wait for word, at most so long; returns the ids of schedules that changed."""
        ids: set[str] = set()
        timeout: float | None = max(0.0, seconds)
        while True:
            try:
                word, id = self._inbox.get(block=bool(timeout), timeout=timeout or None)
            except queue.Empty:
                return ids
            timeout = None
            if word == _SYNC:
                self._sync_wanted = True
            elif id is not None:
                ids.add(id)

    def _changed(self, id: str | None) -> None:
        self._inbox.put(("changed", id))

    # Signals, and the end

    def _install_handlers(self) -> dict[int, Any]:
        """Returns the handlers that stood before; none where this is not the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        ours = {
            signal.SIGINT: self._stop_on_signal,
            signal.SIGTERM: self._stop_on_signal,
            signal.SIGHUP: self._sync_on_signal,
        }
        return {number: signal.signal(number, handler) for number, handler in ours.items()}

    def _stop_on_signal(self, number: int, frame: Any) -> None:
        self.stop()

    def _sync_on_signal(self, number: int, frame: Any) -> None:
        self._inbox.put((_SYNC, None))

    def _leave(self) -> None:
        scheduler = self.scheduler
        if self._trouble is None:
            try:
                scheduler.register_death()
                return
            except (RedisError, OSError) as error:
                scheduler.log.error("Scheduler %s: Redis is in trouble: %s", scheduler.name, error)
        scheduler.log.warning(
            "Scheduler %s: could not sign off; a lock that it holds expires within %s s",
            scheduler.name,
            scheduler.lock_ttl,
        )
        scheduler._lock = None
