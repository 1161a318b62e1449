"""Whether `max_runs` left a run for an occurrence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...schedule.record import Record
from ..runs import Run
from .timeline import Era, Timeline


def will_be_used_up(stored: object, following: datetime | None, time: datetime) -> bool:
    """Whether none is left for an occurrence to come. `following`: the next occurrence."""
    if not isinstance(stored, Record) or stored.max_runs is None or following is None:
        return False
    return stored.recurrence(following).count(following, time) > stored.max_runs - stored.runs


def last_of_all(timeline: Timeline, runs: Sequence[Run], time: datetime) -> datetime | None:
    """When the last of them was enqueued, if that was before an occurrence.

    Runs count while there is a limit, and from 0 again after changes that revive a schedule.
    `runs`: those of the scheduler.
    """
    count, last = 0, None
    limit: int | None = None
    for era in reversed(timeline.eras):
        if era.since >= time:
            break
        limit = era.definition.max_runs if era.definition else None
        if limit is None:
            continue
        if era.restarts_counting(over=count >= limit):
            count = 0
        for at in _enqueued_in(era, runs, time):
            count, last = count + 1, at
    return last if limit is not None and count >= limit else None


def _enqueued_in(era: Era, runs: Sequence[Run], time: datetime) -> list[datetime]:
    """When those were that belong to earlier occurrences."""
    return [
        run.enqueued_at
        for run in runs
        if run.enqueued_at is not None
        and run.occurrence is not None
        and run.occurrence < time
        and era.since <= run.enqueued_at
        and (era.until is None or run.enqueued_at < era.until)
    ]
