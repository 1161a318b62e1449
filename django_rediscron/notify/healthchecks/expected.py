"""When Healthchecks is to expect a schedule's runs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from ...core.schedule.definition import Definition
from ...core.timing.cron_fields import split
from ...core.timing.cron_times import next_cron_time
from ...core.timing.durations import as_seconds
from ...core.timing.portable import portable_cron, zone_name

SHORTEST, LONGEST = 60, 365 * 86400
"""Seconds that Healthchecks accepts as period and as grace time."""

LONGEST_EXPRESSION = 100
"""Characters that it accepts."""

DEFAULT_GRACE = 3600.0
"""Seconds; what Healthchecks itself gives to new checks."""

_DAY = 86400
_DAYS_LOOKED_AT = 400
_BEGIN = datetime(2024, 1, 1, tzinfo=timezone.utc)
"""Fixed, so that the same expression always gives the same period."""


def expected(job: Definition, grace: float) -> dict[str, Any]:
    """The fields of a check that say when it is to be pinged.

    `grace`: seconds, for a schedule without a margin of its own.
    """
    seconds = _grace(job, grace)
    if not job.cron:
        return {"timeout": _within_limits(job.interval or 0), "grace": _within_limits(seconds)}
    cron = portable_cron(job.cron)
    zone = zone_name(job.local_zone.key if job.local_zone and not job.timezone else job.timezone)
    if len(split(job.cron)) == 6:
        seconds += 60  # Healthchecks knows no seconds, and expects the run at second 0
    if cron is None or len(cron) > LONGEST_EXPRESSION or zone is None:
        return by_period(job, seconds)
    return {"schedule": cron, "tz": zone, "grace": _within_limits(seconds)}


def by_period(job: Definition, grace: float) -> dict[str, Any]:
    """The same for a cron expression or a zone that Healthchecks does not know."""
    return {"timeout": _within_limits(longest_gap(job.cron or "")), "grace": _within_limits(grace)}


def _grace(job: Definition, default: float) -> float:
    """Healthchecks also takes it as the longest time between the start of a run and its end."""
    margin = job.notify.get("margin") if isinstance(job.notify, dict) else None
    if margin is not None:
        seconds = float(as_seconds(margin))
    else:
        seconds = max(default, float(job.max_runtime or 0))
    return seconds + float(job.jitter or 0)


def _within_limits(seconds: float) -> int:
    return int(min(max(seconds, SHORTEST), LONGEST))


def longest_gap(expression: str) -> float:
    """Seconds that may at most pass between two runs: between two days that have any, and a day."""
    _, _, day, month, weekday, *_ = split(expression)
    return _longest_gap(f"0 0 {day} {month} {weekday}")


@lru_cache(maxsize=1024)
def _longest_gap(days: str) -> float:
    longest, before = timedelta(), _BEGIN
    try:
        for _ in range(_DAYS_LOOKED_AT):
            following = next_cron_time(days, before, timezone.utc)
            longest, before = max(longest, following - before), following
    except LookupError:  # no more before the end of the calendar
        return LONGEST
    return longest.total_seconds() + _DAY
