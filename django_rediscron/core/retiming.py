"""Next times that are wrong or missing, and right ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from .job import RedisCronJob
from .timing import around_interval, next_cron_time
from .validation import MAX_WAIT

Rule = Callable[[RedisCronJob, datetime], "datetime | None"]
"""The right next time of an enabled schedule, or None where the one that it has is right."""

_CLOSE = timedelta(milliseconds=1)
_LONGEST = timedelta(seconds=MAX_WAIT)


def next_time(schedule: RedisCronJob, moment: datetime) -> datetime:
    """The next time of an enabled schedule: that of its hash, if it says one that can be.

    Otherwise, as after a change whose writer could not know all that it depends on, it is computed
    from that change on, or from its latest occurrence if it ran since.
    """
    following, latest = schedule.next_enqueue_time, schedule.latest_enqueue_time
    if following is not None and following - moment <= _LONGEST:
        return following
    changed = min(schedule.updated_at or moment, moment)
    since = max(changed, latest or changed)
    if schedule.cron:
        return next_cron_time(schedule.cron, since)
    return around_interval(schedule.interval or 0, latest, since)[1] if latest else changed


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
