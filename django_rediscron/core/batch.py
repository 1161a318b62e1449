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
from .scripts import DISPATCH, run_script
from .store import prune
from .template import JobTemplate, Shape, new_job_id, packed_times
from .timing import latest_cron_time, latest_interval_time, next_cron_time, utc_text

if TYPE_CHECKING:
    from .dispatch import Dispatcher

logger = logging.getLogger(__name__)

_CLOSE = timedelta(milliseconds=1)  # a place in the index is rounded to microseconds
_ERROR_LENGTH = 500
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

    __slots__ = ("_head", "_next", "job", "place", "template")

    def __init__(self, job: RedisCronJob, seen: list[bytes], template: JobTemplate) -> None:
        self.job = job
        self.template = template
        self.place = 0.0
        *constant, following = map(msgpack.text, seen)
        length = _OCCURRENCE_LENGTH + template.values_count
        self._head = b"".join((msgpack.head(length), msgpack.text(job.id), *constant))
        self._next = following

    def occurrence(
        self, plan: _Plan, latest: datetime, due: datetime, place: str, shape: int
    ) -> bytes:
        """What the dispatch script is told of an occurrence."""
        known = latest == due and len(self._next) > _EMPTY_LENGTH
        return b"".join(
            (
                self._head,
                self._next,
                self._next if known else msgpack.text(utc_text(latest)),
                plan.following,
                msgpack.text(place),
                _YES if self.job.last_error else _NO,
                msgpack.text(plan.job_id),
                msgpack.number(shape),
                self.template.values,
            )
        )

    def advance(self, plan: _Plan) -> None:
        """The occurrence has been written."""
        job = self.job
        job.latest_enqueue_time, job.next_enqueue_time = job._loaded_times = plan.times
        job.last_error = job.last_error_at = None
        self._next = plan.following
        self.place = plan.place


class _Plan:
    """What a schedule becomes when its occurrence has been written."""

    __slots__ = ("following", "job_id", "place", "ready", "times")

    def __init__(
        self,
        ready: Ready,
        job_id: str,
        times: tuple[datetime, datetime],
        following: bytes,
        place: float,
    ) -> None:
        self.ready = ready
        self.job_id = job_id
        self.times = times
        self.following = following
        self.place = place


