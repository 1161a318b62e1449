"""The last run of each schedule of a page."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.store.runs import read_runs
from ..models import Schedule
from ..query.queryset import connection


def with_last_runs(schedules: Iterable[Schedule]) -> list[Schedule]:
    """These schedules, each with its `latest_run`."""
    found = list(schedules)
    runs = read_runs([schedule.id for schedule in found], connection())
    for schedule in found:
        schedule.latest_run = next(iter(runs[schedule.id]), None)
    return found
