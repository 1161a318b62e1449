"""Debian's cron(8), minute by minute: when it starts a command, also while the clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def runs(when: str, begin: datetime, end: datetime, zone: str) -> Iterator[datetime]:
    """The times after `begin`, up to `end`.

    Like the real one it has a clock of its own. While the wall clock is behind that, only what has
    a wildcard runs; minutes that the wall clock skips are made up for by what has none.
    """
    minute, hour, *_ = when.split()
    is_wild = minute[0] == "*" or hour[0] == "*"
    own, time = _wall(begin, zone), begin
    while time < end:
        time += MINUTE
        wall = _wall(time, zone)
        if wall - own == MINUTE:
            minutes, own = [wall], wall
        elif wall <= own:
            minutes = [wall] if is_wild else []
        else:
            skipped = range(1, (wall - own) // MINUTE + 1)
            minutes = [wall] if is_wild else [own + number * MINUTE for number in skipped]
            own = wall
        if any(_matches(when, each) for each in minutes):
            yield time


def _wall(time: datetime, zone: str) -> datetime:
    return time.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _matches(when: str, wall: datetime) -> bool:
    minute, hour, day, month, weekday = when.lower().split()
    if not (_has(minute, wall.minute, 0, 59) and _has(hour, wall.hour, 0, 23)):
        return False
    if not _has(month, wall.month, 1, 12, ["", *MONTHS]):
        return False
    by_day = _has(day, wall.day, 1, 31)
    number = wall.isoweekday() % 7
    by_weekday = any(_has(weekday, each, 0, 7, DAYS) for each in {number, number or 7})
    if day[0] == "*" or weekday[0] == "*":
        return by_day and by_weekday
    return by_day or by_weekday


def _has(field: str, value: int, low: int, high: int, names: list[str] | None = None) -> bool:
    def number(text: str) -> int:
        return (names or []).index(text) if text.isalpha() else int(text)

    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        begin = low if first == "*" else number(first)
        end = high if first == "*" else number(last or first)
        if value in range(begin, end + 1, int(step or 1)):
            return True
    return False
