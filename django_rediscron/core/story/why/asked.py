"""Which moment somebody means who asks about a time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from ...exceptions import InvalidScheduleError
from ...quoting import quoted
from ...schedule.option_checks import check_moment
from ...timing.clock_rules import find_transition, instants
from ...timing.zones import UTC

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_HAS_TIME = re.compile(r"\d[T ]\d")
_MINUTE, _SECOND, _DAY = timedelta(minutes=1), timedelta(seconds=1), timedelta(days=1)


class Asked(NamedTuple):
    """A moment that was asked about."""

    time: datetime
    width: timedelta
    """How exactly: an occurrence in this time from then on is meant, too."""
    skipped: datetime | None = None
    """The wall time that was asked about, if the clocks skipped it; `time` is when they did."""


def read_asked(value: object, zone: tzinfo | None, moment: datetime) -> list[Asked]:
    """What a datetime or a text means; two moments for a wall time that the clocks repeat.

    `zone`: of texts that name none; None for the local one. Raises `InvalidScheduleError`.
    """
    if isinstance(value, datetime):
        return _exactly(value)
    if not isinstance(value, str):
        raise InvalidScheduleError(f"time must be an aware datetime or a text, got {quoted(value)}")
    text = value.strip()
    found = _TIME_OF_DAY.fullmatch(text)
    try:
        if found is not None:
            hour, minute, second = (int(part or 0) for part in found.groups())
            return _latest(hour, minute, second, zone, moment)
        wall = datetime.fromisoformat(_as_python_writes_it(text))
    except (ValueError, OverflowError):
        raise _no_time(value) from None
    if not _HAS_TIME.search(text):
        raise _no_time(value)
    return _exactly(wall) if wall.tzinfo is not None else _instants(wall, zone)


def _as_python_writes_it(text: str) -> str:
    """As Python 3.10 reads it: six digits after the point, and a numeric offset."""
    text = re.sub(r"\.(\d{1,6})", lambda found: f".{found[1]:0<6}", re.sub("[Zz]$", "+00:00", text))
    return re.sub(r"(\d[+-]\d{2})(\d{2})$", r"\1:\2", text) if ":" in text else text


def _no_time(value: str) -> InvalidScheduleError:
    return InvalidScheduleError(
        f"time must be a time of day such as 03:00, or a date and time in ISO 8601 such as "
        f"2026-03-23T03:00 or 2026-03-23T03:00+01:00, got {quoted(value)}"
    )


def _exactly(time: datetime) -> list[Asked]:
    check_moment("time", time)
    return [Asked(time.astimezone(UTC), _width(time))]


def _width(time: datetime) -> timedelta:
    if time.microsecond:
        return timedelta()
    return _SECOND if time.second else _MINUTE


def _latest(
    hour: int, minute: int, second: int, zone: tzinfo | None, moment: datetime
) -> list[Asked]:
    """The latest such time of day."""
    today = moment.astimezone(zone).replace(tzinfo=None, fold=0, microsecond=0)
    for days in range(3):
        wall = (today - days * _DAY).replace(hour=hour, minute=minute, second=second)
        found = [asked for asked in _instants(wall, zone) if asked.time <= moment]
        if found:
            break
    return found


def _instants(wall: datetime, zone: tzinfo | None) -> list[Asked]:
    check_moment("time", wall.replace(tzinfo=UTC))
    whole, rest = wall.replace(microsecond=0), timedelta(microseconds=wall.microsecond)
    first, second = instants(whole, zone)
    if first > second:
        change = find_transition(second, first, zone)
        return [Asked(datetime.fromtimestamp(change, UTC), timedelta(), wall)]
    return [
        Asked(datetime.fromtimestamp(each, UTC) + rest, _width(wall))
        for each in sorted({first, second})
    ]
