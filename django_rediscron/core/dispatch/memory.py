"""What a scheduler remembers of schedules from pass to pass, instead of reading it again."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from redis import Redis

from ..schedule.missed import SKIPS_KEPT
from ..schedule.record import Record
from ..store.listing import LONGEST_DELAY
from .applications import Applications
from .lateness import LateAfter
from .prepared import DueTimes, Fingerprint, PreparedSchedule
from .template import Templates

LIMIT = 150_000_000
"""Bytes; a schedule with few arguments takes some 1,400. Those that do not fit are read in each
pass; if they replaced others, no schedule would still be remembered when it is due again."""

LOOKED_AT = 200
"""Entries that are checked after each pass: do their schedules still exist?"""

OVERDUE = 60.0
"""Seconds overdue after which a remembered schedule must have left the index: it was deleted."""

SHARED = 10_000
"""Kinds of schedules that are remembered; schedules of one kind share their fields in memory."""


class Memory:
    """Schedules by id, as they were after their latest run, and what is known about others."""

    def __init__(self, connection: Redis, application: str | None = None) -> None:
        self.connection = connection
        self.skips_kept = SKIPS_KEPT
        self.late_after = LateAfter()
        self.applications = Applications(application, connection)
        self.templates = Templates()
        self.shared_times: dict[tuple[object, ...], DueTimes] = {}
        """Times that plain schedules share in a pass, by what they are computed from."""
        self.foreign: dict[bytes, float] = {}
        """Members of the index that are names of RQ's own cron, with their scores."""
        self.oversized: set[bytes] = set()
        """Schedules that are larger than allowed."""
        self.unwritten: dict[bytes, tuple[bytes, str]] = {}
        """Errors that could not be written yet, with the fingerprints of their schedules: an import
        that fails only after the lock has expired is not repeated."""
        self.suspects: set[bytes] = set()
        """Schedules that were not as they were remembered or read: somebody changed them."""
        self.retries = Retries()
        self.size = 0
        """Bytes of the schedules, or about that many."""
        self._entries: dict[bytes, PreparedSchedule] = {}
        self._kinds: dict[tuple[str, ...], tuple[Any, ...]] = {}

    def begin_pass(self) -> None:
        """Forget what may change from pass to pass."""
        self.templates.begin_pass()
        if self.applications.begin_pass():
            self.clear()
        self.shared_times.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def recall(self, id: bytes, score: float) -> PreparedSchedule | None:
        """What is known of the schedule if its score in the index shows that nothing changed."""
        prepared = self._entries.get(id)
        return prepared if prepared is not None and prepared.score == score else None

    def remember(self, id: bytes, prepared: PreparedSchedule) -> None:
        """Keep it after a run, as its hash is now, if there is room."""
        self.retries.succeeded(id)
        if not prepared.fingerprint.is_known:
            self._discard(id)
        elif self._entries.get(id) is not prepared:
            self._discard(id)
            if self.size + prepared.size <= LIMIT:
                self._entries[id] = prepared
                self.size += prepared.size

    def forget(self, id: bytes) -> None:
        """What is known about it is outdated."""
        self._discard(id)
        self.foreign.pop(id, None)

    def _discard(self, id: bytes) -> None:
        prepared = self._entries.pop(id, None)
        if prepared is not None:
            self.size -= prepared.size

    def clear(self) -> None:
        self._entries.clear()
        self.size = 0

    def prepare(self, job: Record, fingerprint: Fingerprint, due: bytes) -> PreparedSchedule:
        """A schedule ready to be enqueued; `due` is its next time as it is in the hash.

        Raises `InvalidScheduleError`, and whatever the modules and classes that it names raise.
        """
        self._share(job)
        queue, importable = self.applications.target(job)
        template, values = self.templates.prepare(job, queue, importable=importable)
        return PreparedSchedule(job, fingerprint, due, template, values)

    def _share(self, job: Record) -> None:
        """Share in memory what it has in common with other schedules."""
        if len(self._kinds) > SHARED:
            self._kinds.clear()
        job.pack(self._kinds)

    def sweep(self, moment: float) -> None:
        """Forget schedules that are gone, a few at a time; epoch seconds."""
        for id in list(islice(self._entries, LOOKED_AT)):
            prepared = self._entries.pop(id)
            if prepared.score < moment - OVERDUE:
                self.size -= prepared.size
            else:
                self._entries[id] = prepared  # behind all others


DELAYS = (1, 2, 4, 8, 15, 30, 60)
"""Seconds until a schedule that fails is tried again; the last one repeats."""

RATE = 8
"""Attempts a second, however many schedules fail: each costs Redis about five commands."""

_REMEMBERED = 2 * LONGEST_DELAY
"""Seconds: a schedule that did not fail again in this time was fixed or deleted."""

_HALF = 0.5


class Retries:
    """The failing schedules of one scheduler, with the number of failures in a row."""

    def __init__(self) -> None:
        self._failures: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        """By the time of the latest failure, oldest first."""

    def plan(self, id: bytes, moment: datetime) -> datetime:
        """When to try a schedule again that fails at this moment.

        The nth failing schedule waits for at least n / `RATE` seconds, so those that fail in one
        pass are retried one after the other. If that exceeds the longest delay, they are retried
        at random in its second half. Retries are due at half seconds, so that they share a pass:
        an attempt may import modules for long, and cron schedules are due at full seconds.
        """
        failed = moment.timestamp()
        failures, _ = self._failures.pop(id, (0, 0.0))
        self._failures[id] = failures + 1, failed
        while next(iter(self._failures.values()))[1] < failed - _REMEMBERED:
            self._failures.popitem(last=False)
        share = len(self._failures) / RATE
        if share > LONGEST_DELAY:
            share = random.uniform(LONGEST_DELAY / 2, LONGEST_DELAY)
        delay = max(DELAYS[min(failures, len(DELAYS) - 1)], share)
        return moment + timedelta(seconds=math.ceil(failed + delay - _HALF) + _HALF - failed)

    def __contains__(self, id: bytes) -> bool:
        """Whether it failed in the latest attempt, as far as this scheduler knows."""
        return id in self._failures

    def succeeded(self, id: bytes) -> None:
        if self._failures:
            self._failures.pop(id, None)
