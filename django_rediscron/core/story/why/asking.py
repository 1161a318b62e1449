"""Why did it not run? The answer for one time of a schedule, from all that is on record."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone, tzinfo

from redis import Redis
from rq.utils import now
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from ...exceptions import NoSuchJobError
from ...quoting import quoted_id
from ...schedule.texts import lossy_text
from ...store.connections import bytes_client
from ...store.keys import QUEUE_PREFIX, runs_key
from ...store.pauses import read_pauses
from ...store.reading import Absent, read_schedules
from ..changes import DELETED, read_log
from ..outcomes import read_outcomes
from ..reigns import read_reigns
from ..runs import Run, read_runs_of
from ..skips import read_skips
from .answer import Answer
from .asked import Asked, around, is_moved_by_clocks, meant, read_asked
from .evidence import Evidence, Waiting
from .leftovers import read_in_flight, read_unrecorded
from .verdicts import judge, skipped_by_clocks

_LAG = timedelta(seconds=10)
"""Within which the leader notices that a run has ended."""

__all__ = ["Answer", "why"]


def why(id: str, time: datetime | str | None, connection: Redis) -> list[Answer]:
    """What happened at a time of a schedule, and why; also of one that was deleted.

    `time`: an aware datetime; or ISO 8601 text, or a time of day such as `03:00`, which is the
    latest such time. Texts without a zone are in that of the schedule. There is one answer; two for
    a wall time that the clocks repeated, if both mean something. Without a time: the latest
    occurrence and the next.

    Raises `InvalidScheduleError` (a `ValueError`) for what is no time, and `NoSuchJobError` if
    nothing is on record under this id.
    """
    return answers(gather(id, connection), time, connection)


def answers(
    evidence: Evidence,
    time: datetime | str | None,
    connection: Redis,
    zone: tzinfo | None = None,
) -> list[Answer]:
    """The same from what was read; `zone`: of texts that name none, in place of the schedule's."""
    if time is None:
        times = around(evidence) or [evidence.moment]
        return _answers(evidence, [Asked(each, timedelta()) for each in times], connection)
    asked = read_asked(time, zone or evidence.zone, evidence.moment)
    found = _answers(evidence, asked, connection)
    telling = [answer for answer in found if answer.verdict != "none"]
    return telling or found[:1]


def gather(id: str, connection: Redis) -> Evidence:
    """All that is on record of a schedule. Raises `NoSuchJobError` if that is nothing."""
    ((stored, _),) = read_schedules([id], connection)
    log, runs = read_log(id, connection), read_runs_of(id, connection)
    if isinstance(stored, Absent) or any(change.what == DELETED for change in log.changes):
        known = {run.job_id for run in runs}
        runs += [run for run in read_in_flight(id, connection) if run.job_id not in known]
    unrecorded, unknown = read_unrecorded(id, connection, runs)
    evidence = Evidence(
        id=id,
        moment=now(),
        stored=stored,
        log=log,
        runs=sorted([*runs, *unrecorded], key=_enqueued_at, reverse=True),
        trimmed_until=_trimmed_until(id, connection),
        records=read_skips([id], connection)[id],
        reigns=read_reigns(connection),
        unknown_jobs=unknown,
        pauses=read_pauses(connection),
    )
    if isinstance(stored, Absent) and not (log.changes or evidence.runs or evidence.records):
        raise NoSuchJobError(
            f"there is no schedule {quoted_id(id)}, and nothing is on record of it"
        )
    return evidence


def _trimmed_until(id: str, connection: Redis) -> datetime | None:
    """The end of the oldest run on record, if older ones were removed."""
    ended = sum(read_outcomes([id], connection)[id].counts.values())
    with bytes_client(connection).pipeline(transaction=False) as pipe:
        pipe.llen(runs_key(id))
        pipe.lrange(runs_key(id), -1, -1)
        count, last = pipe.execute(raise_on_error=False)
    if not isinstance(count, int) or ended <= count:
        return None
    oldest = Run.from_text(lossy_text(last[0])) if isinstance(last, list) and last else None
    return now() if oldest is None or oldest.ended_at is None else oldest.ended_at + _LAG


def _enqueued_at(run: Run) -> datetime:
    return run.enqueued_at or datetime.fromtimestamp(0, timezone.utc)


def _answers(evidence: Evidence, asked: list[Asked], connection: Redis) -> list[Answer]:
    times = [meant(evidence, each.time, each.width) for each in asked]
    queued = [run for run in map(evidence.run_of, times) if run and run.status == "queued"]
    if queued:
        queues = {run.job_id: read_queue(run.queue_name, run.job_id, connection) for run in queued}
        evidence = replace(evidence, queues=queues)
    return [
        skipped_by_clocks(evidence, each)
        if each.skipped is not None and not is_moved_by_clocks(evidence, each.skipped, each.time)
        else judge(evidence, time)
        for each, time in zip(asked, times, strict=True)
    ]


def read_queue(name: str, job_id: str, connection: Redis) -> Waiting:
    """Where a job is in its queue, and who works on it, in two round trips."""
    client, key = bytes_client(connection), QUEUE_PREFIX + name
    with client.pipeline(transaction=False) as pipe:
        pipe.lpos(key, job_id)
        pipe.llen(key)
        pipe.smembers(WORKERS_BY_QUEUE_KEY % name)
        place, length, workers = pipe.execute(raise_on_error=False)
    known = sorted(workers) if isinstance(workers, set) else []
    with client.pipeline(transaction=False) as pipe:
        for worker in known:
            pipe.exists(worker)
        alive = pipe.execute(raise_on_error=False)
    living = [lossy_text(key) for key, lives in zip(known, alive, strict=True) if lives == 1]
    return Waiting(
        place + 1 if isinstance(place, int) else None,
        length if isinstance(length, int) else 0,
        [key.split(":worker:", 1)[-1] for key in living],
    )
