"""The life of a scheduler process: waiting to lead, leading through Redis's bad days, leaving."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from secrets import token_hex

from redis.exceptions import RedisError
from rq.exceptions import StopRequested

from ..dispatch.batch import LockLostError
from ..dispatch.next_times import Rule, after_foreign_change, after_step_back
from ..exceptions import LeadershipLostError, SchedulerLockedError
from ..store import listing as store
from ..store import rules
from ..store.keys import INDEXED, LAST_UPDATE
from ..store.steps import WorkEndedError
from .inbox import Signals
from .listener import ChangeListener
from .standby import Standby
from .systemd import notify, watchdog_interval

HEARTBEATS_PER_TTL = 3
"""A heartbeat may come late by two thirds of the lock's life before the lock is lost."""

CLOCK_TOLERANCE = 1.0
"""Seconds by which the wall clock may go back without notice."""

RENEWALS = 3
"""How often a schedule is looked at that somebody changes while all are timed anew."""

REDIS_LOSS_MARKER = "seen"
"""A field of our own in the hash that RQ keeps of a scheduler: a random text for its latest sync.
Where Redis lost its data it is gone, and where it went back to older data it is another one."""

REGISTRY_TTL = 120
"""Seconds; RQ's own number: so long after its last heartbeat RQ forgets a scheduler."""


