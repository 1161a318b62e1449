"""The occurrences of a schedule, by its interval or its cron expression."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from .cron_times import LAST_YEAR, around_interval, count_cron_times, last_cron_time, next_cron_time

MAX_INTERVAL = 100 * 366 * 86400
"""Seconds; a hundred years, so that the next time can always be computed."""

MAX_WAIT = 2 * MAX_INTERVAL
"""Seconds; a next time further away is damaged."""

_MOMENT = timedelta(microseconds=1)

DISAGREEMENT = timedelta(minutes=1)
"""By which the clocks of two machines may differ; smaller steps just delay runs."""


@dataclass(frozen=True)
class Recurrence:
    """All times at which a schedule may run, between its bounds."""

    interval: int | None
    cron: str | None
    zone: tzinfo | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    origin: datetime | None = None
    """An occurrence to count an interval from, if there is no `start_at`."""

    def first(self, moment: datetime, latest: datetime | None, *, retimed: bool) -> datetime | None:
        """The next occurrence from now on, for a schedule without a valid next time; None for none.

        `latest`: its latest one; the result is later, also if this clock is behind that of the
        scheduler, unless the clock was set back by more than the period. `retimed`: the timing was
        changed since. A new interval begins at once, and a changed one after one interval from now;
        otherwise it is counted from the origin of this recurrence, or from its latest occurrence.
        """
        since = moment
        if latest is not None and latest > moment and not self.is_set_back(moment, latest):
            since = latest
        if self.start_at is not None and self.start_at >= since and self.start_at != latest:
            return self.next(self.start_at - _MOMENT)
        if self.cron or self.start_at is not None:
            return self.next(since)
        if latest is None:
            return self._bounded(since)
        if retimed:
            return self._bounded(since + timedelta(seconds=self.interval or 0))
        return replace(self, origin=self.origin or latest).next(since)

    def is_set_back(self, moment: datetime, latest: datetime) -> bool:
        """Whether a clock was set back so far that it would be silent for longer than its period.

        Then it goes on from the present. After a smaller step it waits: it would run a second time.
        """
        step = latest - moment
        following = replace(self, origin=latest).next(latest)
        return step > DISAGREEMENT and following is not None and following - latest <= step

    def next(self, after: datetime) -> datetime | None:
        """The first occurrence after a moment, None if there is none."""
        if self.start_at is not None:
            after = max(after, self.start_at - _MOMENT)
        if not self.cron:
            step = timedelta(seconds=self.interval or 0)
            origin = self._origin(after)
            return self._bounded(origin + ((after - origin) // step + 1) * step)
        try:
            return self._bounded(next_cron_time(self.cron, after, self.zone))
        except LookupError:
            return None

    def last(self, until: datetime, due: datetime) -> datetime:
        """The last occurrence not after a moment, at the earliest `due`, which is one."""
        if self.end_at is not None:
            until = min(until, self.end_at)
        following = self.next(due)
        if following is None or following > until:
            return due
        if not self.cron:
            return around_interval(self.interval or 0, due, until)[0]
        return last_cron_time(self.cron, until, self.zone)

    def count(self, first: datetime, last: datetime) -> int:
        """The number of occurrences from the first to the last, both included."""
        if not self.cron:
            return (last - first) // timedelta(seconds=self.interval or 0) + 1
        return 1 + count_cron_times(self.cron, first, last, self.zone)

    def back(self, last: datetime, number: int, due: datetime) -> datetime:
        """The first of the `number` occurrences up to `last`, at the earliest `due`."""
        missing = self.count(due, last) - number
        if missing <= 0:
            return due
        if not self.cron:
            return last - timedelta(seconds=(number - 1) * (self.interval or 0))
        # Longer and longer spans before `last` until one has enough, then forward again.
        reach = timedelta(seconds=60 * number)
        while last - reach > due and self.count(last - reach, last) <= number:
            reach *= 2
        start = max(due, last - reach)
        low, high = start, last
        while self.count(low, last) - 1 > number and high - low > timedelta(seconds=60):
            middle = low + (high - low) / 2
            if count_cron_times(self.cron, middle, last, self.zone) >= number:
                low = middle
            else:
                high = middle
        surplus = count_cron_times(self.cron, low, last, self.zone) - number
        found = self.next(low)
        for _ in range(surplus):
            assert found is not None
            found = self.next(found)
        assert found is not None
        return found

    def _origin(self, default: datetime) -> datetime:
        return self.start_at or self.origin or default

    def _bounded(self, time: datetime) -> datetime | None:
        if time.year > LAST_YEAR or (self.end_at is not None and time > self.end_at):
            return None
        return time
