"""What became of the RQ jobs that schedules enqueued, as RQ's own hashes say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from redis import Redis
from rq import get_current_job
from rq.job import Job
from rq.utils import as_text

from ..schedule.texts import parse_time, shown_bytes
from ..timing.cron_times import LAST_YEAR
from .connections import bytes_client
from .keys import OCCURRENCE_FIELDS, history_key

_LATEST = datetime(LAST_YEAR, 12, 31, tzinfo=timezone.utc).timestamp()


@dataclass(frozen=True)
class Run:
    """An RQ job that a schedule enqueued."""

    job_id: str
    enqueued_at: datetime | None
    """None where the history holds no time of our calendar."""
    status: str = ""
    """RQ's word: queued, started, finished, failed, ...; empty where RQ keeps the job no more."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    worker: str = ""
    queue_name: str = ""
    """The queue that it went to; empty where RQ keeps the job no more."""

    @property
    def duration(self) -> timedelta | None:
        """For how long it ran; None as long as it has not ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at


_FIELDS = ("status", "started_at", "ended_at", "worker_name", "origin")


def read_runs(ids: Sequence[str], connection: Redis, count: int = 1) -> dict[str, list[Run]]:
    """The newest runs of each of these schedules, newest first, in two round trips for all."""
    client = bytes_client(connection)
    with client.pipeline(transaction=False) as pipe:
        for id in ids:
            pipe.zrange(history_key(id), 0, count - 1, desc=True, withscores=True)
        histories = pipe.execute(raise_on_error=False)
    # A key of that name that holds something else is nobody's history.
    known: list[Any] = [[] if isinstance(each, Exception) else each for each in histories]
    with client.pipeline(transaction=False) as pipe:
        for history in known:
            for job_id, _ in history:
                pipe.hmget(Job.redis_job_namespace_prefix.encode() + job_id, _FIELDS)
        jobs = iter(pipe.execute(raise_on_error=False))
    return {
        id: [_run(shown_bytes(job_id), score, next(jobs)) for job_id, score in history]
        for id, history in zip(ids, known, strict=True)
    }


def _run(job_id: str, score: float, reply: list[bytes | None] | Exception) -> Run:
    enqueued_at = _moment(score)
    if isinstance(reply, Exception):
        return Run(job_id, enqueued_at)
    status, started, ended, worker, origin = (
        value.decode(errors="replace") if value else "" for value in reply
    )
    return Run(job_id, enqueued_at, status, _time(started), _time(ended), worker, origin)


def _moment(score: float) -> datetime | None:
    """None for one that is infinite, in milliseconds, ..."""
    return datetime.fromtimestamp(score, timezone.utc) if 0 <= score <= _LATEST else None


def _time(text: str) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


class Occurrence(NamedTuple):
    """Which occurrence of which schedule a job is.

    `time` is the nominal time, an aware datetime in UTC: when it was due by the schedule, however
    late or jittered the run is. None for a run now, which is no occurrence of the schedule.
    """

    schedule_id: str
    time: datetime | None


def current_occurrence(job: Job | None = None) -> Occurrence | None:
    """The occurrence that the job is which runs here; None where none of a schedule runs.

    Every attempt of a job that RQ retries has the same one. Callbacks run when RQ has no current
    job: there, pass the job that they are given. Takes one round trip to Redis.
    """
    job = job or get_current_job()
    if job is None:
        return None
    values = job.connection.hmget(job.key, *OCCURRENCE_FIELDS)
    id, time = (None if value is None else as_text(value) for value in values)
    if id is None:
        return None
    return Occurrence(id, parse_time(time) if time else None)
