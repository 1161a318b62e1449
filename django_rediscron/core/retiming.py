"""Next times that are wrong or missing, and right ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from .grid import DISAGREEMENT, Grid
from .job import RedisCronJob
from .validation import MAX_WAIT

Rule = Callable[[RedisCronJob, datetime], "datetime | None"]
"""The right next time of an enabled schedule, or None where the one that it has is right."""

_CLOSE = timedelta(milliseconds=1)
_LONGEST = timedelta(seconds=MAX_WAIT)


def next_time(schedule: RedisCronJob, moment: datetime) -> datetime | None:
    """The next time of an enabled schedule: that of its hash, if it says one that can be.

    Otherwise, as after a change whose writer could not know all that it depends on, it is computed
    from that change on, or from its latest occurrence if it ran since. None where none is left.
    """
    if schedule.finished_at is not None or _is_used_up(schedule):
        return None
    following, latest = schedule.next_enqueue_time, schedule.latest_enqueue_time
    if following is not None and following - moment <= _LONGEST:
        start_at, end_at = schedule.start_at, schedule.end_at
        if end_at is not None and following > end_at:
            return None
        if start_at is None or following >= start_at:
            return following
    changed = min(schedule.updated_at or moment, moment)
    since = max(changed, latest or changed)
    return Grid.of(schedule).first(since, latest, retimed=False)


def _is_used_up(schedule: RedisCronJob) -> bool:
    return schedule.max_runs is not None and schedule.runs >= schedule.max_runs


def after_step_back(schedule: RedisCronJob, moment: datetime) -> datetime | None:
    """For a wall clock that was set back.

    A schedule that ran in what is the future again, and would keep silent for longer than its own
    period, goes on from now. One whose period is longer waits, as all do after a small step: it
    would run a second time.
    """
    latest, following = schedule.latest_enqueue_time, schedule.next_enqueue_time
    if latest is None or following is None:
        return None
    step = latest - moment
    if step <= DISAGREEMENT or following - latest > step:
        return None
    return Grid.of(schedule, following).next(moment)


def after_foreign_change(schedule: RedisCronJob, moment: datetime) -> datetime | None:
    """For a change by rq-rediscron, which keeps the next time of the old interval or expression."""
    latest, following = schedule.latest_enqueue_time, schedule.next_enqueue_time
    if following is None or following <= moment:
        return None  # due at once anyhow
    since = max(moment, latest or moment)
    if schedule.cron or schedule.start_at is not None:
        expected = Grid.of(schedule, latest).next(since)
        if expected is None or abs(following - expected) < _CLOSE:
            return None
        return expected
    if latest is None:
        return moment
    step = timedelta(seconds=schedule.interval or 0)
    # Nearer it may be: after an edit of our own, an interval is not in its latest run's rhythm.
    return None if following - since <= step else since + step
