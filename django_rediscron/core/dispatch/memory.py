"""What a scheduler remembers of schedules from pass to pass, instead of reading it again."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from ..schedule.record import Record
from ..store.listing import LONGEST_DELAY
from .prepared import Ready

LIMIT = 150_000_000
"""Bytes; a schedule with few arguments takes some 1,400. Those that do not fit are read in each
pass; if they took the place of others, none would be known when its turn comes again."""

LOOKED_AT = 200
"""Entries that are looked at after a pass, whether their schedules are still there."""

OVERDUE = 60.0
"""Seconds after which a schedule that did not run has left the index: somebody deleted it."""

SHARED = 10_000
"""Kinds of schedules that are known, so that others of them share what they say."""


class Memory:
    """Schedules by id, as they were when they ran last."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Ready] = {}
        self._kinds: dict[tuple[str, ...], tuple[Any, ...]] = {}
        self.size = 0
        """Bytes, or about that many."""

    def __len__(self) -> int:
        return len(self._entries)

    def recall(self, id: bytes, score: float) -> Ready | None:
        """What is known of the schedule if its place in the index says that nothing changed."""
        ready = self._entries.get(id)
        return ready if ready is not None and ready.place == score else None

    def add(self, id: bytes, ready: Ready) -> None:
        """Remember it if there is room."""
        if self._entries.get(id) is ready:
            return
        if id in self._entries:
            self.discard(id)
        if self.size + ready.size <= LIMIT:
            self._entries[id] = ready
            self.size += ready.size

    def discard(self, id: bytes) -> None:
        ready = self._entries.pop(id, None)
        if ready is not None:
            self.size -= ready.size

    def clear(self) -> None:
        self._entries.clear()
        self.size = 0

    def share(self, job: Record) -> None:
        """Let it hold only once what it has in common with others."""
        if len(self._kinds) > SHARED:
            self._kinds.clear()
        job.pack(self._kinds)

    def sweep(self, moment: float) -> None:
        """Forget schedules that are gone, a few at a time; epoch seconds."""
        for id in list(islice(self._entries, LOOKED_AT)):
            ready = self._entries.pop(id)
            if ready.place < moment - OVERDUE:
                self.size -= ready.size
            else:
                self._entries[id] = ready  # behind all others


DELAYS = (1, 2, 4, 8, 15, 30, 60)
"""Seconds until a schedule that fails is tried again; the last one repeats."""

RATE = 8
"""Attempts a second, however many schedules fail: each costs Redis about five commands."""

_REMEMBERED = 2 * LONGEST_DELAY
"""Seconds: what did not fail again meanwhile was mended or deleted."""

_HALF = 0.5


class Retries:
    """The schedules of one scheduler that fail, and how often in succession each did."""

    def __init__(self) -> None:
        self._failures: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        """By the time of the latest failure, oldest first."""

    def plan(self, id: bytes, moment: datetime) -> datetime:
        """When to try a schedule again that fails at this moment.

        The nth that fails waits for at least n / `RATE` seconds, so those that fail in one pass
        come one after the other from then on; where that is longer than any may wait, they come
        at random in the second half of the longest delay. They come at half seconds, to share a
        pass: an attempt may import modules for long, and cron schedules are due when a second
        begins.
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
