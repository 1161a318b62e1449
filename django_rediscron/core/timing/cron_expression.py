"""A cron expression as a set of wall times, walked by arithmetic."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import isleap, monthrange
from collections.abc import Sequence
from datetime import date, datetime, time
from functools import lru_cache
from itertools import pairwise

from .cron_fields import HOUR, LAST, MINUTE, MONTH, SECOND, days_of, numbers_of, split, weekdays_of

YEARS = 50
"""How far to look for a match: 29 February on a Monday takes up to 40 years."""

_MONTHS_KEPT = 24


class Expression:
    """The wall times that match; naive datetimes, whole seconds. Raises ValueError if invalid."""

    def __init__(self, text: str) -> None:
        minute, hour, day, month, weekday, *second = split(text)
        self.minutes = numbers_of(MINUTE, minute)
        self.hours = numbers_of(HOUR, hour)
        self.seconds = numbers_of(SECOND, *second) if second else (0,)
        self.days = days_of(day)
        self.months = numbers_of(MONTH, month)
        self.weekdays = weekdays_of(weekday)
        self.either = day[0] not in "*?" and weekday[0] not in "*?"
        """Whether a match of day or weekday is enough; otherwise both must match, as in cron(8)."""
        self.follows_clock = bool(second) or minute[0] == "*" or hour[0] == "*"
        """Whether it fires whenever the clock shows a matching time, or only once for each time."""
        self.step = 1 if second else 60
        """All its times are multiples of this many seconds."""
        self._of_hour = len(self.minutes) * len(self.seconds)
        self._of_day = len(self.hours) * self._of_hour
        self._known: dict[tuple[int, int], tuple[int, ...]] = {}
        self._in_year: dict[tuple[int, bool], int] = {}

    def next(self, after: datetime) -> datetime:
        """The first match after this wall time. Raises LookupError if there is none."""
        day = after.date()
        if after.day in self._days_of(after.year, after.month):
            rank = self._rank(after.time())
            if rank < self._of_day:
                return datetime.combine(day, self._time(rank))
        return datetime.combine(self._day_after(day), self._time(0))

    def previous(self, until: datetime) -> datetime:
        """The last match not after this wall time. Raises LookupError if there is none."""
        day = until.date()
        if until.day in self._days_of(until.year, until.month):
            rank = self._rank(until.time())
            if rank:
                return datetime.combine(day, self._time(rank - 1))
        return datetime.combine(self._day_before(day), self._time(self._of_day - 1))

    def count(self, after: datetime, until: datetime) -> int:
        """The number of matches after the first and not after the second wall time."""
        return self._position(until) - self._position(after) + self._whole_days(after, until)

    def longest_gap(self, year: int, month: int) -> int:
        """The most seconds from one match to the next that are usual: in the months from this on.

        Changes of the clocks do not count. Raises LookupError if there is no match.
        """
        seconds = _widest(self.seconds, 1, 0)
        minutes = _widest(self.minutes, 60, _span(self.seconds))
        hours = _widest(self.hours, 3600, self._span_of_hour)
        days = (
            self._widest_days(year, month) * 86400 - self._span_of_hour - 3600 * _span(self.hours)
        )
        return max(seconds, minutes, hours, days)

    @property
    def _span_of_hour(self) -> int:
        """Seconds from the first match of an hour to the last."""
        return 60 * _span(self.minutes) + _span(self.seconds)

    # Days

    def _widest_days(self, year: int, month: int) -> int:
        """The most days from one that matches to the next, in three months from this one.

        If some months have none, in a year, and if it is rare, from its next day to the second.
        """
        begin, found = date(year, month, 1), list[date]()
        for _ in range(3 if len(self.months) == 12 else 14):
            found += [date(year, month, day) for day in self._days_of(year, month)]
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        if len(found) < 2:
            found = [self._day_after(begin)]
            found.append(self._day_after(found[0]))
        return max((later - day).days for day, later in pairwise(found))

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
        """Days of a month that match, ascending."""
        if month not in self.months or not 1 <= year <= 9999:
            return ()
        known = self._known.get((year, month))
        if known is None:
            if len(self._known) >= _MONTHS_KEPT:
                self._known.clear()
            known = self._known[year, month] = self._matching_days(year, month)
        return known

    def _matching_days(self, year: int, month: int) -> tuple[int, ...]:
        first, length = monthrange(year, month)  # Monday is 0
        by_day = {
            *self.days.numbers,
            *(length - before for before in self.days.before_end),
            *(_nearest(min(day, length), first, length) for day in self.days.nearest),
        }
        by_weekday = set()
        for day in range(1, length + 1):
            weekday = (first + day) % 7  # Sunday is 0
            if (
                weekday in self.weekdays.numbers
                or (weekday, (day + 6) // 7) in self.weekdays.nth
                or (day + 7 > length and (weekday, LAST) in self.weekdays.nth)
            ):
                by_weekday.add(day)
        found = by_day | by_weekday if self.either else by_day & by_weekday
        return tuple(sorted(day for day in found if 1 <= day <= length))

    def _whole_days(self, after: datetime, until: datetime) -> int:
        """The number of matches from the day of `after` up to the day before that of `until`."""
        count, year, month = 0, after.year, after.month
        while (year, month) <= (until.year, until.month):
            if month == 1 and after.year < year < until.year:
                count += self._days_in_year(year)
                year += 1
                continue
            days = self._days_of(year, month)
            low = after.day if (year, month) == (after.year, after.month) else 1
            high = until.day if (year, month) == (until.year, until.month) else 32
            count += bisect_left(days, high) - bisect_left(days, low)
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return count * self._of_day

    def _days_in_year(self, year: int) -> int:
        """How many days of a year match; years with the same calendar have equally many."""
        calendar = monthrange(year, 1)[0], isleap(year)
        number = self._in_year.get(calendar)
        if number is None:
            number = sum(len(self._days_of(year, month)) for month in self.months)
            self._in_year[calendar] = number
        return number

    # Times of a day

    def _position(self, wall: datetime) -> int:
        """How many matches of its day are not after it."""
        return self._rank(wall.time()) if wall.day in self._days_of(wall.year, wall.month) else 0

    def _rank(self, time: time) -> int:
        """How many matches of a day are not after this time."""
        hour = bisect_left(self.hours, time.hour)
        rank = hour * self._of_hour
        if hour == len(self.hours) or self.hours[hour] != time.hour:
            return rank
        minute = bisect_left(self.minutes, time.minute)
        rank += minute * len(self.seconds)
        if minute == len(self.minutes) or self.minutes[minute] != time.minute:
            return rank
        return rank + bisect_right(self.seconds, time.second)

    def _time(self, rank: int) -> time:
        hour, rest = divmod(rank, self._of_hour)
        minute, second = divmod(rest, len(self.seconds))
        return time(self.hours[hour], self.minutes[minute], self.seconds[second])


@lru_cache(maxsize=2048)
def parse(text: str) -> Expression:
    """The expression of a text; many schedules share one. Raises ValueError."""
    return Expression(text)


def _span(numbers: Sequence[int]) -> int:
    return numbers[-1] - numbers[0]


def _widest(numbers: Sequence[int], unit: int, span: int) -> int:
    """The longest time from the end of one of these units, after its span, to the next."""
    steps = [later - number for number, later in pairwise(numbers)]
    return max(steps) * unit - span if steps else 0


def _nearest(day: int, first: int, length: int) -> int:
    """The weekday nearest to a day, in the same month."""
    weekday = (first + day - 1) % 7  # Monday is 0
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < length else day - 2
    return day
