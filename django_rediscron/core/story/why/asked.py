"""Which moment somebody means who asks about a time, and which occurrence."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from ...exceptions import InvalidScheduleError
from ...quoting import quoted
from ...schedule.option_checks import check_moment
from ...schedule.record import Record
from ...timing.clock_rules import find_transition, instants
from ...timing.cron_expression import parse
from ...timing.zones import UTC
from .evidence import Evidence
from .timeline import MOMENT, Era, previous

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


def meant(evidence: Evidence, time: datetime, width: timedelta) -> datetime:
    """The first occurrence from this time on that is asked about; else the time itself."""
    end = time + width
    found = [run.occurrence for run in evidence.runs]
    found += [evidence.pending_since]
    era = evidence.timeline.before(time + MOMENT)
    if era is not None and time <= evidence.moment:
        found += _next_of(evidence, era, time)
    elif time > evidence.moment:
        found += _next_of(evidence, evidence.present, time)
    for record in evidence.records:
        found += [record.occurrence, getattr(record, "until", None)]
    return min((at for at in found if at is not None and time <= at < end), default=time)


def is_moved_by_clocks(evidence: Evidence, wall: datetime, time: datetime) -> bool:
    """Whether an expression names this skipped wall time, and is due when it was skipped."""
    era = evidence.timeline.before(time) if time <= evidence.moment else evidence.present
    job = era.definition if era else None
    if job is None or not job.cron:
        return False
    expression = parse(job.cron)
    if expression.follows_clock:
        return False
    try:
        return expression.next(wall - _SECOND) == wall
    except LookupError:
        return False


def around(evidence: Evidence) -> list[datetime]:
    """The latest occurrence and the next one, as far as there are any."""
    times = [_latest_occurrence(evidence)]
    if isinstance(evidence.stored, Record):
        times += _next_of(evidence, evidence.present, evidence.moment + MOMENT)
    return [time for time in times if time is not None]


def _next_of(evidence: Evidence, era: Era, time: datetime) -> list[datetime | None]:
    recurrence = evidence.timeline.recurrence(era, time)
    return [] if recurrence is None else [recurrence.next(time - MOMENT)]


def _latest_occurrence(evidence: Evidence) -> datetime | None:
    timeline, moment = evidence.timeline, evidence.moment
    for era in timeline.eras:
        recurrence = timeline.recurrence(era, era.until or moment)
        if recurrence is None or era.definition is None:
            continue
        last = min(era.until or moment, era.definition.end_at or moment, moment)
        time = previous(recurrence, last + MOMENT)
        if time is not None and time > era.since:
            return time
        if timeline.is_birth(era, era.since):
            return era.since
    return None
