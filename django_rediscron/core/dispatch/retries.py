"""When schedules that cannot be enqueued are tried again, so that many of them are no burden."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from datetime import datetime, timedelta

from ..store.listing import LONGEST_DELAY

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
