"""One batch of a pass: some members of the index on their way through one script call."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rq.utils import now

from ..exceptions import InvalidScheduleError
from ..quoting import LONGEST_REASON, quoted
from ..schedule.missed import SKIPS_KEPT, SKIPS_TTL, Skip
from ..schedule.record import Record
from ..schedule.upcoming import next_time
from ..store.keys import (
    DISABLED,
    ERRORS,
    EXECUTION_PREFIX,
    EXECUTIONS_PREFIX,
    HISTORY_SUFFIX,
    INDEX,
    JOB_PREFIX,
    LOCK,
    QUEUE_PREFIX,
    SKIPPED_PREFIX,
)
from ..store.listing import prune
from ..store.reading import Absent, Damaged, Fields, read_schedules, read_what_fits
from ..store.scripts import Script, run_script
from ..timing.cron_times import occurrence_delay, utc_text
from . import msgpack
from .due import Corrections, Occurrences
from .fingerprint import LONGEST, SEPARATOR, Fingerprint
from .next_times import Rule
from .prepared import (
    BAD_HISTORY,
    BAD_QUEUE,
    CHANGED,
    DONE,
    NEARLY_FULL,
    OCCURRENCE_LENGTH,
    OVERLAPPED,
    REFUSED,
    WRITTEN,
    Ready,
)
from .run_now import run_here
from .template import create_job, packed_times

if TYPE_CHECKING:
    from .dispatcher import Dispatcher

logger = logging.getLogger(__name__)

_CLOSE = timedelta(milliseconds=1)  # a place in the index is rounded to microseconds
_BLOCKED = {
    BAD_HISTORY: "its history {history} is not a sorted set; delete that key",
    BAD_QUEUE: "the key of its queue {queue} is not a list; delete that key",
    REFUSED: "Redis refused to enqueue it in queue {queue}: {refusal}; {remedy}",
}
_REMEDY = "check what the Redis user of the scheduler may do"
_REFUSED = f"Redis refused to write it: {{}}; {_REMEDY}"


HISTORY_LIMIT = 1000
HISTORY_TTL = 365 * 86400
"""Entries and seconds; RQ's own numbers."""

LOOKED_AT = 20
"""Of the newest jobs in the history: with overlapping runs refused, older ones have ended."""

MISSING = 60
"""Seconds: a job that is said to be queued, but is in no queue, is lost when this has passed. A
worker takes it out of the queue a moment before it says that it runs it."""

DISPATCH = Script(
    "dispatch",
    JOB_PREFIX=JOB_PREFIX,
    HISTORY_SUFFIX=HISTORY_SUFFIX,
    SKIPPED_PREFIX=SKIPPED_PREFIX,
    QUEUE_PREFIX=QUEUE_PREFIX,
    EXECUTION_PREFIX=EXECUTION_PREFIX,
    EXECUTIONS_PREFIX=EXECUTIONS_PREFIX,
    DISABLED=DISABLED,
    ERRORS=ERRORS,
    SKIPS_KEPT=SKIPS_KEPT,
    SKIPS_TTL=SKIPS_TTL,
    LOOKED_AT=LOOKED_AT,
    MISSING=MISSING,
    SEPARATOR=SEPARATOR,
    LONGEST=LONGEST,
    OCCURRENCE_LENGTH=OCCURRENCE_LENGTH,
    WRITTEN=WRITTEN,
    NEARLY_FULL=NEARLY_FULL,
    OVERLAPPED=OVERLAPPED,
    CHANGED=CHANGED,
    BAD_HISTORY=BAD_HISTORY,
    BAD_QUEUE=BAD_QUEUE,
    REFUSED=REFUSED,
)


class LockLostError(Exception):
    """The token does not hold the lock (any more), so nothing was enqueued."""


