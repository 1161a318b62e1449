"""Next times that are wrong, and right ones: after a clock was set back, after strangers' edits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from .job import RedisCronJob
from .timing import next_cron_time

Rule = Callable[[RedisCronJob, datetime], "datetime | None"]
"""The right next time of an enabled schedule, or None where the one that it has is right."""

_CLOSE = timedelta(milliseconds=1)


def after_step_back(schedule: RedisCronJob, moment: datetime) -> datetime | None:
    """For a wall clock that was set back.

    A schedule that ran in what is the future again, and would keep silent for longer than its own
    period, goes on from now. One whose period is longer waits: it would run a second time.
    """
    latest, following = schedule.latest_enqueue_time, schedule.next_enqueue_time
    if latest is None or following is None or following - latest > latest - moment:
        return None
    if schedule.cron:
        return next_cron_time(schedule.cron, moment)
    step = timedelta(seconds=schedule.interval or 0)
    return latest - (latest - moment) // step * step


def after_foreign_change(schedule: RedisCronJob, moment: datetime) -> datetime | None:
    """For a change by rq-rediscron, which keeps the next time of the old interval or expression."""
    latest, following = schedule.latest_enqueue_time, schedule.next_enqueue_time
    if following is None or following <= moment:
        return None  # due at once anyhow
    if schedule.cron:
        expected = next_cron_time(schedule.cron, max(moment, latest or moment))
        return None if abs(following - expected) < _CLOSE else expected
    step = timedelta(seconds=schedule.interval or 0)
    if latest is None:
        return moment
    return None if abs(following - latest - step) < _CLOSE else moment + step
