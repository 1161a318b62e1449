"""The RQ jobs that schedules enqueued, and their results, from RQ's own hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from redis import Redis
from rq import get_current_job
from rq.job import Job
from rq.utils import as_text

from ..schedule.texts import lossy_text, parse_time
from ..store.connections import bytes_client
from ..store.keys import OCCURRENCE_FIELDS, history_key
from ..timing.cron_times import LAST_YEAR

_LATEST = datetime(LAST_YEAR, 12, 31, tzinfo=timezone.utc).timestamp()


@dataclass(frozen=True)
class Run:
    """An RQ job that a schedule enqueued."""

    job_id: str
    enqueued_at: datetime | None
    """None if the history holds no valid time."""
    status: str = ""
    """RQ's status: queued, started, finished, failed, ...; empty if RQ no longer keeps the job."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    worker: str = ""
    queue_name: str = ""
    """The queue that it was put in; empty if RQ no longer keeps the job."""

    @property
    def duration(self) -> timedelta | None:
        """How long it ran; None until it has ended."""
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
    # A key of another type is not a history.
    known: list[Any] = [[] if isinstance(each, Exception) else each for each in histories]
    with client.pipeline(transaction=False) as pipe:
        for history in known:
            for job_id, _ in history:
                pipe.hmget(Job.redis_job_namespace_prefix.encode() + job_id, _FIELDS)
        jobs = iter(pipe.execute(raise_on_error=False))
    return {
        id: [_run(lossy_text(job_id), score, next(jobs)) for job_id, score in history]
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
    late or jittered the run is. None for a run by hand, which is not an occurrence.
    """

    schedule_id: str
    time: datetime | None


def current_occurrence(job: Job | None = None) -> Occurrence | None:
    """The occurrence of the current job; None if the job does not belong to a schedule.

    All attempts of a job that RQ retries have the same one. RQ has no current job in callbacks:
    pass the job that they are given. Takes one round trip to Redis.
    """
    job = job or get_current_job()
    if job is None:
        return None
    values = job.connection.hmget(job.key, *OCCURRENCE_FIELDS)
    id, time = (None if value is None else as_text(value) for value in values)
    if id is None:
        return None
    return Occurrence(id, parse_time(time) if time else None)
