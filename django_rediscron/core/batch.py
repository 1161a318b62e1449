"""One batch of a pass: some members of the index on their way through one script call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rq.utils import now

from . import msgpack
from .exceptions import InvalidScheduleError
from .job import RedisCronJob
from .keys import FINGERPRINT_FIELDS, LOCK
from .reading import Absent, Damaged, Fields, read_schedules
from .retiming import Rule, next_time
from .scripts import DISPATCH, run_script
from .store import prune
from .template import JobTemplate, Shape, new_job_ids, packed_times
from .timing import around_cron, around_interval, utc_text

if TYPE_CHECKING:
    from .dispatch import Dispatcher

logger = logging.getLogger(__name__)

_CLOSE = timedelta(milliseconds=1)  # a place in the index is rounded to microseconds
_ERROR_LENGTH = 500
_DONE = "1f"
_UNTIDIED_RUNS = 90  # fewer than the tenth of a history that is left when it counts as full
_UNTIDIED_SPAN = 86400.0
_BLOCKED = {
    "h": "its history {history!r} is not a sorted set; delete that key",
    "q": "the key of its queue {queue!r} is not a list; delete that key",
}


HISTORY_LIMIT = 1000
HISTORY_TTL = 365 * 86400
"""Entries and seconds; RQ's own numbers."""


class LockLostError(Exception):
    """The token does not hold the lock (any more), so nothing was enqueued."""


class Ready:
    """A schedule in memory: its RQ job made ready, and what it was when it was last read."""

    __slots__ = (
        "_head",
        "_tidied",
        "_turn",
        "_untidied",
        "fingerprint",
        "job",
        "job_id",
        "place",
        "template",
    )

    def __init__(self, job: RedisCronJob, seen: list[bytes], template: JobTemplate) -> None:
        self.job = job
        self.template = template
        self.fingerprint = seen
        self.place = 0.0
        self.job_id = ""
        *constant, _ = map(msgpack.text, seen)
        length = _OCCURRENCE_LENGTH + template.values_count
        self._head = b"".join((msgpack.head(length), msgpack.text(job.id), *constant))
        self._turn: Turn | None = None
        # The history is kept short, and its TTL long, now and then: each costs as much as a write.
        self._untidied = _UNTIDIED_RUNS
        self._tidied = 0.0

    def occurrence(self, turn: Turn, job_id: str, shape: bytes) -> bytes:
        """What the dispatch script is told of the occurrence whose turn it is."""
        self._turn = turn
        self.job_id = job_id
        tidy = self._untidied >= _UNTIDIED_RUNS or turn.due - self._tidied > _UNTIDIED_SPAN
        return b"".join(
            (
                self._head,
                turn.packed,
                _YES if self.job.last_error else _NO,
                msgpack.text(job_id),
                shape,
                _YES if tidy else _NO,
                self.template.values,
            )
        )

    def log_attributes(self) -> dict[str, str]:
        """What a formatter of log records finds: of which schedule, occurrence and RQ job."""
        latest = self.job.latest_enqueue_time
        occurrence = latest.isoformat() if latest else ""
        return {
            "schedule_id": self.job.id,
            "occurrence": occurrence,
            "rq_job_id": self.job_id,
        }

    def advance(self, *, full: bool) -> None:
        """The occurrence has been written; `full`: the history has no room left to speak of."""
        turn, job = self._turn, self.job
        assert turn is not None
        if full:
            self._untidied = _UNTIDIED_RUNS
        elif self._untidied >= _UNTIDIED_RUNS:
            self._untidied, self._tidied = 0, turn.due
        else:
            self._untidied += 1
        job.latest_enqueue_time, job.next_enqueue_time = job._loaded_times = turn.times
        job.last_error = job.last_error_at = None
        self.fingerprint[2] = turn.following
        self.place = turn.place


class Turn:
    """The times of an occurrence that is due: many schedules share them."""

    __slots__ = ("due", "following", "packed", "place", "times")

    def __init__(self, job: RedisCronJob, due: datetime, seen: bytes, moment: datetime) -> None:
        if job.interval is not None:
            self.times = around_interval(job.interval, due, moment)
        else:
            self.times = around_cron(job.cron or "", due, moment, job.zone)
        latest, following = self.times
        place = f"{following.timestamp():.6f}"
        self.due = due.timestamp()
        self.place = float(place)
        self.following = utc_text(following).encode()
        self.packed = b"".join(
            (
                msgpack.text(seen),
                _EMPTY if seen and latest is due else msgpack.text(utc_text(latest)),
                msgpack.text(self.following),
                msgpack.text(place),
            )
        )


