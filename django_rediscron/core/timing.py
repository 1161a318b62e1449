"""When: the occurrences of a cron expression in wall time, and of an interval on its grid.

Daylight saving follows the manual page cron(8) of Debian. An expression whose minute or hour field
begins with `*` matches the wall clock: every real minute whose wall time matches fires, so a
repeated hour fires twice and a skipped one not at all. Any other expression names fixed times of
day, each of which fires exactly once: the first time where it is repeated, and where it is skipped,
at the first instant after the gap. Expressions with a sixth field (seconds) match the wall clock.

A zone of None is the process's local zone.
"""

from __future__ import annotations

import re
import threading
import time
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

from .exceptions import InvalidScheduleError

UTC = timezone.utc

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_SECOND = timedelta(seconds=1)
_RANDOM = re.compile(r"(?:^|,)[rh](?:$|[/(,])", re.IGNORECASE)
_FIELD_COUNTS = (5, 6)


def utc_text(moment: datetime) -> str:
    """RQ's UTC format, `2026-06-03T05:40:00.000000Z`: fixed width, so that it sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def check_cron(expression: object, *, stored: bool = False) -> None:
    """Raise `InvalidScheduleError` unless the expression is well formed and fires at some time.

    A `stored` one was checked to fire when it was saved, which takes as long as all the rest.
    """
    if not isinstance(expression, str):
        raise InvalidScheduleError(f"cron must be a string, got {expression!r}")
    _check_expression(expression, fires=not stored)


@lru_cache(maxsize=4096)
def _check_expression(expression: str, *, fires: bool) -> None:
    fields = _expand_alias(expression).split()
    if len(fields) not in _FIELD_COUNTS:
        raise InvalidScheduleError(
            f"cron must have five fields (minute hour day month weekday) or six (then seconds), "
            f"got {expression!r}"
        )
    if any(_RANDOM.search(field) for field in fields):
        raise InvalidScheduleError(
            f"cron must name its times, got {expression!r}: random fields (R, H) would differ "
            f"from process to process"
        )
    try:
        matcher = _matcher(expression)
        if fires:
            with _matchers_lock:
                matcher.get_next(datetime, start_time=datetime(2000, 1, 1))
    except CroniterBadDateError:
        raise InvalidScheduleError(
            f"cron {expression!r} never fires: no date matches it; correct the day or the month"
        ) from None
    except (CroniterError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise InvalidScheduleError(f"cron {expression!r} is not valid: {error}") from None


def next_cron_time(expression: str, after: datetime, zone: tzinfo | None = None) -> datetime:
    """The first occurrence strictly after `after` (an aware datetime), in UTC."""
    second = int(after.timestamp() // 1)
    if len(_expand_alias(expression).split()) < max(_FIELD_COUNTS):
        second -= second % 60  # occurrences are whole minutes, so a minute has one answer
    return datetime.fromtimestamp(_next(expression, second, zone, time.tzname), UTC)


def around_cron(
    expression: str, due: datetime, now: datetime, zone: tzinfo | None = None
) -> tuple[datetime, datetime]:
    """The last occurrence not after `now`, where `due` is one, and the first one after `now`."""
    latest, following = due, next_cron_time(expression, due, zone)
    if following > now:
        return latest, following
    # croniter's backward search knows no daylight saving, so look forward from ever earlier starts.
    reach = timedelta(seconds=60)
    while now - reach > due and next_cron_time(expression, now - reach, zone) > now:
        reach *= 2
    following = next_cron_time(expression, max(due, now - reach), zone)
    while following <= now:
        latest, following = following, next_cron_time(expression, following, zone)
    return latest, following


def around_interval(interval: int, due: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The last point of the grid `due + n * interval` (seconds) not after `now`, and the next."""
    step = timedelta(seconds=interval)
    latest = due if now - due < step else due + (now - due) // step * step
    return latest, latest + step


@lru_cache(maxsize=4096)
def _next(expression: str, after: int, zone: tzinfo | None, local: tuple[str, str]) -> int:
    """One step of croniter costs 100 microseconds, and many schedules share an expression.

    `local` tells the local zone (None) of one moment from that of another.
    """
    step = _next_matching if _follows_clock(expression) else _next_fixed
    return step(expression, after, zone)


def _next_matching(expression: str, after: int, zone: tzinfo | None) -> int:
    """The first real second after `after` whose wall time matches."""
    wall = _wall(after, zone)
    first, second = _instants(wall, zone)
    candidate = _match_after(expression, wall)
    if wall.fold == 0 and first < second:
        # In the first pass through a repeated stretch: the second pass comes before what follows.
        turn = _transition(after, after + second - first, zone)
        inside = _instants(candidate, zone)[0]
        if inside < turn:
            return inside
        after = turn - 1
        candidate = _match_after(expression, _wall(turn, zone) - _SECOND)
    while True:
        first, second = _instants(candidate, zone)
        if first > second:  # the wall clock skips this time: go on behind the gap
            resume = _wall(_transition(second, first, zone), zone)
            candidate = _match_after(expression, resume - _SECOND)
        elif first > after:
            return first
        elif second > after:
            return second
        else:
            candidate = _match_after(expression, candidate)


def _next_fixed(expression: str, after: int, zone: tzinfo | None) -> int:
    """The first instant after `after` at which a matching time of day fires, once for each."""
    candidate = _match_after(expression, _wall(after, zone))
    while True:
        first, second = _instants(candidate, zone)
        instant = _transition(second, first, zone) if first > second else first
        if instant > after:
            return instant
        candidate = _match_after(expression, candidate)


def _wall(instant: int, zone: tzinfo | None) -> datetime:
    """The naive wall time at an instant; `fold` is 1 in the second pass of a repeated stretch."""
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None)


def _instants(wall: datetime, zone: tzinfo | None) -> tuple[int, int]:
    """The instants of a wall time: equal, or rising where repeated, or falling where skipped."""
    aware = wall.replace(tzinfo=zone)
    return int(aware.replace(fold=0).timestamp()), int(aware.replace(fold=1).timestamp())


def _transition(low: int, high: int, zone: tzinfo | None) -> int:
    """The first second of (low, high] with high's UTC offset; low has another one."""
    offset = _offset(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == offset:
            high = middle
        else:
            low = middle
    return high


def _offset(instant: int, zone: tzinfo | None) -> timedelta:
    return _wall(instant, zone) - datetime.fromtimestamp(instant, UTC).replace(tzinfo=None)


def _follows_clock(expression: str) -> bool:
    fields = _expand_alias(expression).split()
    return len(fields) == max(_FIELD_COUNTS) or any(f.startswith("*") for f in fields[:2])


def _expand_alias(expression: str) -> str:
    return ALIASES.get(expression.strip().lower(), expression)


_matchers_lock = threading.Lock()  # croniter objects carry their position


def _match_after(expression: str, wall: datetime) -> datetime:
    """The first matching wall time, a whole second, strictly after `wall`."""
    with _matchers_lock:
        found: datetime = _matcher(expression).get_next(
            datetime, start_time=wall.replace(microsecond=0, fold=0)
        )
    return found


@lru_cache(maxsize=2048)
def _matcher(expression: str) -> croniter:
    # cron's own rule for days: both fields must match where either begins with `*`, else one does
    return croniter(_expand_alias(expression), datetime(2000, 1, 1), implement_cron_bug=True)
