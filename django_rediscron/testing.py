"""For the tests of a project: whether what it declares can run, and what runs when."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from heapq import merge
from itertools import takewhile
from typing import Any

from .conf import aware
from .core.job import RedisCronJob
from .core.quoting import cut, quoted
from .core.schedule.upcoming import upcoming
from .core.story.occurrence import Occurrence, simulated
from .sync.declarations import declarations
from .sync.faults import declaration_faults

try:
    import time_machine
except ImportError:
    time_machine = None  # type: ignore[assignment]


def check_declarations() -> None:
    """Raise AssertionError for declared schedules that cannot run; no Redis is touched.

    A function, or a callback, that cannot be imported; arguments that do not fit its signature; an
    interval or expression that never fires; a queue that is not in `RQ_QUEUES`. The text has a line
    for each of these, with the id of the schedule and the place where it is declared.
    """
    lines = list(declaration_faults())
    if lines:
        raise AssertionError("\n".join(lines))


# What runs when


@dataclass(frozen=True)
class PlannedRun:
    """A run that a declared schedule is to have."""

    time: datetime
    """When it is to be enqueued, in UTC."""
    id: str
    """The id of the schedule."""
    occurrence: datetime
    """The time without the delay of `jitter`, in UTC."""


@dataclass(frozen=True)
class CalledRun(PlannedRun):
    """A run whose function was called."""

    result: Any = None
    """What it returned."""
    error: Exception | None = None
    """What it raised."""


class DeclaredSchedules:
    """What is declared, on a clock that only the test moves. No Redis is touched.

    It is as if all schedules had been declared when the clock began: `begin`, an aware datetime
    (one without a zone is in `TIME_ZONE`), by default now. An interval without `start_at` begins
    with a run at once. What would be late in production, skipped because an earlier run lasts, or
    tried again, runs at its time here, once.
    """

    def __init__(self, begin: datetime | None = None) -> None:
        self.begin(datetime.now(timezone.utc) if begin is None else begin)

    def begin(self, moment: datetime) -> None:
        """Begin anew at this moment."""
        self._begun = self.now = _utc(moment)
        self._after: datetime | None = None

    def occurrences(
        self, until: datetime | timedelta, ids: Collection[str] | None = None
    ) -> list[PlannedRun]:
        """What is to run from `now` on, up to and including `until`, in time order.

        `until`: an aware datetime, or how far from now. `ids`: those of the schedules that count,
        by default of all. Raises ValueError for an id that is not declared.
        """
        runs = merge(*map(self._runs_of, _declared(ids)), key=lambda run: run.time)
        end = self._moment(until)
        return list(takewhile(lambda run: run.time <= end, runs))

    def run_until(
        self, until: datetime | timedelta, ids: Collection[str] | None = None
    ) -> list[CalledRun]:
        """Call the function of each of these runs, in this process, and move `now` on to `until`.

        While a function is called, the clock shows the time of the run if `time-machine` is
        installed, and `current_occurrence` is that of the run. What a function raises is in
        `error`, and the others are called all the same.
        """
        jobs = {job.id: job for job in _declared(ids)}
        called = []
        for run in self.occurrences(until, ids):
            self.now = run.time
            called.append(_call_function(jobs[run.id], run))
        self.now = self._after = self._moment(until)
        return called

    def _moment(self, until: datetime | timedelta) -> datetime:
        return self.now + until if isinstance(until, timedelta) else _utc(until)

    def _runs_of(self, job: RedisCronJob) -> Iterator[PlannedRun]:
        job = job.snapshot()
        job.created_at, job.updated_at, job.next_enqueue_time = self._begun, self._begun, None
        for run in upcoming(job, self._after, self._begun):
            yield PlannedRun(_utc(run.time), job.id, _utc(run.occurrence))


def occurrences(
    until: datetime | timedelta,
    after: datetime | None = None,
    ids: Collection[str] | None = None,
) -> list[PlannedRun]:
    """What is to run if all is declared at `after`, by default now; see `DeclaredSchedules`."""
    return DeclaredSchedules(after).occurrences(until, ids)


def run_until(
    until: datetime | timedelta,
    after: datetime | None = None,
    ids: Collection[str] | None = None,
) -> list[CalledRun]:
    """Call it, as if all were declared at `after`, by default now; see `DeclaredSchedules`."""
    return DeclaredSchedules(after).run_until(until, ids)


class SchedulesMixin:
    """For test cases of Django: `self.schedules` are the `DeclaredSchedules`."""

    schedules_begin: datetime | None = None
    """When their clock begins; None: now."""

    def setUp(self) -> None:
        """Begin anew with each test."""
        super().setUp()  # type: ignore[misc]
        self.schedules = DeclaredSchedules(self.schedules_begin)


def _declared(ids: Collection[str] | None) -> list[RedisCronJob]:
    jobs = {declaration.job.id: declaration.job for declaration in declarations()}
    if ids is None:
        return list(jobs.values())
    unknown = [id for id in ids if id not in jobs]
    if isinstance(ids, str) or unknown:
        what = f"a list, got {quoted(ids)}" if isinstance(ids, str) else quoted(unknown)
        known = ", ".join(map(quoted, jobs)) or "none"
        raise ValueError(f"ids must be those of declared schedules: {what}; declared: {cut(known)}")
    return [job for id, job in jobs.items() if id in ids]


def _call_function(job: RedisCronJob, run: PlannedRun) -> CalledRun:
    result, error = None, None
    with _clock_at(run.time), simulated(Occurrence(run.id, run.occurrence)):
        try:
            result = job.func(*job.args, **job.kwargs)
            if inspect.iscoroutine(result):  # RQ runs these to their end, too
                result = asyncio.run(result)
        except Exception as raised:
            error = raised
    return CalledRun(run.time, run.id, run.occurrence, result, error)


def _clock_at(moment: datetime) -> AbstractContextManager[object]:
    return nullcontext() if time_machine is None else time_machine.travel(moment, tick=False)


def _utc(moment: datetime) -> datetime:
    return aware(moment).astimezone(timezone.utc)