class Batch:
    """Due members of the index; constructing it reads what is not known, `write` does the rest."""

    def __init__(
        self, owner: Dispatcher, members: list[tuple[bytes, float]], moment: datetime
    ) -> None:
        self.owner = owner
        self.moment = moment
        self.kept: set[bytes] = set()
        """Members that may stay among the due ones."""
        self._occurrences: list[bytes] = []
        self._corrections: list[bytes] = []
        self._corrected: list[bytes] = []
        self._ready: list[tuple[bytes, Ready]] = []
        self._shapes: dict[Shape, bytes] = {}  # packed numbers, as Lua counts, from 1
        self._turns: dict[tuple[object, ...], Turn] = {}
        self._job_ids = new_job_ids(len(members))
        unknown = []
        for id, score in members:
            ready = owner.recall(id, score)
            if ready is not None:
                self._add_occurrence(id, ready)
            elif owner.foreign.get(id) == score:
                self.kept.add(id)
            else:
                unknown.append((id, score))
        if unknown:
            self._read(unknown)

    def _read(self, members: list[tuple[bytes, float]]) -> None:
        connection = self.owner.connection
        found = read_schedules([id for id, _ in members], connection)
        stale = []
        for (id, score), (schedule, fields) in zip(members, found, strict=True):
            self.owner.forget(id)
            if isinstance(schedule, RedisCronJob):
                self._add_read(id, fields, schedule)
            elif isinstance(schedule, Damaged):
                self._add_error(id, schedule.fields, schedule.reason)
            elif isinstance(schedule, Absent) and schedule.has_history:
                self.owner.foreign[id] = score
                self.kept.add(id)
            else:
                stale.append(id)
        if stale:
            prune(stale, connection)

    def _add_read(self, id: bytes, fields: Fields, job: RedisCronJob) -> None:
        """A schedule as it was just read: its place may be wrong, for the hash is what counts."""
        seen = _fingerprint(fields)
        if not job.enabled:
            self._add(id, seen, place=None)
            return
        try:
            due = next_time(job, self.moment)
            if due is None:
                self._add(id, seen, place=None)
                return
            if due > self.moment + _CLOSE:
                self._add(id, seen, ["next_enqueue_time", utc_text(due)], place=due)
                return
            job.next_enqueue_time = due
            template = JobTemplate(
                job, self.owner.queue(job.queue_name), self.owner.shapes, self.owner.models
            )
        except BaseException as error:  # user code: modules, job classes, serializers
            # Also a KeyboardInterrupt is a module's own: a signal only leaves word while we lead.
            reason = str(error) if isinstance(error, InvalidScheduleError) else repr(error)
            self._add_error(id, fields, reason, job.next_enqueue_time)
        else:
            self._add_occurrence(id, Ready(job, seen, template))

    def add_retimed(self, ids: Sequence[str], rule: Rule) -> None:
        """Correct the next times of enabled schedules where the rule finds them wrong."""
        for schedule, fields in read_schedules(ids, self.owner.connection):
            if isinstance(schedule, RedisCronJob) and schedule.enabled:
                following = rule(schedule, self.moment)
                if following is not None:
                    times = ("next_enqueue_time", utc_text(following))
                    self._add(schedule.id.encode(), _fingerprint(fields), times, following)

    def _add_occurrence(self, id: bytes, ready: Ready) -> None:
        job, seen = ready.job, ready.fingerprint[2]
        due = job.next_enqueue_time
        assert due is not None
        key = (job.interval or job.cron, job.timezone, due, seen)
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = Turn(job, due, seen, self.moment)
        shape = self._shapes.get(ready.template.shape)
        if shape is None:
            shape = self._shapes[ready.template.shape] = msgpack.number(len(self._shapes) + 1)
        self._occurrences.append(ready.occurrence(turn, self._job_ids.pop(), shape))
        self._ready.append((id, ready))

    def _add_error(
        self, id: bytes, fields: Fields | None, reason: str, due: datetime | None = None
    ) -> None:
        retry_at = self.owner.retry_at(id, reason, self.moment, due)
        if fields is None:  # no hash, so nowhere to write the error
            self._add(id, (), place=retry_at, failed=True)
        else:
            self._add(id, _fingerprint(fields), self._error_record(reason), retry_at, failed=True)

    def _error_record(self, reason: str) -> list[str]:
        text = reason[:_ERROR_LENGTH].encode(errors="backslashreplace").decode()
        return ["last_error", text, "last_error_at", utc_text(self.moment)]

    def _add(
        self,
        id: bytes,
        seen: Sequence[bytes],
        fields: Sequence[str] = (),
        place: datetime | None = None,
        *,
        failed: bool = False,
    ) -> None:
        """No occurrence: fields to set, and a place in the index, or (None) none."""
        packed = (
            msgpack.text(id),
            msgpack.texts(seen),
            msgpack.texts(fields),
            msgpack.text("" if place is None else f"{place.timestamp():.6f}"),
            _YES if failed else _NO,
        )
        self._corrections.append(msgpack.array(packed))
        self._corrected.append(id)

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._occurrences or self._corrections)

    def write(self, token: str, lock_ttl: float) -> list[RedisCronJob]:
        """The script call. Returns what was enqueued; `kept` holds what was left alone, too."""
        moment = now()
        times = packed_times(moment)
        lists = (
            msgpack.array([shape.pack(times) for shape in self._shapes]),
            msgpack.array(self._occurrences),
            msgpack.array(self._corrections),
        )
        arguments = (
            token,
            int(lock_ttl * 1000),
            HISTORY_LIMIT,
            HISTORY_TTL,
            f"{moment.timestamp():.6f}",
            msgpack.array(lists),
        )
        reply = run_script(self.owner.connection, DISPATCH, [LOCK], arguments)
        if reply is None:
            raise LockLostError
        outcomes = reply.decode()
        enqueued = []
        blocked = Batch(self.owner, [], self.moment)
        for (id, ready), outcome in zip(self._ready, outcomes, strict=False):
            if outcome in _DONE:
                ready.advance(full=outcome == "f")
                self.owner.remember(id, ready)
                enqueued.append(ready.job)
                self._follow_up(ready)
            else:
                self.owner.forget(id)
                if outcome in _BLOCKED:
                    blocked._add_blocked(id, ready, outcome)
        ids = (*(id for id, _ in self._ready), *self._corrected)
        self.kept.update(id for id, done in zip(ids, outcomes, strict=True) if done not in _DONE)
        if blocked:
            blocked.write(token, lock_ttl)
        return enqueued

    def _follow_up(self, ready: Ready) -> None:
        """What is left to do when an occurrence was written: say so, or run it here and now."""
        if logger.isEnabledFor(logging.INFO):
            job, job_id = ready.job, ready.job_id
            words = (job.id, job_id, job.queue_name)
            logger.info("Enqueued %r as job %s in queue %r", *words, extra=ready.log_attributes())
        if not ready.template.queue.is_async:
            try:
                ready.template.run_here(ready.job_id)
            except Exception:
                whose = (ready.job_id, ready.job.id)
                extra = ready.log_attributes()
                logger.exception("Job %s of %r failed in this process", *whose, extra=extra)

    def _add_blocked(self, id: bytes, ready: Ready, outcome: str) -> None:
        job = ready.job
        reason = _BLOCKED[outcome].format(history=job.job_history_key, queue=job.queue_name)
        retry_at = self.owner.retry_at(id, reason, self.moment, job.next_enqueue_time)
        self._add(id, ready.fingerprint, self._error_record(reason), retry_at, failed=True)


def _fingerprint(fields: Fields) -> list[bytes]:
    """What a hash said when it was read: revision, time of the last change, next time."""
    revision, updated, following, created = (fields.get(name, "") for name in FINGERPRINT_FIELDS)
    seen = (revision, updated or created, following)
    return [text.encode(errors="surrogateescape") for text in seen]


_OCCURRENCE_LENGTH = 11
_EMPTY = msgpack.text("")
_NO, _YES = msgpack.number(0), msgpack.number(1)
