"""Next times that are wrong, and right ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ..schedule.record import Record
from ..timing.recurrence import DISAGREEMENT

Rule = Callable[[Record, datetime], "datetime | None"]
"""The right next time of an enabled schedule, or None where the one that it has is right."""

_CLOSE = timedelta(milliseconds=1)


def after_step_back(schedule: Record, moment: datetime) -> datetime | None:
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
    return schedule.recurrence(following).next(moment)


def after_foreign_change(schedule: Record, moment: datetime) -> datetime | None:
    """For a change by rq-rediscron, which keeps the next time of the old interval or expression."""
    latest, following = schedule.latest_enqueue_time, schedule.next_enqueue_time
    if following is None or following <= moment:
        return None  # due at once anyhow
    since = max(moment, latest or moment)
    if schedule.cron or schedule.start_at is not None:
        expected = schedule.recurrence(latest).next(since)
        if expected is None or abs(following - expected) < _CLOSE:
            return None
        return expected
    if latest is None:
        return moment
    step = timedelta(seconds=schedule.interval or 0)
    # Nearer it may be: after an edit of our own, an interval is not in its latest run's rhythm.
    return None if following - since <= step else since + step
