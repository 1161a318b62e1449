"""When: the occurrences of a cron expression in wall time, and of an interval.

Daylight saving follows the manual page cron(8) of Debian. An expression whose minute or hour field
begins with `*` matches the wall clock: every real minute whose wall time matches fires, so a
repeated hour fires twice and a skipped one not at all. Any other expression names fixed times of
day, each of which fires exactly once: if it is repeated, the first time, and if it is skipped,
at the first instant after the gap. Expressions with a sixth field (seconds) match the wall clock.

A zone of None is the process's local zone.
"""

from __future__ import annotations

import time
from calendar import isleap
from collections import Counter
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from hashlib import sha1

from ..exceptions import InvalidScheduleError
from ..quoting import quoted
from .clock_rules import find_transition, instants, known_transitions, offset, wall_time, year_of
from .cron_expression import Expression, parse
from .cron_fields import ALIASES, MAX_LENGTH, split
from .zones import UTC

MAX_SECONDS = 2**31 - 1
"""Of a timeout or an option, 68 years: the limit of alarm(2) and Redis."""

FIRST_YEAR, LAST_YEAR = 1970, 9000
"""The years of all times that a schedule may name, so that times computed from them (in another
zone, with a delay, an interval later) are still in Python's calendar."""

_SETTLED = 2101
"""From this year on, each zone changes its clocks by the same rule every year, or never."""

_LIKE_YEARS = {(date(year, 1, 1).weekday(), isleap(year)): year for year in range(2101, 2129)}

_SECOND = timedelta(seconds=1)
_FIELD_COUNTS = (5, 6)


def utc_text(moment: datetime) -> str:
    """RQ's UTC format, `2026-06-03T05:40:00.000000Z`: fixed width, so that it sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def check_cron(expression: object, *, stored: bool = False) -> None:
    """Raise `InvalidScheduleError` unless the expression is well formed and fires at some time.

    A `stored` one is not checked to fire, which takes as long as all the rest: that was done when
    it was saved. Its fields may be separated by any white space, as other programs write it.
    """
    if not isinstance(expression, str):
        raise InvalidScheduleError(f"cron must be a string, got {quoted(expression)}")
    if len(expression) > MAX_LENGTH:
        raise InvalidScheduleError(
            f"cron must have at most {MAX_LENGTH} characters, got {quoted(expression)}; "
            f"write ranges and steps, such as 0-30/5, or several schedules"
        )
    _check_expression(expression, fires=not stored)


@lru_cache(maxsize=4096)
def _check_expression(text: str, *, fires: bool) -> None:
    fields = split(text)
    if fires:
        _check_separators(text)
    if len(fields) not in _FIELD_COUNTS:
        raise InvalidScheduleError(
            f"cron must have five fields (minute hour day month weekday) or six (then seconds), "
            f"got {quoted(text)}{_what_to_write(fields)}"
        )
    try:
        expression = parse(text)
        if fires:
            expression.next(datetime(2000, 1, 1))
    except LookupError:
        raise InvalidScheduleError(
            f"cron {quoted(text)} never fires: no date matches it; correct the day or the month"
        ) from None
    except ValueError as error:
        raise InvalidScheduleError(f"cron {quoted(text)} is not valid: {error}") from None


def _check_separators(text: str) -> None:
    for character in text:
        if character.isspace() and character not in " \t":
            kind = "a line break" if len(f".{character}.".splitlines()) > 1 else "the character"
            raise InvalidScheduleError(
                f"cron must have nothing but spaces and tabs between its fields, got {kind} "
                f"U+{ord(character):04X} in {quoted(text)}; write {quoted(' '.join(text.split()))}"
            )


def _what_to_write(fields: list[str]) -> str:
    if fields and fields[0].startswith("@"):
        return f"; known short forms are {', '.join(ALIASES)}; for '@every 5m' use interval='5m'"
    if len(fields) == 7:
        return "; for certain years, leave out the seventh and use start_at and end_at"
    return ""


def next_cron_time(expression: str, after: datetime, zone: tzinfo | None = None) -> datetime:
    """The first occurrence strictly after `after` (an aware datetime), in UTC.

    Raises LookupError if there is none.
    """
    second = int(after.timestamp() // 1)
    second -= second % parse(expression).step  # so many seconds have one answer
    return datetime.fromtimestamp(_next(expression, second, zone, time.tzname), UTC)


def last_cron_time(expression: str, until: datetime, zone: tzinfo | None = None) -> datetime:
    """The last occurrence not after `until` (an aware datetime), in UTC.

    Raises LookupError if there is none.
    """
    # Earlier wall times show where to look; around clock changes they are not exact.
    second = int(until.timestamp() // 1)
    starts = sorted(instants(parse(expression).previous(wall_time(second, zone)), zone))
    reach = 60
    while True:
        start = starts.pop() - 1 if starts else second - reach
        found = next_cron_time(expression, datetime.fromtimestamp(start, UTC), zone)
        if found <= until:
            break
        if not starts:
            reach *= 2
    following = found
    while following <= until:
        found, following = following, next_cron_time(expression, following, zone)
    return found


def count_cron_times(
    expression: str, after: datetime, until: datetime, zone: tzinfo | None = None
) -> int:
    """The number of occurrences after the first and not after the second moment."""
    low, high = int(after.timestamp() // 1), int(until.timestamp() // 1)
    first, last = max(year_of(low) + 2, _SETTLED), year_of(high) - 1
    if first >= last:
        return _count(expression, low, high, zone)
    count = _count(expression, low, _before_year(first, zone), zone)
    for year, number in Counter(map(_like_year, range(first, last))).items():
        count += number * _count_year(expression, year, zone, time.tzname)
    return count + _count(expression, _before_year(last, zone), high, zone)


def _count(expression: str, low: int, high: int, zone: tzinfo | None) -> int:
    parsed = parse(expression)
    counted, count = wall_time(low, zone), 0
    for transition in known_transitions(low, high, zone):
        if parsed.follows_clock:
            count += parsed.count(counted, wall_time(transition - 1, zone))
            counted = wall_time(transition, zone) - _SECOND
        else:
            # Near it, an occurrence may replace skipped times, and repeated times have only one.
            before, after = offset(transition - 1, zone), offset(transition, zone)
            shift = int(abs(after - before).total_seconds())
            begin, end = max(low, transition - shift - 1), min(high, transition + shift)
            count += parsed.count(counted, wall_time(begin, zone))
            count += _count_steps(expression, begin, end, zone)
            counted = wall_time(end, zone)
    return count + parsed.count(counted, wall_time(high, zone))


def is_cron_time(expression: str, time: datetime, zone: tzinfo | None = None) -> bool:
    """Whether it is an occurrence."""
    return next_cron_time(expression, time - _SECOND, zone) == time


def at_wall_time(
    expression: str, time: datetime, before: tzinfo, zone: tzinfo | None = None
) -> datetime:
    """The occurrence at the wall time that another one had in the zone `before`."""
    wall = time.astimezone(before).replace(tzinfo=None)
    start = min(instants(wall, zone)) - 1  # if the clock skips it, this is before the gap
    return next_cron_time(expression, datetime.fromtimestamp(start, UTC), zone)


def around_cron(
    expression: str, due: datetime, now: datetime, zone: tzinfo | None = None
) -> tuple[datetime, datetime]:
    """The last occurrence not after `now`, at the earliest `due`, and the first one after `now`."""
    following = next_cron_time(expression, due, zone)
    if following > now:
        return due, following
    return last_cron_time(expression, now, zone), next_cron_time(expression, now, zone)


def around_interval(interval: int, due: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The last of the times `due + n * interval` (seconds) not after `now`, and the next."""
    step = timedelta(seconds=interval)
    latest = due if now - due < step else due + (now - due) // step * step
    return latest, latest + step


