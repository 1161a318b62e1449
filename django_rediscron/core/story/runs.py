"""The RQ jobs that schedules enqueued: those in flight as RQ has them, those that have ended as
the leader recorded them."""

from __future__ import annotations

import json
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, unquote

from redis import Redis
from rq.job import Job
from rq.utils import now

from ..schedule.texts import lossy_text
from ..store.connections import bytes_client
from ..store.keys import (
    HISTORY_SUFFIX,
    IN_FLIGHT,
    JOB_PREFIX,
    RESULTS_PREFIX,
    RQ_JOB_PREFIX,
    RUNS_PREFIX,
    history_key,
)
from ..store.scripts import Script, run_scripts
from ..timing.cron_times import LAST_YEAR, utc_text
from .in_flight import (
    BACKFILL,
    HAND,
    LOOKED_AT_FIELDS,
    PREFIX_PATTERN,
    SCHEDULE,
    Look,
    time_or_none,
)

READ_RUNS = Script(
    "read_runs",
    JOB_PREFIX=JOB_PREFIX,
    HISTORY_SUFFIX=HISTORY_SUFFIX,
    IN_FLIGHT=IN_FLIGHT,
    RUNS_PREFIX=RUNS_PREFIX,
    RQ_JOB_PREFIX=RQ_JOB_PREFIX,
    RESULTS_PREFIX=RESULTS_PREFIX,
    LOOKED_AT_FIELDS=LOOKED_AT_FIELDS,
    PREFIX_PATTERN=PREFIX_PATTERN,
)

