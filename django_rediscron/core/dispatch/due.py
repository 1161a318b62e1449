"""The occurrences that a pass enqueues in one script call, as the options require."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ..schedule.missed import Skip, settle_due
from ..schedule.record import Record
from ..schedule.texts import parse_time
from ..store.reading import Damaged, Fields
from ..store.scripts import CALL_BYTES
from ..story.skips import Failure
from ..timing.cron_times import around_cron, around_interval, occurrence_delay, utc_text
from .custom_queues import commands
from .prepared import FOLLOWS, DueTimes, Fingerprint, PreparedSchedule, written_before
from .protocol import (
    DONE,
    NO,
    SharedJobFields,
    number,
    pack_correction,
    pack_occurrence,
    pack_policy,
)
from .template import new_job_ids

logger = logging.getLogger(__name__)

ROUNDING = 1e-6
"""Seconds: a score in the index is rounded to microseconds."""

ROOM = 200
"""Occurrences in one script call; once it is full, a schedule that missed many adds only one."""


class Occurrences:
    """What is to be enqueued. Skips without a run go to the corrections.

    `shared_times`: the times computed so far for this moment. `call_bytes`: how much fits.
    """

    def __init__(
        self,
        moment: datetime,
        corrections: Corrections,
        shared_times: dict[tuple[object, ...], DueTimes],
        call_bytes: int = CALL_BYTES,
    ) -> None:
        self._moment = moment
        self._call_bytes = call_bytes
        self._now = time.monotonic()
        self._corrections = corrections
        self._shared_times = shared_times
        self._job_ids = new_job_ids()
        self.packed: list[bytes] = []
        self.length = 0
        """Items of the one list that they form for the script."""
        self.items: list[tuple[bytes, PreparedSchedule, DueTimes, str]] = []
        self.shared_fields: dict[SharedJobFields, bytes] = {}
        """With their packed numbers, from 1 as Lua counts."""
        self.skips: list[tuple[bool, int, PreparedSchedule, list[Skip]]] = []
        """Whether they belong to an occurrence or to a correction, and its position."""
        self.is_full = False
        """Whether one of them runs in this process. The others are written after it has ended, so
        that none is lost if the process dies meanwhile."""
        self.left_from = math.inf
        """The lowest score of what stays due because this batch has no room for it."""
        self.heavy_bytes = 0
        """Of all heavy occurrences."""
        self.postponed: dict[bytes, float] = {}
        """Schedules too heavy for this batch, in whole or in part, with their scores: when they are
        next taken, light ones go first again."""

    def has_room(self, prepared: PreparedSchedule) -> bool:
        """Whether a heavy schedule still fits. There is always room for one."""
        return not self.heavy_bytes or self.heavy_bytes + prepared.weight <= self._call_bytes

    def add(self, id: bytes, prepared: PreparedSchedule) -> None:
        """Add the due occurrences of a schedule."""
        if not prepared.plain:
            self._add_by_policy(id, prepared)
            return
        job, seen = prepared.job, prepared.due
        due = job.next_enqueue_time
        assert due is not None
        key: tuple[object, ...] = (job.interval, due, seen)
        if job.cron is not None:
            key = (job.cron, job.timezone or job.local_zone, due, seen)
        due_times = self._shared_times.get(key)
        if due_times is None:
            if job.interval is not None:
                times = around_interval(job.interval, due, self._moment)
            else:
                times = around_cron(job.cron or "", due, self._moment, job.zone)
            due_times = self._shared_times[key] = DueTimes(due, seen, *times)
        self._add_item(id, prepared, due_times)

    def add_before(self, id: bytes, prepared: PreparedSchedule, pause: datetime) -> None:
        """Add the due occurrences of a schedule from before a pause began."""
        self._add_by_policy(id, prepared, pause)

    def _add_by_policy(
        self, id: bytes, prepared: PreparedSchedule, before: datetime | None = None
    ) -> None:
        """Add the due occurrences of a schedule with options, one after the other.

        Each must find the next time that the one before it wrote, so the script takes all of them,
        or those up to the point at which the schedule was changed.
        """
        job, seen = prepared.job, prepared.due
        due = job.next_enqueue_time
        assert due is not None
        room = 1 if prepared.template.runs_here else max(1, ROOM - len(self.packed))
        if prepared.is_heavy:
            room = min(room, max(1, (self._call_bytes - self.heavy_bytes) // prepared.weight))
        if job.max_runs is not None:
            room = min(room, job.max_runs - job.runs)
        follows = False
        for step in settle_due(job, due, self._moment, room, before):
            following, delay = step.following, self._delay(job, step.following)
            if step.run is None:
                expected = written_before(seen) if follows else prepared.fingerprint.with_next(seen)
                self.add_skips(id, prepared, expected, step.skips, following)
            else:
                self.skips.append((True, len(self.items), prepared, step.skips))
                due_times = DueTimes(due, seen, step.run, following, delay)
                job_id = next(self._job_ids)
                records = [skip.to_text() for skip in step.skips]
                first = step.first or step.run
                policy = self._policy(prepared, first, step.run, records, job_id)
                self._add_item(id, prepared, due_times, policy, job_id, follows=follows)
                seen, follows = due_times.following, True
                self._leave(id, prepared, following, delay)
            if following is not None:
                due = following

    def add_skips(
        self,
        id: bytes,
        prepared: PreparedSchedule,
        seen: bytes,
        skips: list[Skip],
        following: datetime | None,
    ) -> None:
        """Skips without a run, after which the schedule moves on to its next time."""
        delay = self._delay(prepared.job, following)
        self.skips.append((False, len(self._corrections), prepared, skips))
        records = [skip.to_text() for skip in skips]
        self._corrections.add_next(id, seen, following, delay, records)
        if prepared.is_heavy:
            self.heavy_bytes += prepared.weight
        self._leave(id, prepared, following, delay)

    def _delay(self, job: Record, following: datetime | None) -> float:
        return 0.0 if following is None else occurrence_delay(job.id, following, job.jitter)

    def _leave(
        self, id: bytes, prepared: PreparedSchedule, following: datetime | None, delay: float
    ) -> None:
        """Note whether the schedule is still due at its next time, for another batch."""
        if following is None:
            return
        score = following.timestamp() + delay
        if score > self._moment.timestamp():
            self.postponed.pop(id, None)
        elif prepared.is_heavy:
            self.postponed[id] = score
        else:
            self.left_from = min(self.left_from, score - ROUNDING)

    def _policy(
        self,
        prepared: PreparedSchedule,
        first: datetime,
        run: datetime,
        records: Sequence[str],
        job_id: str,
    ) -> bytes:
        """The options of a schedule, packed for the script. `run` stands for those from `first`."""
        job = prepared.job
        overlapping = Skip.overlapping(run, self._moment)
        if first < run:
            count = job.recurrence(first).count(first, run)
            overlapping = replace(overlapping, occurrence=first, count=count)
        overlap = "" if job.overlap == "allow" else job.overlap
        custom = prepared.template.custom
        told = [commands(job, prepared.template.queue, job_id, run)] if custom else []
        return pack_policy(records, overlap, overlapping.to_text(), job.max_runs, told)

    def _add_item(
        self,
        id: bytes,
        prepared: PreparedSchedule,
        due_times: DueTimes,
        policy: bytes = NO,
        job_id: str = "",
        *,
        follows: bool = False,
    ) -> None:
        numbers, fields = self.shared_fields, prepared.template.shared
        shared = numbers.get(fields)
        if shared is None:
            shared = numbers[fields] = number(len(numbers) + 1)
        if not job_id:
            job_id = next(self._job_ids)
        self.length += prepared.length
        if prepared.is_heavy:
            self.heavy_bytes += prepared.weight
        if prepared.template.runs_here:
            self.is_full = True
        self.packed.append(
            pack_occurrence(
                id,
                due_times.packed,
                job_id,
                shared,
                FOLLOWS if follows else prepared.fingerprint.at(self._now),
                prepared.values,
                policy,
                heal=bool(prepared.job.last_error),
                tidy=prepared.wants_tidying(due_times.due),
            )
        )
        self.items.append((id, prepared, due_times, job_id))

    def log_skips(self, outcomes: str) -> None:
        """Log the skips that were written, by the outcomes of occurrences and corrections."""
        count = len(self.items)
        for with_run, position, prepared, skips in self.skips:
            if outcomes[position if with_run else position + count] in DONE:
                for skip in skips:
                    log_skip(prepared.job, skip)


def log_skip(job: Record, skip: Skip) -> None:
    """Log a skip: to overlap or to be paused is normal, missing a run is worth a warning."""
    level = logging.INFO if skip.reason in ("overlap", "paused") else logging.WARNING
    extra = {"schedule_id": job.id, "occurrence": skip.occurrence.isoformat()}
    logger.log(level, "Schedule %r skipped %s", job.id, skip, extra=extra)


_ERROR_LENGTH = 500


class Corrections:
    """Errors to record, and scores in the index, as the script of a pass takes them.

    `seen` is the fingerprint and the next time of the hash that was read, or the next time that an
    occurrence before it in the same call writes, as msgpack; empty if there was no hash. What
    was changed meanwhile is not corrected.
    """

    def __init__(self, moment: datetime) -> None:
        self.ids: list[bytes] = []
        self.packed: list[bytes] = []
        self.seen: list[bytes] = []
        self._moment = moment

    def __len__(self) -> int:
        return len(self.ids)

    def add(
        self,
        id: bytes,
        seen: bytes,
        fields: Sequence[str] = (),
        score_time: datetime | None = None,
        *,
        failed: bool = False,
        records: Sequence[str] = (),
        finished: bool = False,
    ) -> None:
        """Fields to set, and the time that is its score in the index, None to leave the index."""
        score = None if score_time is None else score_time.timestamp()
        self.ids.append(id)
        self.seen.append(seen)
        self.packed.append(
            pack_correction(id, seen, fields, score, records, failed=failed, finished=finished)
        )

    def add_next(
        self,
        id: bytes,
        seen: bytes,
        following: datetime | None,
        delay: float,
        records: Sequence[str] = (),
    ) -> None:
        """The next time (None if nothing is left to run), and what was skipped until then."""
        if following is None:
            self.add(id, seen, records=records, finished=True)
        else:
            times = ("next_enqueue_time", utc_text(following))
            self.add(id, seen, times, following + timedelta(seconds=delay), records=records)

    def add_error(
        self, id: bytes, seen: bytes, reason: str, retry_at: datetime, due: datetime | None
    ) -> None:
        """Why the due occurrence cannot be enqueued, and when it is tried again."""
        fields: tuple[str, ...] = ()
        records = []
        if seen:  # without a hash there is nowhere to write the error
            text = reason[:_ERROR_LENGTH].encode(errors="backslashreplace").decode()
            fields = ("last_error", text, "last_error_at", utc_text(self._moment))
            if due is not None:
                records = [Failure(due, self._moment, text).to_text()]
        self.add(id, seen, fields, retry_at, failed=True, records=records)


def seen_of(fields: Fields) -> bytes:
    """A hash as it was read, for a correction."""
    return Fingerprint(fields).with_next(next_of(fields))


def seen_of_damaged(damaged: Damaged) -> tuple[bytes, datetime | None]:
    """The same of a schedule that cannot be read, and which occurrence is due, if it says so."""
    fields = damaged.fields
    if fields is None:
        return b"", None
    try:
        due = parse_time(fields.get("next_enqueue_time", ""))
    except ValueError:
        due = None
    if damaged.is_oversized:
        return Fingerprint(fields).edit_fields_with_next(next_of(fields)), due
    return seen_of(fields), due


def next_of(fields: Fields) -> bytes:
    """The next time as it is in a hash, empty if there is none."""
    return fields.get("next_enqueue_time", "").encode(errors="surrogateescape")
