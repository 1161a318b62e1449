"""Runs that are not among those of their schedule: without a record, or of a deleted schedule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError
from rq.utils import now

from ...schedule.texts import lossy_text
from ...store.connections import bytes_client
from ...store.keys import IN_FLIGHT, OCCURRENCE_FIELDS, RQ_JOB_PREFIX, history_key
from ..in_flight import HAND, LOOKED_AT_FIELDS, SCHEDULE, Look, entry_text, terms, time_or_none
from ..runs import Run

_Known = tuple[str, str]  # the id of a job, and its entry among those in flight


def read_in_flight(id: str, connection: Redis) -> list[Run]:
    """The runs in flight, also of a schedule that was deleted and has no history.

    Looks at all jobs in flight, and not at the errors of those that have ended. Empty for a user
    who may not scan them.
    """
    suffix = f" {id}".encode()
    try:
        entries = [
            (lossy_text(job_id), lossy_text(text))
            for job_id, text in bytes_client(connection).hscan_iter(IN_FLIGHT, count=1000)
            if text.endswith(suffix)
        ]
    except ResponseError:  # also a key of another type
        return []
    jobs = _read_jobs((_key(*entry) for entry in entries), LOOKED_AT_FIELDS, connection)
    return [run for run in _runs(entries, jobs) if run is not None]


def read_unrecorded(
    id: str, connection: Redis, recorded: Sequence[Run]
) -> tuple[list[Run], list[tuple[str, datetime]]]:
    """Runs in the history that are not among the recorded ones, as far as RQ knows of them.

    And the ids of all others, with the times at which they were enqueued.
    """
    known = {run.job_id for run in recorded}
    history = [each for each in _read_history(id, connection) if each[0] not in known]
    keys = (RQ_JOB_PREFIX + job_id for job_id, _ in history)
    jobs = _read_jobs(keys, (OCCURRENCE_FIELDS[1], *LOOKED_AT_FIELDS), connection)
    runs, unknown = [], []
    for (job_id, at), (occurrence, *values) in zip(history, jobs, strict=True):
        if occurrence is None:
            unknown.append((job_id, at))
            continue
        time = time_or_none(occurrence)
        shared = terms(SCHEDULE if time else HAND, RQ_JOB_PREFIX)
        runs += _runs([(job_id, entry_text(time, at, shared, id))], [values])
    return runs, unknown


def _read_history(id: str, connection: Redis) -> list[tuple[str, datetime]]:
    try:
        stored: Any = bytes_client(connection).zrange(history_key(id), 0, -1, withscores=True)
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        return []
    found = []
    for job_id, score in stored:
        try:
            found.append((lossy_text(job_id), datetime.fromtimestamp(score, timezone.utc)))
        except (ValueError, OverflowError, OSError):  # infinite, in milliseconds, ...
            continue
    return found


def _key(job_id: str, entry: str) -> str:
    prefix = entry.split(" ", 6)[5] if entry.count(" ") > 5 else "-"
    return f"{RQ_JOB_PREFIX if prefix == '-' else prefix}{job_id}"


def _read_jobs(
    keys: Iterable[str], fields: Sequence[str], connection: Redis
) -> list[list[str | None]]:
    """These fields of the hashes, in one round trip; None for what is missing."""
    with bytes_client(connection).pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hmget(key, fields)
        replies = pipe.execute(raise_on_error=False)
    none: list[str | None] = [None] * len(fields)
    return [
        none
        if isinstance(reply, Exception)  # a key of another type
        else [None if value is None else lossy_text(value) for value in reply]
        for reply in replies
    ]


def _runs(entries: Sequence[_Known], jobs: Sequence[Sequence[str | None]]) -> list[Run]:
    moment = now()
    looks = (
        Look.from_reply((*entry, values), moment)
        for entry, values in zip(entries, jobs, strict=True)
    )
    return [Run.of(look, moment) for look in looks if look is not None]
