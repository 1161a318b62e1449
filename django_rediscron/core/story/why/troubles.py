"""Failures to enqueue, and what ended them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ...schedule.missed import Skip
from ..changes import LoggedChange
from ..runs import Run
from ..skips import Failure
from .timeline import Timeline


@dataclass(frozen=True)
class Trouble:
    """A failure to enqueue, and what ended it; None for both: it lasts."""

    failure: Failure
    run: Run | None
    change: LoggedChange | None
    until: datetime | None

    @classmethod
    def of(
        cls, failure: Failure, runs: Sequence[Run], skips: Sequence[Skip], timeline: Timeline
    ) -> Trouble:
        """`runs`: those of the scheduler; like the skips, oldest first."""
        run = next((run for run in runs if _heals(run, failure)), None)
        skip = next((skip for skip in skips if skip.at >= failure.at), None)
        change = next(timeline.changes_from(failure.at), None)
        ends: list[tuple[datetime, Run | None, LoggedChange | None]] = []
        if run is not None and run.enqueued_at is not None:
            ends.append((run.enqueued_at, run, None))
        if skip is not None:
            ends.append((skip.at, None, None))
        if change is not None:
            ends.append((change.at, None, change))
        until, ended_by, changed = min(ends, key=lambda end: end[0], default=(None, None, None))
        return cls(failure, ended_by, changed, until)


def _heals(run: Run, failure: Failure) -> bool:
    at = run.enqueued_at
    return at is not None and at >= failure.at and (run.occurrence or at) >= failure.occurrence