def occurrence_delay(id: str, time: datetime, jitter: float) -> float:
    """Seconds between 0 and `jitter`, the same for an occurrence in every process.

    The scripts compute them, too: see `lua/includes/jitter.lua`.
    """
    if not jitter:
        return 0.0
    digest = sha1(f"{id} {utc_text(time)}".encode(errors="surrogateescape")).hexdigest()
    return int(digest[:8], 16) / 2**32 * jitter


@lru_cache(maxsize=4096)
def _next(text: str, after: int, zone: tzinfo | None, local: tuple[str, str]) -> int:
    """Many schedules share an expression.

    `local` is part of the cache key, because the local zone (None) may change.
    """
    expression = parse(text)
    step = _next_matching if expression.follows_clock else _next_fixed
    return step(expression, after, zone)


def _next_matching(expression: Expression, after: int, zone: tzinfo | None) -> int:
    """The first real second after `after` whose wall time matches."""
    wall = wall_time(after, zone)
    first, second = instants(wall, zone)
    candidate = expression.next(wall)
    if wall.fold == 0 and first < second:
        # In the first pass through a repeated hour: the second pass comes before later times.
        transition = find_transition(after, after + second - first, zone)
        inside = instants(candidate, zone)[0]
        if inside < transition:
            return inside
        after = transition - 1
        candidate = expression.next(wall_time(transition, zone) - _SECOND)
    while True:
        first, second = instants(candidate, zone)
        if first > second:  # the wall clock skips this time: continue after the gap
            resume = wall_time(find_transition(second, first, zone), zone)
            candidate = expression.next(resume - _SECOND)
        elif first > after:
            return first
        elif second > after:
            return second
        else:
            candidate = expression.next(candidate)


def _next_fixed(expression: Expression, after: int, zone: tzinfo | None) -> int:
    """The first instant after `after` at which a matching time of day fires, once for each."""
    candidate = expression.next(wall_time(after, zone))
    while True:
        first, second = instants(candidate, zone)
        instant = find_transition(second, first, zone) if first > second else first
        if instant > after:
            return instant
        candidate = expression.next(candidate)


@lru_cache(maxsize=1024)
def _count_year(expression: str, year: int, zone: tzinfo | None, local: tuple[str, str]) -> int:
    return _count(expression, _before_year(year, zone), _before_year(year + 1, zone), zone)


def _like_year(year: int) -> int:
    """One of the first settled years that has the same dates on the same days of the week."""
    return _LIKE_YEARS[date(year, 1, 1).weekday(), isleap(year)]


def _before_year(year: int, zone: tzinfo | None) -> int:
    """The last second before a year of the wall clock."""
    return instants(datetime(year, 1, 1), zone)[0] - 1


def _count_steps(expression: str, low: int, high: int, zone: tzinfo | None) -> int:
    count, local = 0, time.tzname
    while (low := _next(expression, low, zone, local)) <= high:
        count += 1
    return count
