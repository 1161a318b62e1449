"""What the leader corrects: indexes, next times, and what could not be enqueued."""

from __future__ import annotations

import logging
import time

from ..dispatch import next_times
from ..dispatch.dispatcher import Dispatcher
from ..dispatch.next_times import Rule, after_foreign_change, after_step_back
from ..store import listing as store
from ..store.keys import INDEXED, LAST_UPDATE
from ..store.scripts import Step
from ..story.outside import OutsideWatch
from .inbox import Inbox
from .session import Session

CLOCK_TOLERANCE = 1.0
"""Seconds by which the wall clock may go back without notice."""

RENEWALS = 3
"""How often a schedule is read again that is being changed while all next times are recomputed."""


class Repairs:
    """Corrections of what other programs, a wrong clock or a loss of data left wrong.

    What is wanted stays so if Redis becomes unavailable meanwhile. `step`: called between two steps
    of long work.
    """

    def __init__(
        self,
        log: logging.Logger,
        session: Session,
        dispatcher: Dispatcher,
        outside: OutsideWatch,
        step: Step,
    ) -> None:
        self._log = log
        self._session = session
        self._dispatcher = dispatcher
        self._outside = outside
        self._step = step
        self.repair_wanted = self.rules_wanted = False
        self._clock = time.time()
        self._index_was_empty = True

    def want_all(self) -> None:
        """Nothing is known of what Redis holds."""
        self.repair_wanted = self.rules_wanted = True

    def watch_clock(self) -> None:
        """If it was set back, what was timed by it before would wait for far too long."""
        before, self._clock = self._clock, time.time()
        if self._clock < before - CLOCK_TOLERANCE:
            self._log.warning("Scheduler %s: the clock was set back", self._session.name)
            self.repair_wanted = True

    def watch_index(self) -> None:
        """If no schedule is waiting, the index may have been deleted: look for schedules, once."""
        was_empty, self._index_was_empty = self._index_was_empty, self._dispatcher.index_is_empty
        self.repair_wanted |= self._index_was_empty and not was_empty

    def take_in_changes(self, inbox: Inbox) -> None:
        """Index what another program wrote that does not keep our indexes."""
        client = self._session.client
        if inbox.changed_ids or inbox.changes_missed:
            indexed, updated = client.mget(INDEXED, LAST_UPDATE)
            if indexed != updated:
                self._outside.suspect(inbox.changed_ids)
                store.index_missing(inbox.changed_ids, client, self._step)
                self._retime(list(inbox.changed_ids), after_foreign_change)
                self.repair_wanted |= inbox.changes_missed
            inbox.forget_changes()

    def repair(self) -> None:
        """Correct the indexes and the times that depend on a wrong clock, and retry what failed."""
        client = self._session.client
        report = store.reindex(client, self._step)
        if report.restored or report.pruned:
            self._log.warning(
                "Scheduler %s: repaired the index: %d schedules put back, %d stale members removed",
                self._session.name,
                report.restored,
                report.pruned,
            )
        self._outside.suspect(report.gone)
        if report.foreign:
            self._outside.begin()
        self._retime(report.ahead, after_step_back)
        self._retime(report.foreign, after_foreign_change)
        store.retry_failed(client, self._step)
        self.repair_wanted = False

    def adopt_rules(self) -> None:
        """Recompute next times that were computed with other time zone rules than ours."""
        client = self._session.client
        stored = next_times.read_rules(client)
        if not next_times.are_ours(stored):
            renewal = next_times.begin_renewal(stored, client)
            left = store.waiting_ids(client)
            for _ in range(RENEWALS):
                left = self._retime(left, renewal)
            next_times.end_renewal(renewal, client)
        self.rules_wanted = False

    def _retime(self, ids: list[str], rule: Rule) -> list[str]:
        """Returns those that were being changed meanwhile."""
        if not ids:
            return []
        session = self._session
        return self._dispatcher.retime(ids, rule, session.token, session.lock_ttl, self._step)
