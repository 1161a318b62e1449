"""A scheduler process that leads: pass after pass, and all that keeps its schedules true."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from redis.exceptions import RedisError
from rq.exceptions import StopRequested

from ..dispatch.dispatcher import Dispatcher
from ..dispatch.protocol import LockLostError
from ..exceptions import LeadershipLostError, SchedulerLockedError
from ..notifying.threads import Notifying
from ..store.scripts import WorkEndedError
from ..story.following import Following
from ..story.outside import OutsideWatch
from .enabling import Enabling
from .inbox import Inbox
from .listener import ChangeListener
from .outage import Outage
from .pausing import Pausing
from .repairs import Repairs
from .session import Scheduler, Session
from .standby import Standby
from .systemd import Watchdog, notify

SYNCS = 2
"""At most in a row, if Redis loses data during one."""

FINISH_POLL = 0.05
LONGEST_FINISH = 30.0
"""Seconds that a burst goes on at most to tell its receivers; the next leader does the rest."""


class Leading:
    """What a scheduler process does while it leads.

    If it loses the lock, it takes it again, or waits for it as `standby`.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        session: Session,
        dispatcher: Dispatcher,
        following: Following,
        notifying: Notifying,
        inbox: Inbox,
        outage: Outage,
        standby: Standby,
    ) -> None:
        self._scheduler = scheduler
        self._session = session
        self._dispatcher = dispatcher
        self._following = following
        self._notifying = notifying
        self._inbox = inbox
        self._outage = outage
        self._standby = standby
        self._enabling = Enabling(session.client)
        self._pausing = Pausing(session.client)
        self._outside = OutsideWatch(session.client, dispatcher.memory.suspects)
        self._watchdog = Watchdog()
        self._latest_heartbeat = time.monotonic()
        self._repairs = Repairs(scheduler.log, session, dispatcher, self._outside, self.keep_alive)

    def keep_alive(self) -> None:
        """Between two steps of long work: send the heartbeat and the notice to systemd if due.

        Raises `WorkEndedError` if this scheduler was asked to stop or lost the lock.
        """
        if self._inbox.stopping:
            raise WorkEndedError
        self._watchdog.tell_if_due()
        waited = time.monotonic() - self._latest_heartbeat
        if waited >= self._session.heartbeat_interval and self._session.is_leading:
            self._heartbeat()

    def _heartbeat(self) -> None:
        self._latest_heartbeat = time.monotonic()
        try:
            self._scheduler.heartbeat()
        except StopRequested:
            self._session.lose_lock()
            raise WorkEndedError from None

    # Rounds

    def lead(self, *, burst: bool, standby: bool) -> None:
        """Pass after pass, until asked to stop; with `burst`, one pass.

        Raises `LeadershipLostError` if another scheduler took over, unless it may stand by.
        """
        self._begin_anew()
        self._notifying.start()
        try:
            if burst:
                self._lead_once()
            else:
                self._lead_on(standby=standby)
        finally:
            self._notifying.stop()

    def _lead_on(self, *, standby: bool) -> None:
        notify("READY=1")  # from now on the watchdog expects to be told
        self._attempt(self._sync)
        listener = ChangeListener(self._session.client, self._changed)
        listener.start()
        try:
            while not self._inbox.stopping:
                if self._session.is_leading:
                    self._attempt(self._work)
                else:
                    self._attempt(partial(self._regain_lock, standby=standby))
        finally:
            listener.stop()

    def _begin_anew(self) -> None:
        """Nothing is known of what Redis holds, and only the leader writes what is declared."""
        self._session.marker = ""
        self._outside.begin()
        self._inbox.sync_wanted = True
        self._repairs.want_all()

    def _lead_once(self) -> None:
        """One pass, begun again if the lock was lost meanwhile."""
        while not self._inbox.stopping:
            try:
                if not self._session.is_leading:
                    self._regain_lock(standby=False)
                self._notifying.register()
                if self._repairs.rules_wanted:
                    self._repairs.adopt_rules()
                if self._inbox.sync_wanted:
                    self._sync()
                if self._repairs.repair_wanted:
                    self._repairs.repair()
                self._pass()
                while self._outside.step():
                    self.keep_alive()
                if self._following.sweep(self._session.token, self.keep_alive):
                    self._finish_telling()
                    return
                self._session.lose_lock()
            except LockLostError:
                self._session.lose_lock()
            except WorkEndedError:
                pass

    def _finish_telling(self) -> None:
        """Tell the receivers what there is."""
        self._notifying.finish()
        until = time.monotonic() + LONGEST_FINISH
        while self._notifying.is_telling and time.monotonic() < until:
            self.keep_alive()
            self._inbox.wait(FINISH_POLL)

    def _attempt(self, work: Callable[[], None]) -> None:
        """Do this, and carry on if the lock is lost or Redis is unavailable."""
        self._outage.attempt()
        try:
            work()
        except LockLostError:
            self._session.lose_lock()
        except WorkEndedError:
            pass
        except (RedisError, OSError) as error:
            self._standby.wait_for_redis(error)

    def _work(self) -> None:
        """One pass, a heartbeat, what else is wanted, and sleep until there is something to do."""
        self._notifying.register()
        if self._repairs.rules_wanted:
            self._repairs.adopt_rules()
        self._repairs.take_in_changes(self._inbox)
        if self._repairs.repair_wanted:
            self._repairs.repair()
        self._repairs.watch_clock()
        self._pass()
        self._repairs.watch_clock()
        self._heartbeat()
        self._watch_data()
        if self._inbox.sync_wanted:
            self._sync()  # after the heartbeat: a program's own client may be slow to give up
        pause = self._scheduler.calculate_sleep_interval()
        pause = min(pause, self._session.heartbeat_interval, self._watchdog.pause)
        self._repairs.watch_index()
        self._outage.over()
        self._watchdog.tell()
        self._outside.step()
        self._repairs.watch_clock()  # else a pause until a time that is far away again
        self._rest(0 if self._repairs.repair_wanted else pause)
        self._repairs.watch_clock()

    def begin_pass(self) -> None:
        """What a pass has to find as it is meant to be by now. Raises `LockLostError`."""
        self._pausing.begin_pass(self._session.token, self.keep_alive)
        self._enabling.step(self._session.token)

    def end_pass(self) -> None:
        """What can be forgotten after a pass. Raises `LockLostError`."""
        self._pausing.end_pass(self._session.token)

    def seconds_until_due(self, longest: float) -> float:
        """Seconds until there is something to do before a pass, at most `longest`."""
        return self._pausing.seconds_until_due(self._enabling.seconds_until_due(longest))

    def _pass(self) -> None:
        session, begun = self._session, time.monotonic()
        self.begin_pass()
        for enqueued in self._dispatcher.enqueue_due(session.token, session.lock_ttl):
            if enqueued:
                self._following.expect_jobs()
            self.follow()
            self.keep_alive()
            self._inbox.wait(0)
            if self._inbox.sync_wanted:
                self._sync()  # else SIGHUP would be heard when all that is due has been enqueued
        self.end_pass()
        session.passes.add(time.monotonic() - begun)

    def follow(self) -> None:
        """Look at a slice of the jobs in flight if it is due. Raises `LockLostError`."""
        if not self._following.pause:
            self._look()

    def _look(self) -> None:
        if not self._following.step(self._session.token):
            raise LockLostError
        if self._following.has_news:
            self._notifying.wake()

    def _rest(self, seconds: float) -> None:
        """Wait for a message, at most so long; follow jobs and look at schedules meanwhile."""
        until = time.monotonic() + seconds
        following, outside, pages = self._following, self._outside, self._session.rq_pages
        while not self._inbox.wait(
            min(until - time.monotonic(), following.pause_at_rest, outside.pause, pages.pause)
        ):
            if time.monotonic() >= until:
                return
            if not following.pause_at_rest:
                self._look()
            if not self._outside.pause:
                self._outside.step()
            if not pages.pause and pages.step() and self._session.is_leading:
                self._session.enter_registry()

    def _sync(self) -> None:
        if self._repairs.rules_wanted:
            self._repairs.adopt_rules()
        if not self._session.marker:
            self._session.renew_marker()
        for _ in range(SYNCS):
            self._call_sync()
            if self._session.renew_marker():
                break
            # Redis may have lost what it held when it was compared with the code.
            self._repairs.want_all()
        self._inbox.sync_wanted = False

    def _call_sync(self) -> None:
        scheduler = self._scheduler
        try:
            if scheduler.sync is not None:
                scheduler.sync()
        except (RedisError, OSError):
            raise
        except Exception:  # a program's own code: its schedules are as they were
            scheduler.log.exception("Scheduler %s: syncing failed", self._session.name)

    # Changes of others

    def _changed(self, id: str | None) -> None:
        if self._session.is_leading:  # a standby has no use for it
            self._inbox.changed(id)

    def _regain_lock(self, *, standby: bool) -> None:
        """Take the lock again: Redis may have lost it, perhaps with all its data."""
        log, name = self._scheduler.log, self._session.name
        try:
            self._standby.bid()
        except SchedulerLockedError as locked:
            if not standby:
                raise LeadershipLostError(locked.holder, locked.expires_in) from None
            log.warning("Scheduler %s: lost the lock: %s", name, locked)
            self._standby.wait_to_lead()
            self._begin_anew()
            return
        # After an outage longer than the lock's TTL that is to be expected.
        level = logging.INFO if self._outage else logging.WARNING
        log.log(level, "Scheduler %s: took the lost lock again", name)
        self._repairs.rules_wanted = True  # another one may have led meanwhile

    def _watch_data(self) -> None:
        """If Redis lost what was written since the latest sync, declare and repair it again.

        It may have been restarted between two commands, so that only the marker shows it.
        """
        session = self._session
        if session.marker and not session.has_marker():
            self._scheduler.log.info("Scheduler %s: Redis lost the latest sync", session.name)
            self._begin_anew()
