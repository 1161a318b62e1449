"""Jobs that schedules enqueued, from their enqueueing until the leader has seen their end."""

from __future__ import annotations

import zlib
from base64 import b64decode
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from ..schedule.texts import dump_number, parse_number, parse_time
from ..store.keys import IN_FLIGHT, RQ_JOB_PREFIX
from ..store.scripts import Script
from ..timing.cron_times import utc_text

ENTER = Script("enter", IN_FLIGHT=IN_FLIGHT)

SCHEDULE, HAND, BACKFILL = "schedule", "hand", "backfill"
"""What causes a run."""

ENDED = ("finished", "failed", "stopped", "canceled")
"""RQ's states of a job that has ended."""

LOOKED_AT_FIELDS = (
    *("status", "started_at", "ended_at", "worker_name", "origin"),
    *("retries_left", "number_of_retries"),
)
"""Fields of an RQ job's hash from which its run is told."""

PREFIX_PATTERN = "^%S+ %S+ %S+ %S+ %S+ (%S+) "
"""Where an entry says the start of the key of the job's hash, as Lua's pattern."""

LONGEST_ERROR = 300
"""Characters of the last line of a traceback that are kept."""

_MAX_RETRIES_EXCEEDED = "5"  # RQ's `Result.Type`
_TAIL = 8192
_CHUNK = 65536


class Entry(NamedTuple):
    """A job in flight: `OCCURRENCE ENQUEUED CAUSE MAX_RUNTIME RETRIES PREFIX ID` in Redis.

    UTC text (`-` by hand; `LAST/FIRST` if it stands for several), epoch seconds, the
    cause, seconds (with a `!` once it was told that it takes longer) or `-`, how often RQ may try
    it again (with a `!` once it was told that it runs), start of the key of its hash (`-`: RQ's
    own), and the id of its schedule.
    """

    occurrence: datetime | None
    enqueued_at: datetime
    cause: str
    max_runtime: float | None
    retries: int
    schedule_id: str
    is_told: bool = False
    """Whether it was told that it takes too long."""
    stands_since: datetime | None = None
    start_is_told: bool = False
    """Whether it was told that it runs."""

    @classmethod
    def from_text(cls, text: str) -> Entry | None:
        """None for anything that is not an entry."""
        try:
            occurrence, enqueued, cause, max_runtime, retries, _, id = text.split(" ", 6)
            occurrence, _, first = occurrence.partition("/")
            return cls(
                None if occurrence == "-" else parse_time(occurrence),
                datetime.fromtimestamp(float(enqueued), timezone.utc),
                cause,
                None if max_runtime[0] == "-" else parse_number(max_runtime.rstrip("!")),
                int(retries.rstrip("!")),
                id,
                max_runtime.endswith("!"),
                parse_time(first) if first else None,
                retries.endswith("!"),
            )
        except (ValueError, IndexError, OverflowError, OSError):
            return None


def terms(cause: str, prefix: str, retries: int = 0, max_runtime: float | None = None) -> str:
    """The part of an entry that many jobs share: `CAUSE MAX_RUNTIME RETRIES PREFIX`."""
    limit = "-" if max_runtime is None else dump_number(max_runtime)
    return f"{cause} {limit} {retries} {'-' if prefix == RQ_JOB_PREFIX else prefix}"


def entry_text(occurrence: datetime | None, enqueued_at: datetime, shared: str, id: str) -> str:
    """An entry as it is in Redis; `shared`: its terms."""
    due = "-" if occurrence is None else utc_text(occurrence)
    return f"{due} {enqueued_at.timestamp():.6f} {shared} {id}"


def enter(pipe: Any, job_id: str, text: str) -> None:
    """Queue the command that enters a job among those in flight; it cannot fail the others."""
    pipe.eval(ENTER.text, 0, job_id, text)


class Look(NamedTuple):
    """What RQ said of a job in flight when the leader, or a reader, looked at it."""

    job_id: str
    entry: Entry
    status: str
    """One of `ENDED`, `queued`, `started`, or `unknown`: RQ no longer keeps the job."""
    started_at: datetime | None
    ended_at: datetime | None
    """For an end of which RQ keeps no time, the moment of the look."""
    worker: str
    queue_name: str
    attempts: int
    error: str

    @classmethod
    def from_reply(cls, reply: Sequence[Any], moment: datetime) -> Look | None:
        """Of an item of a script's reply; None if its entry is damaged.

        `reply`: id of the job, entry, values of `LOOKED_AT_FIELDS` (False if they cannot be read)
        and, if it failed, id, type, packed traceback and worker of its newest result.
        """
        job_id, text, values, *results = reply
        entry = Entry.from_text(text)
        if entry is None:
            return None
        texts = [value or "" for value in values or ["queued"]]
        said, started, ended, worker, queue_name, left, returned = (texts + [""] * 7)[:7]
        status = _status(said)
        started_at, ended_at = time_or_none(started), None
        result = results[0] if results else None
        if status in ENDED or status == "unknown":
            ended_at = _end(started_at, time_or_none(ended), result) or moment
        tries = max(0, entry.retries - _count(left, entry.retries)) + _count(returned, 0)
        attempts = 0
        if started_at is not None:
            attempts = max(1, tries) if status == "canceled" else tries + (status != "queued")
        error = ""
        if result:
            error = _error(result)
            worker = worker or result[3]  # RQ clears it if the process of the job died
        return cls(job_id, entry, status, started_at, ended_at, worker, queue_name, attempts, error)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.ended_at is not None

    def is_too_long(self, moment: datetime) -> bool:
        """Whether it lasts, or lasted, longer than its schedule allows."""
        if self.entry.max_runtime is None or self.started_at is None or self.status == "queued":
            return False
        lasted = (self.ended_at or moment) - self.started_at
        return lasted > timedelta(seconds=self.entry.max_runtime)


def _status(said: str) -> str:
    if not said:  # no hash, or what a late heartbeat left of it
        return "unknown"
    if said in ENDED or said == "started":
        return said
    return "queued"  # scheduled or deferred, too: a retry waits


def _end(
    started_at: datetime | None, ended_at: datetime | None, result: Sequence[str] | None
) -> datetime | None:
    """When it ended. RQ keeps no time if a worker died, or that of an earlier attempt."""
    if ended_at is not None and (started_at is None or ended_at >= started_at):
        return ended_at
    milliseconds = result[0].partition("-")[0] if result else ""
    return _moment(int(milliseconds) / 1000) if milliseconds.isdigit() else None


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def time_or_none(text: str) -> datetime | None:
    """A time in RQ's UTC format; None for anything else."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def _count(text: str, default: int) -> int:
    return int(text) if text.isdigit() else default


def _error(result: Sequence[str]) -> str:
    """The last line of a traceback."""
    kind, packed = result[1:3]
    if not packed:
        return "it returned Retry after its last attempt" if kind == _MAX_RETRIES_EXCEEDED else ""
    try:
        lines = _end_of(b64decode(packed)).decode(errors="replace").strip().splitlines()
    except (ValueError, zlib.error):
        return ""
    return lines[-1][:LONGEST_ERROR] if lines else ""


def _end_of(packed: bytes) -> bytes:
    """The last bytes of a compressed text, which may be huge."""
    unpacking, tail = zlib.decompressobj(), b""
    while packed:
        tail = (tail + unpacking.decompress(packed, _CHUNK))[-_TAIL:]
        packed = unpacking.unconsumed_tail
    return tail