SCHEDULES_A_CALL = 20
"""Schedules whose runs are read by one script call."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_LATEST = datetime(LAST_YEAR, 12, 31, tzinfo=timezone.utc).timestamp()
STATUS_LETTERS = {
    "finished": "f",
    "failed": "x",
    "stopped": "s",
    "canceled": "c",
    "unknown": "u",
    "started": "r",
    "queued": "q",
}
"""Statuses as records have them."""
_CAUSE_LETTERS = {SCHEDULE: "s", HAND: "h", BACKFILL: "b"}
_STATUSES = {letter: status for status, letter in STATUS_LETTERS.items()}
_CAUSES = {letter: cause for cause, letter in _CAUSE_LETTERS.items()}


@dataclass(frozen=True)
class Run:
    """An RQ job that a schedule enqueued. Times are aware datetimes in UTC."""

    job_id: str
    enqueued_at: datetime | None
    """None if it is not known."""
    status: str = ""
    """`queued` (also while a retry waits), `started`, `finished`, `failed`, `stopped`, `canceled`,
    or `unknown`: RQ deleted the job before its end was seen."""
    started_at: datetime | None = None
    """When its latest attempt started."""
    ended_at: datetime | None = None
    """For `canceled` and `unknown`, of which RQ keeps no time, when it was noticed."""
    worker: str = ""
    """The name of the worker of its latest attempt."""
    queue_name: str = ""
    """The queue that it was put in; empty if that is not known."""
    occurrence: datetime | None = None
    """The nominal time; None for a run by hand."""
    cause: str = SCHEDULE
    """`schedule`, `hand` or `backfill`."""
    attempts: int = 0
    """How often it was started."""
    error: str = ""
    """The last line of the error of its latest attempt, if it failed."""
    is_too_long: bool = False
    """Whether it lasts, or lasted, longer than the schedule's `max_runtime`."""
    stands_since: datetime | None = None
    """The first of the missed occurrences that it stands for; None if it stands for no other."""

    @property
    def duration(self) -> timedelta | None:
        """How long its latest attempt ran; None until it has ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at

    @classmethod
    def of(cls, look: Look, moment: datetime) -> Run:
        """A run in flight."""
        return cls(
            look.job_id,
            look.entry.enqueued_at,
            look.status,
            look.started_at,
            look.ended_at,
            look.worker,
            look.queue_name,
            look.entry.occurrence,
            look.entry.cause,
            look.attempts,
            look.error,
            look.is_too_long(moment),
            look.entry.stands_since,
        )

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values; times as `2026-06-03T05:40:00.000000Z`."""
        return {
            "occurrence": _json_time(self.occurrence),
            "cause": self.cause,
            "job_id": self.job_id,
            "status": self.status,
            "enqueued_at": _json_time(self.enqueued_at),
            "started_at": _json_time(self.started_at),
            "ended_at": _json_time(self.ended_at),
            "seconds": None if self.duration is None else self.duration.total_seconds(),
            "attempts": self.attempts,
            "worker": self.worker,
            "queue": self.queue_name,
            "too_long": self.is_too_long,
            "error": self.error,
        }

    def to_text(self) -> str:
        """The record of a run, as short as it can be read again.

        `JOB STATUS CAUSE ENQUEUED OCCURRENCE STARTED ENDED ATTEMPTS WORKER QUEUE ERROR`: ENQUEUED
        in microseconds since 1970, the other times in microseconds after it, `-` for none; status
        and cause are one letter each; a `!` follows the end of a run that was too long, and a `/`
        with the first occurrence that of a run that stands for several.
        """
        begin = self.enqueued_at or self.ended_at or now()
        after = [_after(begin, at) for at in (self.occurrence, self.started_at, self.ended_at)]
        if self.stands_since is not None:
            after[0] += f"/{_after(begin, self.stands_since)}"
        items = (
            _packed(self.job_id),
            STATUS_LETTERS[self.status],
            _CAUSE_LETTERS.get(self.cause, quote(self.cause)),
            str((begin - _EPOCH) // _MICROSECOND),
            *after[:2],
            after[2] + ("!" if self.is_too_long else ""),
            str(self.attempts),
            _packed(self.worker),
            quote(self.queue_name),
            self.error.replace("\n", " "),
        )
        return " ".join(items).rstrip(" ")

    @classmethod
    def from_text(cls, text: str) -> Run | None:
        """The run of a record; None for anything else."""
        try:
            items = (text + " " * 10).split(" ", 10)
            job_id, status, cause, begun, occurrence, started, ended, attempts, *names = items
            occurrence, _, first = occurrence.partition("/")
            begin = _EPOCH + timedelta(microseconds=int(begun))
            return cls(
                _unpacked(job_id),
                begin,
                _STATUSES[status],
                _before(begin, started),
                _before(begin, ended.rstrip("!")),
                _unpacked(names[0]),
                unquote(names[1]),
                _before(begin, occurrence),
                _CAUSES.get(cause, unquote(cause)),
                int(attempts),
                names[2].strip(),
                ended.endswith("!"),
                _before(begin, first or "-"),
            )
        except (KeyError, ValueError, OverflowError):
            return None


def _packed(name: str) -> str:
    """A name without spaces, and one that RQ made of a UUID in 23 characters instead of 32 or 36:
    `!` for the form with hyphens or `*` for that without, and the URL-safe Base64 of RFC 4648."""
    try:
        known = uuid.UUID(name)
    except ValueError:
        return quote(name)
    for mark, form in (("!", str(known)), ("*", known.hex)):
        if name == form:
            return mark + urlsafe_b64encode(known.bytes).decode().rstrip("=")
    return quote(name)


def _unpacked(text: str) -> str:
    if text[:1] not in ("!", "*"):
        return unquote(text)
    known = uuid.UUID(bytes=urlsafe_b64decode(text[1:] + "=="))
    return str(known) if text[0] == "!" else known.hex


def _json_time(moment: datetime | None) -> str | None:
    return None if moment is None else utc_text(moment)


def _after(begin: datetime, moment: datetime | None) -> str:
    return "-" if moment is None else str((moment - begin) // _MICROSECOND)


def _before(begin: datetime, text: str) -> datetime | None:
    return None if text == "-" else begin + timedelta(microseconds=int(text))


def read_runs_of(id: str, connection: Redis, start: int = 0, end: int = -1) -> list[Run]:
    """The runs of a schedule, in flight or ended, newest first (zero-based, inclusive).

    Those of a schedule that was deleted are known once they have ended.
    """
    ((_, runs),) = _read([id], connection, -1)
    return runs[start : end + 1 or None]


def read_recent(
    ids: Sequence[str],
    connection: Redis,
    count: int,
    between: tuple[datetime, datetime] | None = None,
) -> dict[str, list[Run]]:
    """The newest runs of each of these schedules, newest first, in one round trip for all.

    `between`: of those that have ended, beside the newest and the oldest one only those that were
    enqueued in this time; to read a record takes longer than to see that.
    """
    return {id: runs[:count] for id, runs in _read(ids, connection, count, between)}


def _read(
    ids: Sequence[str],
    connection: Redis,
    count: int,
    between: tuple[datetime, datetime] | None = None,
) -> Iterator[tuple[str, list[Run]]]:
    parts = [ids[at : at + SCHEDULES_A_CALL] for at in range(0, len(ids), SCHEDULES_A_CALL)]
    replies = run_scripts(connection, READ_RUNS, [([], [count, *part]) for part in parts])
    moment = now()
    for part, reply in zip(parts, replies, strict=True):
        found = json.loads(reply.decode(errors="replace"))
        for id, (records, looks) in zip(part, found, strict=True):
            wanted = records if between is None else _enqueued_between(records, *between)
            runs = {run.job_id: run for run in map(Run.from_text, wanted) if run is not None}
            for look in (Look.from_reply(each, moment) for each in looks):
                if look is not None and look.entry.schedule_id == id:
                    runs[look.job_id] = Run.of(look, moment)
            yield id, sorted(runs.values(), key=_newest_first, reverse=True)


def _enqueued_between(records: Sequence[str], low: datetime, high: datetime) -> list[str]:
    first, last = (str((each - _EPOCH) // _MICROSECOND) for each in (low, high))
    width = max(len(first), len(last))
    first, last = first.zfill(width), last.zfill(width)
    ends = (0, len(records) - 1)
    return [
        record
        for number, record in enumerate(records)
        if number in ends or first <= f"{record} - - - ".split(" ", 4)[3].zfill(width) <= last
    ]


def _newest_first(run: Run) -> datetime:
    return run.enqueued_at or _EPOCH


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
    enqueued_at = time_of_score(score)
    if isinstance(reply, Exception):
        return Run(job_id, enqueued_at)
    status, started, ended, worker, origin = (
        value.decode(errors="replace") if value else "" for value in reply
    )
    return Run(
        job_id, enqueued_at, status, time_or_none(started), time_or_none(ended), worker, origin
    )


def time_of_score(score: float) -> datetime | None:
    """None for one that is infinite, in milliseconds, ..."""
    return datetime.fromtimestamp(score, timezone.utc) if 0 <= score <= _LATEST else None
