"""A backfill: the occurrences of a span get their jobs, each of them once.

Jobs are written in the same transaction as the note of how far it got, which fails if the note, the
schedule or its history has changed since they were read. So several processes may work on the same
backfill, and any of them may be killed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from redis import Redis
from redis.exceptions import WatchError
from rq.job import Job
from rq.utils import now

from ..dispatch.applications import Applications, own_application
from ..dispatch.protocol import LOOKED_AT, MISSING
from ..dispatch.run_now import Target, run_here, write_run
from ..exceptions import InvalidScheduleError, NoSuchJobError, ScheduleChangedError
from ..quoting import quoted_id
from ..schedule.record import Record
from ..schedule.texts import time_text
from ..store.actors import current_actor
from ..store.connections import bytes_client
from ..store.keys import (
    QUEUE_PREFIX,
    backfill_key,
    history_key,
    job_key,
)
from ..store.reading import read_schedules
from ..store.rq_queues import overridden
from ..store.scripts import Script, run_script
from ..story.in_flight import BACKFILL
from ..story.why import gather
from ..story.why.leftovers import read_in_flight
from ..timing.cron_times import utc_text
from .note import Note, Order, read_note, write_beginning, write_end, write_progress
from .plan import Plan

OVERLAPPING = Script(
    "overlapping",
    QUEUE_PREFIX=QUEUE_PREFIX,
    LOOKED_AT=LOOKED_AT,
    MISSING=MISSING,
)

BATCH = 50
"""Jobs in one transaction: it blocks Redis for a millisecond or two."""

LEFT_OUT = 1000
"""Occurrences that ran already that are passed over in one transaction."""

POLL = 0.5
"""Seconds between two looks at whether an earlier run has ended."""

ENQUEUED, RAN_ALREADY = "enqueued", "ran already"


@dataclass(frozen=True)
class Step:
    """What became of an occurrence, or is to."""

    occurrence: datetime
    outcome: str
    job_id: str = ""


class Backfill:
    """One job for each occurrence of a schedule in a span, oldest first, whatever its state.

    What was begun already goes on; `abandon`: it begins anew, also in place of another one that is
    unfinished. Nothing is written before `run`. Raises `InvalidScheduleError` with what is wrong,
    `NoSuchJobError` and `DamagedScheduleError`.
    """

    def __init__(self, id: str, order: Order, connection: Redis, *, abandon: bool = False) -> None:
        self.id, self.order, self._connection = id, order, connection
        self._abandon = abandon
        self._make_plan()

        self.counts_before = (self.note.enqueued, self.note.ran_already) if self.note else (0, 0)
        """How many occurrences got a job, and how many were left out, before this object."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left."""
        return self.note is not None and self.note.finished

    @property
    def done_before(self) -> int:
        """Occurrences that were dealt with before this object."""
        return sum(self.counts_before)

    def count(self) -> int:
        """Occurrences that are left."""
        return 0 if self.is_finished else self.plan.count(self.position)

    def count_to_enqueue(self) -> int:
        """How many of these get a job."""
        return 0 if self.is_finished else self.plan.count_to_enqueue(self.position)

    def has_unknown(self) -> bool:
        """Whether some of these may have run without being on record."""
        return not self.is_finished and self.plan.has_unknown(self.position)

    @property
    def position(self) -> datetime | None:
        """The latest occurrence that was dealt with; None if none was."""
        return self.note.position if self.note else None

    def _make_plan(self) -> None:
        """The runs are read before the note: what is not among them comes after its position.

        The history does not have all that are in flight if they are very many. These are read
        first, for runs that end meanwhile are on record then.
        """
        in_flight = read_in_flight(self.id, self._connection)
        evidence = gather(self.id, self._connection)
        self.note = self._own(read_note(self.id, self._connection))
        plan = Plan.of(self.order, evidence, in_flight, self.note)
        Applications(own_application(), self._connection).set_zone(plan.schedule)
        zone = plan.schedule.zone
        self.plan = replace(plan, recurrence=replace(plan.recurrence, zone=zone))
        self._target = Target.of(plan.schedule, self._connection)

    def _own(self, note: Note | None) -> Note | None:
        """The note if it is of this very backfill; None if one is to be begun."""
        if note is None or self._abandon:
            return None
        if note.order == self.order:
            return note
        if note.finished:
            return None
        raise InvalidScheduleError(
            f"{note.describe(self.id)}; let it go on with the same options, or give it up with "
            f"--abandon"
        )

    def preview(self) -> Iterator[Step]:
        """What is left to be done."""
        if not self.is_finished:
            for occurrence in self.plan.times(self.position):
                left_out = self.plan.is_left_out(occurrence)
                yield Step(occurrence, RAN_ALREADY if left_out else ENQUEUED)

    def run(self, per_minute: float | None = None) -> Iterator[Step]:
        """Do it, at most so many jobs a minute, and tell what became of each occurrence.

        Raises `ScheduleChangedError` and `NoSuchJobError` if the schedule was changed, disabled or
        deleted meanwhile, or if somebody abandoned this.
        """
        pause = 60 / per_minute if per_minute else 0.0
        if self.note is None:
            while not self._begin():
                pass
            self._make_plan()  # another one may have enqueued something until it was abandoned
        while not self.is_finished:
            try:
                yield from self._transaction(pause)
            except WatchError:
                continue  # somebody was faster, or the connection broke: the note tells

    def _begin(self) -> bool:
        """Write the note, unless somebody else just did. False if it has to be tried again."""
        begun, origin = utc_text(now()), time_text(self.plan.origin)
        pipe: Any
        with self._connection.pipeline() as pipe:
            try:
                pipe.watch(backfill_key(self.id))
                if self._own(read_note(self.id, self._connection)) is None:
                    pipe.multi()
                    write_beginning(pipe, self.id, self.order, begun, current_actor(), origin)
                    pipe.execute()
            except WatchError:
                if not self._has_begun(begun):
                    return False
        self._abandon = False
        return True

    def _has_begun(self, begun: str) -> bool:
        """Whether the note was written, though the answer was lost."""
        note = read_note(self.id, self._connection)
        return note is not None and note.begun == begun

    def _transaction(self, pause: float) -> list[Step]:
        """Deal with the next occurrences; with none if one has to wait."""
        keys = backfill_key(self.id), job_key(self.id), history_key(self.id)
        pipe: Any
        with self._connection.pipeline() as pipe:
            pipe.watch(*keys)
            self._look()
            steps = self._next_steps(single=bool(pause))
            wait = self._wait(pause) if steps and steps[-1].outcome == ENQUEUED else 0.0
            if not wait:
                pipe.multi()
                jobs = self._write(pipe, steps)
                pipe.execute()
        if wait:
            time.sleep(wait)
            return []
        if not self._target.queue.is_async:
            for job in jobs:
                run_here(self.plan.schedule, self._target.queue, job)
        return steps

    # What is there

    def _look(self) -> None:
        """Read the note and the schedule again; they are what was begun with, or it raises."""
        assert self.note is not None
        begun, id = self.note.begun, quoted_id(self.id)
        ((stored, _),) = read_schedules([self.id], self._connection)
        if not isinstance(stored, Record):
            raise NoSuchJobError(f"{id} was deleted meanwhile, or cannot be read any more")
        note = read_note(self.id, self._connection)
        if note is None or note.begun != begun:
            whom = f": it was begun anew by {note.by}" if note else ": its note in Redis is gone"
            raise ScheduleChangedError(f"this backfill of {id} was given up{whom}")
        self.note = note
        before = self.plan.stored
        if before.enabled and not stored.enabled:
            off = stored.off.describe(utc_text)
            raise ScheduleChangedError(f"{id} was disabled meanwhile{f' ({off})' if off else ''}")
        if self.order.as_of is None and stored.definition() != before.definition():
            raise ScheduleChangedError(f"{id} was changed meanwhile")
        self._check_types()

    def _check_types(self) -> None:
        """A transaction is not undone if one of its writes fails for the type of a key."""
        queue = self._target.queue
        wanted = {history_key(self.id): b"zset", queue.key: b"list"}
        with bytes_client(self._connection).pipeline(transaction=False) as pipe:
            for key in wanted:
                pipe.type(key)
            for key, found in zip(wanted, pipe.execute(), strict=True):
                if found not in (b"none", wanted[key]):
                    raise InvalidScheduleError(f"the key {key} is of a wrong type; delete it")

    def _next_steps(self, *, single: bool) -> list[Step]:
        """Those of one transaction."""
        queue = self._target.queue
        alone = single or not queue.is_async or bool(overridden(queue)) or self._waits_for_runs
        steps: list[Step] = []
        enqueued = 0
        for occurrence in self.plan.times(self.position):
            left_out = self.plan.is_left_out(occurrence)
            steps.append(Step(occurrence, RAN_ALREADY if left_out else ENQUEUED))
            enqueued += not left_out
            if enqueued == (1 if alone else BATCH) or len(steps) == LEFT_OUT:
                break
        return steps

    @property
    def _waits_for_runs(self) -> bool:
        return self.plan.schedule.overlap != "allow"

    def _wait(self, pause: float) -> float:
        """Seconds to wait before the next job is enqueued, or before the next look."""
        assert self.note is not None
        last = self.note.enqueued_at
        if pause and last is not None:
            left = pause - (now() - last).total_seconds()
            if left > 0:
                return min(left, pause)
        return POLL if self._waits_for_runs and self._is_overlapping() else 0.0

    def _is_overlapping(self) -> bool:
        queue = self._target.queue
        arguments = [
            queue.job_class.key_for(""),
            queue.key if queue.is_async else "",
            now().timestamp(),
        ]
        return bool(run_script(self._connection, OVERLAPPING, [history_key(self.id)], arguments))

    # What is written

    def _write(self, pipe: Any, steps: list[Step]) -> list[Job]:
        """Queue the commands of these steps, whose jobs they get; without any it is finished."""
        assert self.note is not None
        if not steps:
            write_end(pipe, self.id, now())
            self.note = replace(self.note, finished=True)
            return []
        jobs = []
        for place, step in enumerate(steps):
            if step.outcome == ENQUEUED:
                job = self._target.create_job()
                job = write_run(
                    pipe, job, self.plan.schedule, self._target.queue, BACKFILL, step.occurrence
                )
                steps[place] = replace(step, job_id=job.id)
                jobs.append(job)
        left_out = len(steps) - len(jobs)
        write_progress(pipe, self.id, steps[-1].occurrence, now(), len(jobs), left_out)
        return jobs
