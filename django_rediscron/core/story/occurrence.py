"""Which occurrence of which schedule an RQ job is, for the function that runs as this job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import NamedTuple

from rq import get_current_job
from rq.job import Job
from rq.utils import as_text

from ..schedule.texts import parse_time
from ..store.keys import OCCURRENCE_FIELDS


class Occurrence(NamedTuple):
    """Which occurrence of which schedule a job is.

    `time` is the nominal time, an aware datetime in UTC: when it was due by the schedule, however
    late or jittered the run is. None for a run by hand, which is not an occurrence.
    """

    schedule_id: str
    time: datetime | None


_simulated: ContextVar[Occurrence | None] = ContextVar("simulated", default=None)


@contextmanager
def simulated(occurrence: Occurrence) -> Iterator[None]:
    """Functions that are called in this block, not by RQ, are of this occurrence."""
    before = _simulated.set(occurrence)
    try:
        yield
    finally:
        _simulated.reset(before)


def current_occurrence(job: Job | None = None) -> Occurrence | None:
    """The occurrence of the current job; None if the job does not belong to a schedule.

    All attempts of a job that RQ retries have the same one. RQ has no current job in callbacks:
    pass the job that they are given. Takes one round trip to Redis.
    """
    job = job or get_current_job()
    if job is None:
        return _simulated.get()
    values = job.connection.hmget(job.key, *OCCURRENCE_FIELDS)
    id, time = (None if value is None else as_text(value) for value in values)
    if id is None:
        return None
    return Occurrence(id, parse_time(time) if time else None)
