"""The next times of a schedule, in the other system and here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import NamedTuple

from ..core.quoting import cut
from ..core.schedule.record import Record
from ..core.schedule.upcoming import upcoming
from ..core.timing.clock_rules import known_transitions
from .found import Times

COUNT = 10
"""How many times are compared."""

COUNT_AT_CHANGE = 4
"""How many from a change of the clocks on; other systems take milliseconds for each."""

AHEAD = timedelta(days=366)
"""How far to look for changes of the clocks."""

FEW = 1000
"""Of so many runs the last is looked for, after which no change of the clocks matters."""


@dataclass(frozen=True)
class Comparison:
    """The same number of times in both, unless one of them ends."""

    there: Sequence[datetime]
    here: Sequence[datetime]
    error: str = ""
    """Why the other system cannot tell its times."""

    @property
    def is_same(self) -> bool:
        return not self.error and list(self.there) == list(self.here)

    @property
    def only_there(self) -> list[datetime]:
        """Times at which only the other system runs it, up to the last that both are known of."""
        return [time for time in self.there if time <= self._end and time not in self.here]

    @property
    def only_here(self) -> list[datetime]:
        """The reverse."""
        return [time for time in self.here if time <= self._end and time not in self.there]

    @property
    def _end(self) -> datetime:
        ends = [times[-1] for times in (self.there, self.here) if len(times) == self._most]
        return min(ends, default=datetime.max.replace(tzinfo=timezone.utc))

    @property
    def _most(self) -> int:
        return max(len(self.there), len(self.here))


def compare(times: Times, job: Record, after: datetime, count: int = COUNT) -> Comparison:
    """The next times after a moment, whether the schedule is enabled or not."""
    here = our_times(job, after, count)
    try:
        there = [time.astimezone(timezone.utc) for time in times(after, count)]
    except Exception as error:  # the other system's code
        return Comparison([], here, cut(f"{type(error).__name__}: {error}"))
    return Comparison(there, here)


class ClockChange(NamedTuple):
    """A change of the clocks, and the times from then on."""

    at: datetime
    times: Comparison


def at_clock_changes(times: Times, job: Record, after: datetime) -> Iterator[ClockChange]:
    """The changes of the clocks in the coming months with which the times differ."""
    if not job.cron:
        return
    until = after + AHEAD
    if job.max_runs is not None and job.max_runs <= FEW:
        until = min([until, *our_times(job, after, job.max_runs)[-1:]])
    begin, end = int(after.timestamp()), math.ceil(until.timestamp())
    for instant in known_transitions(begin, end, job.zone):
        at = datetime.fromtimestamp(instant, timezone.utc)
        both = compare(times, job, at - timedelta(minutes=1), COUNT_AT_CHANGE)
        if both.only_there or both.only_here:
            yield ClockChange(at, both)


def our_times(job: Record, after: datetime, count: int = COUNT) -> list[datetime]:
    """The times at which a new schedule would be enqueued, in UTC."""
    enabled = job.snapshot()
    enabled.enabled = True
    enabled.next_enqueue_time = None
    found = islice(upcoming(enabled, None, after), count)
    return [run.time.astimezone(timezone.utc) for run in found]