class Leading(Standby):
    """One scheduler's `start`: nothing but its inbox is touched by signals and other threads."""

    def _reset(self) -> None:
        super()._reset()
        self._marker = ""
        self._clock = time.time()
        self._watchdog = watchdog_interval()
        self._beat = self._told = time.monotonic()
        self._index_was_empty = True
        # In the next round, and again if Redis goes away meanwhile.
        self._repair_wanted = self._rules_wanted = False

    def live(self, *, burst: bool, standby: bool) -> None:
        scheduler = self.scheduler
        scheduler.log.info("Scheduler %s: starting", scheduler.name)
        try:
            with Signals(self._inbox):
                self._live(burst=burst, standby=standby)
        finally:
            self._reset()
        scheduler.log.info("Scheduler %s: shutdown complete", scheduler.name)

    def _live(self, *, burst: bool, standby: bool) -> None:
        try:
            if standby:
                self._stand_by()
            else:
                self._be_born()
            if not self._inbox.stopping:
                self._lead(burst=burst, standby=standby)
        finally:
            notify("STOPPING=1")
            self._leave()

    def keep_alive(self) -> None:
        """Between two steps of long work: show that we live, and stop where that is wanted.

        Raises `WorkEndedError`, also where the lock is lost.
        """
        if self._inbox.stopping:
            raise WorkEndedError
        moment = time.monotonic()
        if self._watchdog is not None and moment - self._told >= self._watchdog / 2:
            self._tell_watchdog()
        if moment - self._beat >= self._heartbeat_interval and self.scheduler._lock is not None:
            self._heartbeat()

    @property
    def _heartbeat_interval(self) -> float:
        """Seconds."""
        return min(self.scheduler.lock_ttl, REGISTRY_TTL) / HEARTBEATS_PER_TTL

    def _heartbeat(self) -> None:
        self._beat = time.monotonic()
        try:
            self.scheduler.heartbeat()
        except StopRequested:
            self.scheduler._lock = None
            raise WorkEndedError from None

    def _tell_watchdog(self) -> None:
        self._told = time.monotonic()
        notify("WATCHDOG=1\nSTATUS=leading")

    # Leading

    def _lead(self, *, burst: bool, standby: bool) -> None:
        """Pass after pass, until asked to stop.

        Raises `LeadershipLostError` where another scheduler took over, unless it may stand by.
        """
        self._inbox.sync_wanted = True  # nobody but the leader writes what is declared
        self._repair_wanted = self._rules_wanted = True
        if burst:
            self._lead_once()
            return
        notify("READY=1")  # from now on the watchdog expects to be told
        self._attempt(self._sync)
        listener = ChangeListener(self.scheduler._client, self._changed)
        listener.start()
        try:
            self._reign(standby=standby)
        finally:
            listener.stop()

    def _lead_once(self) -> None:
        """One pass, begun again where the lock was lost meanwhile."""
        while not self._inbox.stopping:
            try:
                if self.scheduler._lock is None:
                    self._regain_lock(standby=False)
                if self._rules_wanted:
                    self._adopt_rules()
                if self._inbox.sync_wanted:
                    self._sync()
                if self._repair_wanted:
                    self._repair()
                self._pass()
                return
            except LockLostError:
                self.scheduler._lock = None
            except WorkEndedError:
                pass

    def _reign(self, *, standby: bool) -> None:
        while not self._inbox.stopping:
            if self.scheduler._lock is None:
                self._attempt(partial(self._regain_lock, standby=standby))
            else:
                self._attempt(self._work)

    def _attempt(self, work: Callable[[], None]) -> None:
        """Do this, and survive where the lock is lost or Redis is away."""
        self._outage.attempt()
        try:
            work()
        except LockLostError:
            self.scheduler._lock = None
        except WorkEndedError:
            pass
        except (RedisError, OSError) as error:
            self._endure(error)

    def _work(self) -> None:
        """One pass, a heartbeat, what else is wanted, and sleep until there is something to do."""
        scheduler = self.scheduler
        if self._rules_wanted:
            self._adopt_rules()
        self._take_in_changes()
        if self._repair_wanted:
            self._repair()
        self._watch_clock()
        self._pass()
        self._watch_clock()
        self._heartbeat()
        self._watch_data()
        if self._inbox.sync_wanted:
            self._sync()  # after the heartbeat: a program's own client may be slow to give up
        pause = min(scheduler.calculate_sleep_interval(), self._heartbeat_interval)
        self._watch_index()
        if self._watchdog is not None:
            pause = min(pause, self._watchdog / 2)
        self._outage.over()
        self._tell_watchdog()
        self._watch_clock()  # else a pause until a time that is far away again
        self._inbox.wait(0 if self._repair_wanted else pause)
        self._watch_clock()

    def _pass(self) -> None:
        scheduler = self.scheduler
        if scheduler._lock is None:
            raise LockLostError
        token = scheduler._lock.token
        for _ in scheduler._dispatcher.enqueue_due(token, scheduler.lock_ttl):
            self.keep_alive()

    def _take_in_changes(self) -> None:
        """What another program wrote, which does not keep our indexes, is entered now."""
        client = self.scheduler._client
        inbox = self._inbox
        if inbox.changed_ids or inbox.changes_missed:
            indexed, updated = client.mget(INDEXED, LAST_UPDATE)
            if indexed != updated:
                store.index_missing(inbox.changed_ids, client, self.keep_alive)
                self._retime(list(inbox.changed_ids), after_foreign_change)
                self._repair_wanted |= inbox.changes_missed
            inbox.forget_changes()

    def _repair(self) -> None:
        """Make the indexes true, go on from a clock that was set back, and try what failed."""
        scheduler = self.scheduler
        report = store.reindex(scheduler._client, self.keep_alive)
        if report.restored or report.pruned:
            scheduler.log.warning(
                "Scheduler %s: repaired the index: %d schedules put back, %d stale members removed",
                scheduler.name,
                report.restored,
                report.pruned,
            )
        self._retime(report.ahead, after_step_back)
        self._retime(report.foreign, after_foreign_change)
        store.retry_failed(scheduler._client, self.keep_alive)
        self._repair_wanted = False

    def _adopt_rules(self) -> None:
        """Time anew what was computed where the clocks do something else than here."""
        client = self.scheduler._client
        stored = rules.read_rules(client)
        if not rules.are_ours(stored):
            renewal = rules.begin_renewal(stored, client)
            left = store.waiting_ids(client)
            for _ in range(RENEWALS):
                left = self._retime(left, renewal)
            rules.end_renewal(renewal, client)
        self._rules_wanted = False

    def _retime(self, ids: list[str], rule: Rule) -> list[str]:
        """Returns those that somebody changed meanwhile."""
        scheduler = self.scheduler
        if not ids:
            return []
        if scheduler._lock is None:
            raise LockLostError
        token = scheduler._lock.token
        dispatcher, ttl = scheduler._dispatcher, scheduler.lock_ttl
        return dispatcher.retime(ids, rule, token, ttl, self.keep_alive)

    def _sync(self) -> None:
        scheduler = self.scheduler
        if self._rules_wanted:
            self._adopt_rules()
        try:
            if scheduler.sync is not None:
                scheduler.sync()
        except (RedisError, OSError):
            raise
        except Exception:  # a program's own code: its schedules are as they were
            scheduler.log.exception("Scheduler %s: syncing failed", scheduler.name)
        marker = token_hex(8)
        scheduler._client.hset(scheduler.key, REDIS_LOSS_MARKER, marker)
        self._marker = marker
        self._inbox.sync_wanted = False

    def _regain_lock(self, *, standby: bool) -> None:
        """Redis may have lost the lock, perhaps with all its data."""
        scheduler = self.scheduler
        scheduler._lock = None
        try:
            scheduler.register_birth()
        except SchedulerLockedError as locked:
            self._registered &= locked.holder != scheduler.name  # else a namesake's entry by now
            if not standby:
                raise LeadershipLostError(locked.holder, locked.expires_in) from None
            scheduler.log.warning("Scheduler %s: lost the lock: %s", scheduler.name, locked)
            self._stand_by()
            self._inbox.sync_wanted = self._repair_wanted = self._rules_wanted = True
            self._marker = ""
            return
        # After an outage longer than its life that is no news.
        level = logging.INFO if self._outage else logging.WARNING
        scheduler.log.log(level, "Scheduler %s: took the lost lock again", scheduler.name)
        self._rules_wanted = True  # another one may have led meanwhile

    def _watch_data(self) -> None:
        """Where Redis lost what was written since the latest sync, declare and repair it again.

        It may have been restarted between two commands, so that nothing but the mark tells.
        """
        scheduler = self.scheduler
        found = scheduler._client.hget(scheduler.key, REDIS_LOSS_MARKER)
        if self._marker and found != self._marker.encode():
            scheduler.log.info("Scheduler %s: Redis lost the latest sync", scheduler.name)
            self._inbox.sync_wanted = self._repair_wanted = self._rules_wanted = True

    def _watch_clock(self) -> None:
        """Where it was set back, what was timed by it before waits for far too long."""
        before, self._clock = self._clock, time.time()
        if self._clock < before - CLOCK_TOLERANCE:
            log, name = self.scheduler.log, self.scheduler.name
            log.warning("Scheduler %s: the clock was set back", name)
            self._repair_wanted = True

    def _watch_index(self) -> None:
        """Where nothing waits any more, perhaps somebody deleted the index: look for it, once."""
        was_empty, self._index_was_empty = self._index_was_empty, self.scheduler._index_is_empty
        self._repair_wanted |= self._index_was_empty and not was_empty

    def _changed(self, id: str | None) -> None:
        if self.scheduler._lock is not None:  # a standby has no use for it
            self._inbox.changed(id)
