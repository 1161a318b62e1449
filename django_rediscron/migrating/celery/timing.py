"""When beat sends a task: schedules of Celery as our keywords, and their times by its own code."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from ...core.timing.cron_fields import (
    HOUR,
    MINUTE,
    MONTH,
    Days,
    Field,
    Weekdays,
    days_of,
    numbers_of,
    weekdays_of,
)
from ...core.timing.portable import ranges
from ..days import both_days
from ..found import CannotMoveError, Note, Times
from ..packages import import_needed

_KNOWN = ("celery.schedules", "django_celery_beat.tzcrontab")
_ROUNDED = {60: "* * * * *", 3600: "0 * * * *", 86400: "0 0 * * *"}
"""Seconds -> when they begin."""

_IDLE = 1000
"""How often beat may be told to wait before it gives a time."""


def timing_of(schedule: Any) -> tuple[dict[str, Any], list[Note]]:
    """A schedule of Celery as keywords, and what is different. Raises `CannotMoveError`."""
    schedules = import_needed("celery.schedules", "celery")
    kind = type(schedule)
    if isinstance(schedule, schedules.solar):
        raise solar(schedule.event)
    if kind.__module__ in _KNOWN and isinstance(schedule, schedules.crontab):
        return {"cron": cron_of(schedule), "timezone": zone_name(schedule.tz)}, []
    if kind.__module__ in _KNOWN and isinstance(schedule, schedules.schedule):
        return _interval_of(schedule)
    raise CannotMoveError(
        f"its schedule is a {kind.__module__}.{kind.__qualname__}, whose times only its own code "
        f"knows",
        "register it with an interval or a cron expression",
    )


def solar(event: str) -> CannotMoveError:
    """What is told of a schedule that follows the sun."""
    return CannotMoveError(
        f"it is a solar schedule ({event}), and there are none here",
        "run a function once a day that computes the time and calls queue.enqueue_at",
    )


def next_times(schedule: Any, zone: tzinfo, last: datetime | None = None) -> Times:
    """When beat sends it, if it sent it `last`; None: if beat is started at that moment."""

    def times(after: datetime, count: int) -> list[datetime]:
        asked = _Beat(schedule, zone, after)
        return [*asked.walk(last or after, count)]

    return times


class _Beat:
    """Asks a schedule of Celery as beat does: is it due, if it was sent last at that moment?"""

    def __init__(self, schedule: Any, zone: tzinfo, now: datetime) -> None:
        self._schedule, self._zone = object.__new__(type(schedule)), zone
        vars(self._schedule).update(vars(schedule))  # a copy of Celery's would forget the app
        self._now = now.astimezone(timezone.utc)
        self._schedule.nowfun = lambda: self._now.astimezone(zone)

    def walk(self, last: datetime, count: int) -> Iterator[datetime]:
        idle = 0
        while count and idle < _IDLE:
            is_due, wait = self._schedule.is_due(last.astimezone(self._zone))
            if is_due:
                yield self._now
                last, count, idle = self._now, count - 1, 0
            else:
                self._now += timedelta(seconds=wait)
                idle += 1


def zone_name(zone: tzinfo) -> str:
    """Its IANA name. Raises `CannotMoveError` if it has none."""
    name = getattr(zone, "key", None) or ("UTC" if zone is timezone.utc else None)
    if not isinstance(name, str):
        raise CannotMoveError(
            f"its time zone {zone} has no name", "set timezone in the configuration of Celery"
        )
    return name


# Intervals


def _interval_of(schedule: Any) -> tuple[dict[str, Any], list[Note]]:
    seconds = schedule.run_every.total_seconds()
    if seconds <= 0 or seconds != int(seconds):
        raise CannotMoveError(
            f"its interval is {seconds:g} seconds; here it is a whole number, at least 1",
            "run it every second at most, and let one run do the work of several",
        )
    if not schedule.relative:
        return {"interval": int(seconds)}, []
    if seconds in _ROUNDED:
        return {"cron": _ROUNDED[int(seconds)], "timezone": zone_name(schedule.tz)}, []
    return {"interval": int(seconds)}, [
        Note(
            "relative: Celery rounds its times down to a full minute, hour or day; an interval "
            "here counts from its beginning",
            "give it start_at, such as a full hour, or a cron expression",
        )
    ]


# Cron expressions


def cron_of(crontab: Any) -> str:
    """The expression that has the times of a `crontab`. Raises `CannotMoveError`."""
    day, weekday = _day_fields(crontab)
    return " ".join(
        (
            _field(MINUTE, crontab._orig_minute, crontab.minute),
            _field(HOUR, crontab._orig_hour, crontab.hour),
            day,
            _field(MONTH, crontab._orig_month_of_year, crontab.month_of_year),
            weekday,
        )
    )


def _field(field: Field, original: object, numbers: Collection[int]) -> str:
    """As it is written there, if that means the same here."""
    text = _without_spaces(original)
    try:
        if set(numbers_of(field, text)) == set(numbers):
            return text
    except ValueError:
        pass
    return ",".join(ranges(numbers))


def _day_fields(crontab: Any) -> tuple[str, str]:
    """The fields of days and weekdays; Celery needs both to match."""
    try:
        return both_days(_day_text(crontab), _weekday_text(crontab))
    except ValueError as error:
        raise CannotMoveError(
            str(error),
            "schedule it on one of the two, and let the function return at once on other days",
        ) from None


def _day_text(crontab: Any) -> str:
    days, text = crontab.day_of_month, _without_spaces(crontab._orig_day_of_month)
    try:
        same = days_of(text) == Days(frozenset(days))
    except ValueError:
        same = False
    return text if same else ",".join(ranges(days))


def _weekday_text(crontab: Any) -> str:
    weekdays, text = crontab.day_of_week, _without_spaces(crontab._orig_day_of_week)
    try:
        same = weekdays_of(text) == Weekdays(frozenset(weekdays))
    except ValueError:
        same = False
    return text if same else ",".join(ranges(weekdays))


def _without_spaces(original: object) -> str:
    return "".join(original.split()) if isinstance(original, str) else str(original)