class Batch:
    """Due members of the index; constructing it reads what is not known, `write` does the rest."""

    def __init__(
        self, owner: Dispatcher, members: list[tuple[bytes, float]], moment: datetime
    ) -> None:
        self.owner = owner
        self.moment = moment
        self.kept = 0
        """Members that stay among the due ones."""
        self._occurrences: list[bytes] = []
        self._corrections: list[bytes] = []
        self._plans: list[tuple[bytes, _Plan]] = []
        self._shapes: dict[Shape, int] = {}  # numbered as Lua does, from 1
        unknown = []
        for id, score in members:
            ready = owner.recall(id, score)
            if ready is not None:
                self._add_occurrence(id, ready)
            elif owner.foreign.get(id) == score:
                self.kept += 1
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
                self.kept += 1
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
            if job.next_enqueue_time is None and job.cron:
                job.next_enqueue_time = job.get_next_enqueue_time()
            due = job.next_enqueue_time or self.moment
            if due > self.moment + _CLOSE:
                self._add(id, seen, ["next_enqueue_time", utc_text(due)], place=due)
                return
            job.next_enqueue_time = due
            template = JobTemplate(job, self.owner.queue(job.queue_name), self.owner.shapes)
        except (Exception, SystemExit) as error:  # user code: modules, job classes, serializers
            reason = str(error) if isinstance(error, InvalidScheduleError) else repr(error)
            self._add_error(id, fields, reason)
        else:
            self._add_occurrence(id, Ready(job, seen, template))

    def add_retimed(self, ids: Sequence[str]) -> None:
        """Correct schedules that ran in what is now the future; see `Dispatcher.retime`."""
        for schedule, fields in read_schedules(ids, self.owner.connection):
            if not isinstance(schedule, RedisCronJob) or not schedule.enabled:
                continue
            latest, following = schedule.latest_enqueue_time, schedule.next_enqueue_time
            if latest is None or following is None or following - latest > latest - self.moment:
                continue
            if schedule.cron:
                following = next_cron_time(schedule.cron, self.moment)
            else:
                step = timedelta(seconds=schedule.interval or 0)
                following = latest - (latest - self.moment) // step * step
            fields_to_set = ("next_enqueue_time", utc_text(following))
            self._add(schedule.id.encode(), _fingerprint(fields), fields_to_set, following)

    def _add_occurrence(self, id: bytes, ready: Ready) -> None:
        job = ready.job
        due = job.next_enqueue_time
        assert due is not None
        if job.cron:
            latest = latest_cron_time(job.cron, due, self.moment)
            following = next_cron_time(job.cron, self.moment)
        else:
            assert job.interval is not None
            latest = latest_interval_time(job.interval, due, self.moment)
            following = latest + timedelta(seconds=job.interval)
        place = f"{following.timestamp():.6f}"
        following_text = msgpack.text(utc_text(following))
        plan = _Plan(ready, new_job_id(), (latest, following), following_text, float(place))
        shape = self._shapes.setdefault(ready.template.shape, len(self._shapes) + 1)
        self._occurrences.append(ready.occurrence(plan, latest, due, place, shape))
        self._plans.append((id, plan))

    def _add_error(self, id: bytes, fields: Fields | None, reason: str) -> None:
        retry_at = self.owner.retry_at(id, reason, self.moment)
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

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._occurrences or self._corrections)

    def write(self, token: str, lock_ttl: float) -> list[RedisCronJob]:
        """The script call. Returns what was enqueued; `kept` counts what was left alone, too."""
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
            -1 - HISTORY_LIMIT,
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
        for (id, plan), outcome in zip(self._plans, outcomes, strict=False):
            if outcome == "1":
                self._written(id, plan)
                enqueued.append(plan.ready.job)
            else:
                self.owner.forget(id)
                if outcome in _BLOCKED:
                    blocked._add_blocked(id, plan.ready.job, outcome)
        self.kept += len(outcomes) - outcomes.count("1")
        if blocked:
            blocked.write(token, lock_ttl)
        return enqueued

    def _written(self, id: bytes, plan: _Plan) -> None:
        ready = plan.ready
        ready.advance(plan)
        self.owner.remember(id, ready)
        if logger.isEnabledFor(logging.INFO):
            job = ready.job
            logger.info(
                "Enqueued %r as job %s in queue %r",
                job.id,
                plan.job_id,
                job.queue_name,
                extra={
                    "schedule_id": job.id,
                    "occurrence": plan.times[0].isoformat(),
                    "rq_job_id": plan.job_id,
                },
            )
        if not ready.template.queue.is_async:
            try:
                ready.template.run_here(plan.job_id)
            except Exception:
                logger.exception("Job %s of %r failed in this process", plan.job_id, ready.job.id)

    def _add_blocked(self, id: bytes, job: RedisCronJob, outcome: str) -> None:
        reason = _BLOCKED[outcome].format(history=job.job_history_key, queue=job.queue_name)
        retry_at = self.owner.retry_at(id, reason, self.moment)
        # Without a fingerprint: it was just compared, and the record of an error harms no edit.
        self._add(id, (), self._error_record(reason), retry_at, failed=True)


def _fingerprint(fields: Fields) -> list[bytes]:
    """What a hash said when it was read."""
    return [fields.get(name, "").encode(errors="surrogateescape") for name in FINGERPRINT_FIELDS]


_OCCURRENCE_LENGTH = 10
_EMPTY_LENGTH = len(msgpack.text(""))
_NO, _YES = msgpack.number(0), msgpack.number(1)