class Batch:
    """Due members of the index; constructing it reads what is not known, `write` does the rest.

    Reading imports what is to run, and ends after `patience` seconds, so that the lock is extended
    in time; the rest is for the next batch.
    """

    def __init__(
        self,
        owner: Dispatcher,
        members: list[tuple[bytes, float]],
        moment: datetime,
        patience: float = math.inf,
    ) -> None:
        self.owner = owner
        self.moment = moment
        self.kept: set[bytes] = set()
        """Members that may stay among the due ones."""
        self.left_from = math.inf
        """The lowest place of what is still due, because this batch has no room or time for it."""
        self.postponed: dict[bytes, float] = {}
        """What is too heavy for this batch, in whole or in part, with its place."""
        self._patience = patience
        self._recalled: dict[bytes, float] = {}  # with their places
        self._corrections = Corrections(moment)
        self._call_bytes = owner.pace.call_bytes
        self._occurrences = Occurrences(
            moment, self._corrections, owner.turns, len(members), self._call_bytes
        )
        unknown = []
        for id, score in members:
            if self._occurrences.is_full:
                self.left_from = score
                break
            ready = owner.memory.recall(id, score)
            if ready is not None:
                if ready.is_heavy and not self._occurrences.has_room(ready):
                    self.postponed[id] = score
                    continue
                if self._add_known(id, ready):
                    self._recalled[id] = score
                    continue
            if owner.foreign.get(id) == score:
                self.kept.add(id)
            else:
                unknown.append((id, score))
        if unknown:
            self._read(unknown)
        self.left_from = min(self.left_from, self._occurrences.left_from)
        self.postponed.update(self._occurrences.postponed)

    def _add_known(self, id: bytes, ready: Ready) -> bool:
        """Whether the occurrence could be added; where not, reading it tells what is wrong."""
        try:
            self._occurrences.add(id, ready)
        except Exception:
            return False
        return True

    def _read(self, members: list[tuple[bytes, float]]) -> None:
        connection = self.owner.connection
        ids = [id for id, _ in members]
        room = max(0, self._call_bytes - self._occurrences.heavy_bytes)
        if not self.owner.oversized.isdisjoint(ids):
            room = 0  # each is weighed before it is read
        stale = []
        found = read_what_fits(ids, connection, room)
        begun = time.monotonic()
        for (id, score), read in zip(members, found, strict=False):
            if self._occurrences.is_full or time.monotonic() - begun > self._patience:
                self.left_from = min(self.left_from, score)
                break
            if read is None:
                self.postponed[id] = score
                continue
            schedule, fields = read
            self.owner.forget(id)
            self.owner.oversized.discard(id)
            if isinstance(schedule, Record):
                self._add_read(id, fields, schedule, begun)
            elif isinstance(schedule, Damaged):
                if schedule.is_oversized:
                    self.owner.oversized.add(id)
                self._add_error(id, _seen_of(schedule), schedule.reason)
            elif isinstance(schedule, Absent) and schedule.has_history:
                self.owner.foreign[id] = score
                self.kept.add(id)
            else:
                stale.append(id)
        if stale:
            prune(stale, connection)

    def _add_read(self, id: bytes, fields: Fields, job: Record, read_at: float) -> None:
        """A schedule as it was just read: its place may be wrong, for the hash is what counts."""
        fingerprint, said = Fingerprint(fields, read_at), _next(fields)
        seen = partial(fingerprint.with_next, said)  # only few ask for it
        if not job.enabled:
            self._corrections.add(id, seen(), place=None)
            return
        failure = self.owner.unwritten.get(id)
        if failure is not None and failure[0] == seen():
            self._add_error(id, *failure, job.next_enqueue_time)
            return
        try:
            self.owner.applications.set_zone(job)
            due = next_time(job, self.moment)
            if due is None:
                self._corrections.add(id, seen(), finished=job.finished_at is None)
                return
            place = due + timedelta(seconds=occurrence_delay(job.id, due, job.jitter))
            if place > self.moment + _CLOSE:
                self._corrections.add(id, seen(), ["next_enqueue_time", utc_text(due)], place)
                return
            job.next_enqueue_time = due
            self.owner.memory.share(job)
            queue, importable = self.owner.applications.target(job)
            jobs = self.owner.templates.prepare(job, queue, importable=importable)
            self._occurrences.add(id, Ready(job, fingerprint, said, *jobs))
        except BaseException as error:  # user code: modules, job classes, serializers
            # Also a KeyboardInterrupt is a module's own: a signal only leaves word while we lead.
            told = isinstance(error, InvalidScheduleError)
            reason = str(error) if told else quoted(error, LONGEST_REASON)
            reason = self.owner.applications.explain(job, reason)
            self.owner.unwritten[id] = seen(), reason
            self._add_error(id, seen(), reason, job.next_enqueue_time)

    def add_retimed(self, ids: Sequence[str], rule: Rule) -> None:
        """Correct the next times of enabled schedules where the rule finds them wrong."""
        for schedule, fields in read_schedules(ids, self.owner.connection):
            if isinstance(schedule, Record) and schedule.enabled:
                try:
                    self.owner.applications.set_zone(schedule)
                    following = rule(schedule, self.moment)
                except Exception:
                    following = self.moment  # due, so that a pass says what is wrong with it
                if following is not None:
                    delay = occurrence_delay(schedule.id, following, schedule.jitter)
                    self._corrections.add_next(
                        schedule.id.encode(), _seen(fields), following, delay
                    )

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._occurrences.packed or self._corrections)

    def write(self, token: str, lock_ttl: float) -> list[Record]:
        """The script call. Returns what was enqueued; `kept` holds what was left alone, too."""
        moment = now()
        outcomes, refusals = self._run_script(token, lock_ttl, moment)
        items, corrections = self._occurrences.items, self._corrections
        enqueued = []
        blocked = Batch(self.owner, [], self.moment)
        is_told = logger.isEnabledFor(logging.INFO)
        for (id, ready, turn, job_id), outcome in zip(items, outcomes, strict=False):
            if outcome in DONE:
                ready.advance(turn, outcome)
                if ready.job.next_enqueue_time is not None:
                    self.owner.remember(id, ready)
                else:
                    self.owner.forget(id)
                    logger.info("Schedule %r is finished: nothing is left to run", ready.job.id)
                if outcome != OVERLAPPED:
                    # Several of one schedule differ in their times.
                    enqueued.append(ready.job if ready.plain else ready.job.snapshot())
                    if is_told or ready.template.runs_here:
                        ready.job_id = job_id
                        self._follow_up(ready)
                        ready.job_id = ""
                else:
                    log_skip(ready.job, Skip(turn.times[0], turn.times[0], 1, "overlap", moment))
            else:
                self.owner.forget(id)
                if outcome in _BLOCKED:
                    reason = _reason(ready.job, outcome, refusals)
                    blocked._add_blocked(id, ready, reason)
                    self._recalled.pop(id, None)
        for id, seen, outcome in zip(
            corrections.ids, corrections.seen, outcomes[len(items) :], strict=True
        ):
            self.owner.forget(id)  # written or changed meanwhile, its hash says something else now
            self.owner.unwritten.pop(id, None)
            if outcome == REFUSED:
                blocked._add_error(id, seen, _REFUSED.format(next(refusals)))
                self._recalled.pop(id, None)
        for with_run, position, job, skips in self._occurrences.skips:
            if outcomes[position if with_run else position + len(items)] in DONE:
                for skip in skips:
                    log_skip(job, skip)
        if DONE.issuperset(outcomes):
            return enqueued
        ids = (*(id for id, *_ in items), *corrections.ids)
        left = {id for id, outcome in zip(ids, outcomes, strict=True) if outcome not in DONE}
        self.kept |= left
        if blocked:
            blocked.write(token, lock_ttl)
        changed = [(id, place) for id, place in self._recalled.items() if id in left]
        if changed:
            enqueued += self._write_changed(changed, token, lock_ttl)
        return enqueued

    def _run_script(
        self, token: str, lock_ttl: float, moment: datetime
    ) -> tuple[str, Iterator[str]]:
        """What it says of each occurrence and correction, and why it refused some of them."""
        times = packed_times(moment)
        lists = (
            msgpack.array([shape.pack(times) for shape in self._occurrences.shapes]),
            msgpack.head(self._occurrences.length) + b"".join(self._occurrences.packed),
            msgpack.array(self._corrections.packed),
        )
        arguments = (
            token,
            int(lock_ttl * 1000),
            HISTORY_LIMIT,
            HISTORY_TTL,
            f"{moment.timestamp():.6f}",
            msgpack.array(lists),
            utc_text(moment),
        )
        reply = run_script(self.owner.connection, DISPATCH, [LOCK, INDEX], arguments)
        if reply is None:
            raise LockLostError
        outcomes, *refusals = reply.decode(errors="backslashreplace").split("\n")
        return outcomes, iter(refusals)

    def _write_changed(
        self, members: list[tuple[bytes, float]], token: str, lock_ttl: float
    ) -> list[Record]:
        """Read those again that are not any more as they were remembered, and do what is due."""
        batch = Batch(self.owner, members, self.moment, self._patience)
        enqueued = batch.write(token, lock_ttl) if batch else []
        self.kept.difference_update(id for id, _ in members)
        self.kept |= batch.kept
        self.postponed |= batch.postponed
        self.left_from = min(self.left_from, batch.left_from)
        return enqueued

    def _follow_up(self, ready: Ready) -> None:
        """What is left to do when an occurrence was written: say so, or run it here and now."""
        if logger.isEnabledFor(logging.INFO):
            job, job_id = ready.job, ready.job_id
            words = (job.id, job_id, job.queue_name)
            logger.info("Enqueued %r as job %s in queue %r", *words, extra=ready.log_attributes())
        if ready.template.runs_here:
            self._run_here(ready)

    def _run_here(self, ready: Ready) -> None:
        whose = ready.job_id, ready.job.id
        extra = ready.log_attributes()
        try:
            job = create_job(ready.job, ready.template.queue, ready.job_id)
            failure = run_here(ready.job, ready.template.queue, job)
        except RedisError as error:
            words = (*whose, error)
            logger.error("Job %s of %r ran; its end is not recorded: %s", *words, extra=extra)
        except Exception:
            logger.exception("Job %s of %r could not be made to run here", *whose, extra=extra)
        else:
            if failure:
                logger.error("Job %s of %r failed: %s", *whose, failure, extra=extra)

    def _add_blocked(self, id: bytes, ready: Ready, reason: str) -> None:
        seen = ready.fingerprint.with_next(ready.due)
        self._add_error(id, seen, reason, ready.job.next_enqueue_time)

    def _add_error(self, id: bytes, seen: bytes, reason: str, due: datetime | None = None) -> None:
        retry_at = self.owner.retry_at(id, reason, self.moment, due)
        self._corrections.add_error(id, seen, reason, retry_at)


def _reason(job: Record, outcome: str, refusals: Iterator[str]) -> str:
    return _BLOCKED[outcome].format(
        history=quoted(job.job_history_key),
        queue=quoted(job.queue_name),
        refusal=next(refusals) if outcome == REFUSED else "",
        remedy=_REMEDY,
    )


def log_skip(job: Record, skip: Skip) -> None:
    """An occurrence that overlaps is nothing new to its schedule; one that was missed is news."""
    level = logging.INFO if skip.reason == "overlap" else logging.WARNING
    extra = {"schedule_id": job.id, "occurrence": skip.occurrence.isoformat()}
    logger.log(level, "Schedule %r skipped %s", job.id, skip, extra=extra)


def _seen_of(damaged: Damaged) -> bytes:
    if damaged.fields is None:
        return b""
    if damaged.is_oversized:
        return Fingerprint(damaged.fields).marks_with_next(_next(damaged.fields))
    return _seen(damaged.fields)


def _seen(fields: Fields) -> bytes:
    return Fingerprint(fields).with_next(_next(fields))


def _next(fields: Fields) -> bytes:
    return fields.get("next_enqueue_time", "").encode(errors="surrogateescape")
