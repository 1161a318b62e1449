"""What Sentry is to expect of a schedule's runs: the configuration of its monitor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ...core.schedule.definition import Definition
from ...core.timing.cron_expression import parse
from ...core.timing.portable import portable_cron, zone_name

if TYPE_CHECKING:
    from sentry_sdk._types import MonitorConfig, MonitorConfigSchedule, MonitorConfigScheduleUnit

MOST_FAILURES = 720
"""Check-ins in a row that Sentry counts."""

LONGEST = 7 * 24 * 60
"""Minutes that Sentry accepts as margin and as longest runtime."""

NONE_EXPECTED: MonitorConfigSchedule = {"type": "interval", "value": 10, "unit": "year"}
"""For a schedule that is disabled or has no run left: Sentry cannot expect none at all."""

_UNITS: tuple[tuple[int, MonitorConfigScheduleUnit], ...] = (
    (24 * 60, "day"),
    (60, "hour"),
    (1, "minute"),
)


@dataclass(frozen=True)
class MonitorOptions:
    """What holds for all schedules that do not say otherwise. Durations are seconds."""

    margin: float
    max_runtime: float | None = None
    recoveries: int | None = None
    owner: str | None = None


def monitor_config(job: Definition, options: MonitorOptions, moment: datetime) -> MonitorConfig:
    """The configuration of a schedule's monitor at this moment. What is left out, Sentry keeps."""
    wishes = job.notify if isinstance(job.notify, dict) else {}
    config = _expected(job, moment)
    config["checkin_margin"] = _minutes(wishes.get("margin", options.margin) + job.jitter)
    config["failure_issue_threshold"] = min(wishes.get("failures", 1), MOST_FAILURES)
    longest = job.max_runtime or options.max_runtime or _job_timeout(job)
    if longest:
        config["max_runtime"] = _minutes(longest)
    if options.recoveries:
        config["recovery_threshold"] = options.recoveries
    if options.owner:
        config["owner"] = options.owner
    return config


def is_frequent(job: Definition) -> bool:
    """Whether it may run more than once in a minute, of which Sentry takes six check-ins."""
    if job.cron:
        return len(parse(job.cron).seconds) > 1
    return (job.interval or 60) < 60


def _expected(job: Definition, moment: datetime) -> MonitorConfig:
    """When Sentry is to expect runs; it knows no seconds."""
    if not job.enabled or job.finished_at is not None:
        return {"schedule": NONE_EXPECTED}
    if not job.cron:
        return {"schedule": _every(math.ceil((job.interval or 60) / 60))}
    cron, zone = portable_cron(job.cron), zone_name(job.zone.key if job.zone else None)
    if cron and zone:
        return {"schedule": {"type": "crontab", "value": cron}, "timezone": zone}
    # Sentry counts an interval from each check-in, and each says how far the next run is away.
    following = job.next_enqueue_time or moment
    return {"schedule": _every(math.ceil((following - moment).total_seconds() / 60))}


def _every(minutes: int) -> MonitorConfigSchedule:
    minutes = max(1, minutes)
    size, unit = next((size, unit) for size, unit in _UNITS if minutes % size == 0)
    return {"type": "interval", "value": minutes // size, "unit": unit}


def _minutes(seconds: float) -> int:
    return min(max(1, math.ceil(seconds / 60)), LONGEST)


def _job_timeout(job: Definition) -> float | None:
    """Seconds after which RQ ends a run; None if it does not, or tries it again."""
    timeout = job.job_options.get("job_timeout")
    if job.job_options.get("retry") or not isinstance(timeout, (int, float)) or timeout < 0:
        return None
    return timeout
