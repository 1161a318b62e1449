"""The runs to come, as the scheduler will enqueue them: passes of it, computed beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..timing.recurrence import DISAGREEMENT, Grid
from .checks import MAX_WAIT
from .missed import own_time, settle_due

if TYPE_CHECKING:
    from .definition import Definition

_LONGEST = timedelta(seconds=MAX_WAIT)
_ROOM = 100
_WALKED = 2000
"""Occurrences that are walked one by one to find those that are delayed past a moment."""


def next_time(job: Definition, moment: datetime) -> datetime | None:
    """The next time of an enabled schedule: that of its hash, if it says one that can be.

    Otherwise, as after a change whose writer could not know all that it depends on, it is computed
    from that change on, or from its latest occurrence if it ran since. None where none is left.
    """
    if job.finished_at is not None or _runs_left(job) <= 0:
        return None
    following, latest = job.next_enqueue_time, job.latest_enqueue_time
    if following is not None and following - moment <= _LONGEST:
        start_at, end_at = job.start_at, job.end_at
        if end_at is not None and following > end_at:
            return None
        if start_at is None or following >= start_at:
            return following
    changed = min(job.updated_at or moment, moment)
    since = max(changed, latest or changed)
    return Grid.of(job).first(since, latest, retimed=False)


def upcoming(job: Definition, after: datetime | None, moment: datetime) -> Iterator[datetime]:
    """When a schedule is to be enqueued from `moment` on, or, with `after`, from then on.

    Of what is overdue the time at which it should have been. An `after` that has passed is answered
    as if the schedule had always been there.
    """
    if not job.enabled or job.finished_at is not None:
        return
    left = _runs_left(job)
    if after is not None and after < moment - DISAGREEMENT:
        moment = _before_delays(job, after)
        grid = Grid.of(job, job.next_enqueue_time or job.latest_enqueue_time or after)
        due = grid.next(moment)
    else:
        due = next_time(job, moment)
    skip_to = after
    while due is not None and left > 0:
        time = own_time(job, due)
        if time > moment and skip_to is not None:
            due, left = _skip_to(job, due, skip_to, left)
            skip_to = None
            continue
        for step in settle_due(job, due, max(time, moment), int(min(left, _ROOM))):
            due = step.following
            if step.run is not None:
                shown = time if time > moment else own_time(job, step.run)
                left -= 1
                if after is None or shown > after:
                    yield shown


def _runs_left(job: Definition) -> float:
    return math.inf if job.max_runs is None else job.max_runs - job.runs


def _before_delays(job: Definition, after: datetime) -> datetime:
    """No occurrence up to here has a say in what is enqueued after that moment.

    One that is delayed past it is later than the longest delay before it, and waits for no other
    one that is earlier than the longest delay before itself.
    """
    return after - 2 * timedelta(seconds=job.jitter)


def _skip_to(
    job: Definition, due: datetime, after: datetime, left: float
) -> tuple[datetime | None, float]:
    """An occurrence from which on it is walked to those after a moment, and how many runs are left.

    Where the delay is longer than the distance of thousands of occurrences, that is not exact.
    """
    grid = Grid.of(job, due)
    first = grid.next(_before_delays(job, after))
    if first is None or first <= due:
        return (None, 0) if first is None else (due, left)
    if job.jitter:
        first = grid.back(grid.last(after, first), _WALKED, first)
    if job.max_runs is not None:
        skipped = grid.count(due, first) - 1
        if job.jitter and skipped <= _WALKED:
            return due, left  # some of them may be enqueued together
        left -= skipped
    return first, left
