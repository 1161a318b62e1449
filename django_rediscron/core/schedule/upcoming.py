"""The next runs of a schedule, as the scheduler will enqueue them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from ..timing.recurrence import DISAGREEMENT
from .definition import Definition
from .missed import own_time, settle_due

_ROOM = 100
_WALKED = 2000
"""Occurrences that are looked at one by one to find those that are delayed past a moment."""

_VAIN = 10
"""Settlements without a run, after which every occurrence is assumed to run at its own time. There
are so many only if jitter is thousands of times longer than the period and late occurrences are
skipped; then only settling all of them would show which ones run."""


class Upcoming(NamedTuple):
    """A run to come: when it is to be enqueued, and the occurrence, whose time has no delay."""

    time: datetime
    occurrence: datetime


def upcoming(job: Definition, after: datetime | None, moment: datetime) -> Iterator[Upcoming]:
    """The runs of a schedule from `moment` on or, with `after`, after that time.

    Overdue runs are given with their original times. For an `after` in the past, the schedule is
    treated as if it had always existed.
    """
    if not job.enabled or job.finished_at is not None:
        return
    left = job.runs_left
    if after is not None and after < moment - DISAGREEMENT:
        moment = _before_delays(job, after)
        recurrence = job.recurrence(job.next_enqueue_time or job.latest_enqueue_time or after)
        due = recurrence.next(moment)
    else:
        due = job.due_time(moment)
    skip_to, shown, vain = after, moment, 0
    while due is not None and left > 0:
        time = own_time(job, due)
        if time > moment and skip_to is not None:
            due, left = _skip_to(job, due, skip_to, left)
            skip_to = None
            continue
        if vain == _VAIN:
            yield from _by_delay(job, due, max(shown, after or moment), left)
            return
        steps = settle_due(job, due, max(time, moment), int(min(left, _ROOM)))
        vain += not any(step.run for step in steps)
        for step in steps:
            due = step.following
            if step.run is not None:
                shown = time if time > moment else own_time(job, step.run)
                left -= 1
                if after is None or shown > after:
                    yield Upcoming(shown, step.run)


def _by_delay(job: Definition, due: datetime, since: datetime, left: float) -> Iterator[Upcoming]:
    """The next occurrences from `due` whose times, delays included, are after a moment."""
    recurrence = job.recurrence(due)
    runs: list[Upcoming] = []
    occurrence: datetime | None = due
    while occurrence is not None and len(runs) < _WALKED:
        runs.append(Upcoming(own_time(job, occurrence), occurrence))
        occurrence = recurrence.next(occurrence)
    coming = sorted(run for run in runs if run.time > since)
    return islice(coming, int(min(left, _WALKED)))


def _before_delays(job: Definition, after: datetime) -> datetime:
    """Occurrences up to here do not influence what is enqueued after that moment.

    One that is delayed past it is later than `after - jitter`, and depends on no other one that is
    earlier than its own time minus `jitter`.
    """
    return after - 2 * timedelta(seconds=job.jitter)


def _skip_to(
    job: Definition, due: datetime, after: datetime, left: float
) -> tuple[datetime | None, float]:
    """The occurrence from which to look for those after a moment, and how many runs are left.

    Approximate if the delay is longer than thousands of periods.
    """
    recurrence = job.recurrence(due)
    first = recurrence.next(_before_delays(job, after))
    if first is None:
        return None, 0
    first = max(first, due)
    if job.jitter:
        first = recurrence.back(recurrence.last(after, first), _WALKED, first)
    if first > due and job.max_runs is not None:
        skipped = recurrence.count(due, first) - 1
        if job.jitter and skipped <= _WALKED:
            return due, left  # some of them may be enqueued together
        left -= skipped
    return first, left
