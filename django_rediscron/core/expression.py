"""A cron expression as a set of wall times: parsed by croniter, walked by arithmetic.

Days follow cron(8): where the field of days or that of weekdays begins with `*`, both must match,
else one of them does.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from croniter import croniter
from croniter.croniter import CroniterError

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

YEARS = 50
"""So long may it take until an expression fires: 29 February on a Monday takes up to 40 years."""

_MONTHS_KEPT = 24
_POINT = re.compile(r"^0*(\w+)-0*\1(?:/0*[1-9]\d*)?$", re.IGNORECASE)


class Expression:
    """The wall times that match; naive datetimes, whole seconds. Raises ValueError for no sense."""

    def __init__(self, text: str) -> None:
        fields = split(text)
        expanded, self._nth = _expand_plain(fields) or _expand(fields)
        minutes, hours, days, months, weekdays, *seconds = expanded
        self.follows_clock = len(fields) > 5 or fields[0][0] == "*" or fields[1][0] == "*"
        """Whether it fires whenever the clock shows a matching time, or once for each of them."""
        self.step = 1 if seconds else 60
        """Seconds of which all its times are multiples."""
        self._hours = _numbers(hours, range(24))
        self._minutes = _numbers(minutes, range(60))
        self._seconds = _numbers(seconds[0], range(60)) if seconds else (0,)
        self._of_hour = len(self._minutes) * len(self._seconds)
        self._of_day = len(self._hours) * self._of_hour
        self._months = set(_numbers(months, range(1, 13)))
        self._last_day = "l" in days
        self._days = set(_numbers([day for day in days if day != "l"], range(1, 32)))
        self._weekdays = set(_numbers(weekdays, range(7)))
        self._both = fields[2][0] in "*?" or fields[4][0] in "*?"
        self._known: dict[tuple[int, int], tuple[int, ...]] = {}

    def next(self, after: datetime) -> datetime:
        """The first one after this wall time. Raises LookupError where there is none."""
        day = after.date()
        if after.day in self._days_of(after.year, after.month):
            rank = self._rank(after.time())
            if rank < self._of_day:
                return datetime.combine(day, self._time(rank))
        return datetime.combine(self._day_after(day), self._time(0))

    def previous(self, until: datetime) -> datetime:
        """The last one not after this wall time. Raises LookupError where there is none."""
        day = until.date()
        if until.day in self._days_of(until.year, until.month):
            rank = self._rank(until.time())
            if rank:
                return datetime.combine(day, self._time(rank - 1))
        return datetime.combine(self._day_before(day), self._time(self._of_day - 1))

    def count(self, after: datetime, until: datetime) -> int:
        """How many there are after the one and not after the other wall time."""
        return self._position(until) - self._position(after) + self._whole_days(after, until)

    # Days

    def _day_after(self, day: date) -> date:
        year, month = day.year, day.month
        later = [number for number in self._days_of(year, month) if number > day.day]
        for _ in range(12 * YEARS + 1):
            if later:
                return date(year, month, later[0])
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            later = list(self._days_of(year, month))
        raise LookupError("it never fires")

    def _day_before(self, day: date) -> date:
        year, month = day.year, day.month
        earlier = [number for number in self._days_of(year, month) if number < day.day]
        for _ in range(12 * YEARS + 1):
            if earlier:
                return date(year, month, earlier[-1])
            year, month = (year, month - 1) if month > 1 else (year - 1, 12)
            earlier = list(self._days_of(year, month))
        raise LookupError("it never fired")

    def _days_of(self, year: int, month: int) -> tuple[int, ...]:
        """Days of a month that match, rising."""
        if month not in self._months or not 1 <= year <= 9999:
            return ()
        known = self._known.get((year, month))
        if known is None:
            if len(self._known) >= _MONTHS_KEPT:
                self._known.clear()
            known = self._known[year, month] = tuple(self._matching_days(year, month))
        return known

    def _matching_days(self, year: int, month: int) -> Sequence[int]:
        first, length = monthrange(year, month)  # Monday is 0
        found = []
        for day in range(1, length + 1):
            weekday = (first + day) % 7  # Sunday is 0
            by_day = day in self._days or (self._last_day and day == length)
            by_weekday = weekday in self._weekdays
            nth = self._nth.get(weekday)
            if nth:
                by_weekday = (day + 6) // 7 in nth or ("l" in nth and day + 7 > length)
            if by_day and by_weekday if self._both else by_day or by_weekday:
                found.append(day)
        return found

    def _whole_days(self, after: datetime, until: datetime) -> int:
        """Times of the days from that of `after` on and before that of `until`."""
        count, year, month = 0, after.year, after.month
        while (year, month) <= (until.year, until.month):
            days = self._days_of(year, month)
            low = after.day if (year, month) == (after.year, after.month) else 1
            high = until.day if (year, month) == (until.year, until.month) else 32
            count += bisect_left(days, high) - bisect_left(days, low)
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return count * self._of_day

    # Times of a day

    def _position(self, wall: datetime) -> int:
        """How many times of its day are not after it."""
        return self._rank(wall.time()) if wall.day in self._days_of(wall.year, wall.month) else 0

    def _rank(self, time: time) -> int:
        """How many times of a day are not after this one."""
        hour = bisect_left(self._hours, time.hour)
        rank = hour * self._of_hour
        if hour == len(self._hours) or self._hours[hour] != time.hour:
            return rank
        minute = bisect_left(self._minutes, time.minute)
        rank += minute * len(self._seconds)
        if minute == len(self._minutes) or self._minutes[minute] != time.minute:
            return rank
        return rank + bisect_right(self._seconds, time.second)

    def _time(self, rank: int) -> time:
        hour, rest = divmod(rank, self._of_hour)
        minute, second = divmod(rest, len(self._seconds))
        return time(self._hours[hour], self._minutes[minute], self._seconds[second])


@lru_cache(maxsize=2048)
def parse(text: str) -> Expression:
    """The expression of a text; many schedules share one. Raises ValueError."""
    return Expression(text)


def split(text: str) -> list[str]:
    """Its fields, in the order minute, hour, day, month, weekday, and, if given, second."""
    return ALIASES.get(text.strip().lower(), text).split()


_Expanded = tuple[list[list[Any]], dict[int, set[Any]]]


def _expand(fields: list[str]) -> _Expanded:
    """Numbers, `*` and `l` of each field, and which weekdays of a month are meant."""
    try:
        parsed = croniter(" ".join(map(_without_points, fields)), datetime(2000, 1, 1))
    except (CroniterError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(str(error)) from None
    return parsed.expanded, parsed.nth_weekday_of_month


def _expand_plain(fields: list[str]) -> _Expanded | None:
    """The same, a hundred times as fast, where each field is a number or `*`, as in most."""
    if len(fields) != len(_PLAIN) or not all(map(set.__contains__, _PLAIN, fields)):
        return None
    return [["*" if field == "*" else int(field)] for field in fields], {}


_PLAIN = [
    {"*", *map(str, numbers)}
    for numbers in (range(60), range(24), range(1, 32), range(1, 13), range(7))
]


def _without_points(field: str) -> str:
    """Ranges from a number to itself as that number: croniter takes them for the whole range."""
    return ",".join(_POINT.sub(r"\1", part) for part in field.split(","))


def _numbers(field: Sequence[Any], whole: range) -> tuple[int, ...]:
    return tuple(whole) if "*" in field else tuple(sorted(set(field)))
