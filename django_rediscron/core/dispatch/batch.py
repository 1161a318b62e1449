"""One batch of a pass: some members of the index on their way through one script call."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from rq.utils import now

from ..exceptions import InvalidScheduleError
from ..quoting import LONGEST_MESSAGE, quoted
from ..schedule.missed import CLOSE, Skip
from ..schedule.record import Record
from ..schedule.texts import lossy_text
from ..store.listing import prune
from ..store.reading import Absent, Damaged, Fields, read_schedules, read_what_fits
from ..store.scripts import CALL_BYTES
from ..timing.cron_times import occurrence_delay, utc_text
from .due import Corrections, Occurrences, log_skip, next_of, seen_of, seen_of_damaged
from .lateness import Lateness
from .memory import Memory
from .next_times import Rule
from .paused import add_paused, named_pause
from .prepared import Fingerprint, PreparedSchedule
from .protocol import BAD_HISTORY, BAD_QUEUE, DONE, OVERLAPPED, PAUSED, REFUSED, dispatch
from .run_now import run_enqueued

logger = logging.getLogger(__name__)

_REMEDY = "check what the Redis user of the scheduler may do"
_BLOCKED = {
    BAD_HISTORY: "its history {history} is not a sorted set; delete that key",
    BAD_QUEUE: "the key of its queue {queue} is not a list; delete that key",
    REFUSED: f"Redis refused to enqueue it in queue {{queue}}: {{refusal}}; {_REMEDY}",
}
_REFUSED = f"Redis refused to write it: {{}}; {_REMEDY}"


class Batch:
    """What is to be written of some schedules at one moment: `read` collects it, `write` sends it.

    `patience`: seconds for reading what is unknown. `call_bytes`: how much fits into one call.
    """

    def __init__(
        self,
        memory: Memory,
        moment: datetime,
        patience: float = math.inf,
        call_bytes: int = CALL_BYTES,
    ) -> None:
        self._memory = memory
        self.moment = moment
        self.kept: set[bytes] = set()
        """Members that may stay among the due ones."""
        self.left_from = math.inf
        """The lowest score of what stays due because this batch has no room or time for it."""
        self.postponed: dict[bytes, float] = {}
        """Schedules too heavy for this batch, in whole or in part, with their scores."""
        self._patience = patience
        self._call_bytes = call_bytes
        self._recalled: dict[bytes, float] = {}  # with their scores
        self._paused: set[bytes] = set()
        self._lateness = Lateness(memory.late_after)
        self._corrections = Corrections(moment)
        self._occurrences = Occurrences(moment, self._corrections, memory.shared_times, call_bytes)

    def read(self, members: list[tuple[bytes, float]]) -> None:
        """Take in members of the index that are due; those that memory does not know are read.

        Reading imports the functions, and stops when patience runs out, so that the lock is
        extended in time; the next batch gets the rest.
        """
        memory, late_limit = self._memory, self._lateness.limit
        unknown = []
        for id, score in members:
            if self._occurrences.is_full:
                self.left_from = score
                break
            prepared = memory.recall(id, score)
            if prepared is not None:
                if prepared.is_heavy and not self._occurrences.has_room(prepared):
                    self.postponed[id] = score
                    continue
                if self._add_known(id, prepared):
                    self._recalled[id] = score
                    if score < late_limit:
                        self._lateness.look(id, prepared.job, score)
                    continue
            if memory.foreign.get(id) == score:
                self.kept.add(id)
            else:
                unknown.append((id, score))
        if unknown:
            self._read_unknown(unknown)
        self.left_from = min(self.left_from, self._occurrences.left_from)
        self.postponed.update(self._occurrences.postponed)

    def _add_known(self, id: bytes, prepared: PreparedSchedule) -> bool:
        """Whether the occurrence could be added; if not, reading the schedule shows why."""
        try:
            self._occurrences.add(id, prepared)
        except Exception:
            return False
        return True

    def _read_unknown(self, members: list[tuple[bytes, float]]) -> None:
        connection = self._memory.connection
        ids = [id for id, _ in members]
        room = max(0, self._call_bytes - self._occurrences.heavy_bytes)
        if not self._memory.oversized.isdisjoint(ids):
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
            self._memory.forget(id)
            self._memory.oversized.discard(id)
            if isinstance(schedule, Record):
                self._add_read(id, fields, schedule, begun)
            elif isinstance(schedule, Damaged):
                if schedule.is_oversized:
                    self._memory.oversized.add(id)
                seen, due = seen_of_damaged(schedule)
                self._add_error(id, seen, schedule.reason, due)
            elif isinstance(schedule, Absent) and schedule.has_history:
                self._memory.foreign[id] = score
                self.kept.add(id)
            else:
                stale.append(id)
        if stale:
            prune(stale, connection)
            self._memory.suspects.update(stale)

    def _add_read(self, id: bytes, fields: Fields, job: Record, read_at: float) -> None:
        """A schedule as it was just read: its score may be wrong, for only the hash counts."""
        fingerprint, said = Fingerprint(fields, read_at), next_of(fields)
        seen = partial(fingerprint.with_next, said)  # rarely needed
        if not job.enabled:
            self._corrections.add(id, seen(), score_time=None)
            return
        failure = self._memory.unwritten.get(id)
        if failure is not None and failure[0] == seen():
            self._add_error(id, *failure, job.next_enqueue_time)
            return
        try:
            self._memory.applications.set_zone(job)
            due = job.due_time(self.moment)
            if due is None:
                self._corrections.add(id, seen(), finished=job.finished_at is None)
                return
            delayed = due + timedelta(seconds=occurrence_delay(job.id, due, job.jitter))
            if delayed > self.moment + CLOSE:
                self._corrections.add(id, seen(), ["next_enqueue_time", utc_text(due)], delayed)
                return
            job.next_enqueue_time = due
            self._occurrences.add(id, self._memory.prepare(job, fingerprint, said))
            self._lateness.look(id, job, delayed.timestamp())
        except BaseException as error:  # user code: modules, job classes, serializers
            # A KeyboardInterrupt, too, comes from a module: while leading, signals only set a flag.
            told = isinstance(error, InvalidScheduleError)
            reason = str(error) if told else quoted(error, LONGEST_MESSAGE)
            reason = self._memory.applications.explain(job, reason)
            self._memory.unwritten[id] = seen(), reason
            self._add_error(id, seen(), reason, job.next_enqueue_time)

    def add_retimed(self, ids: Sequence[str], rule: Rule) -> None:
        """Correct the next times of enabled schedules that are wrong by this rule."""
        for schedule, fields in read_schedules(ids, self._memory.connection):
            if not isinstance(schedule, Record) or not schedule.enabled:
                continue
            try:
                self._memory.applications.set_zone(schedule)
                following = rule(schedule, self.moment)
            except Exception:
                following = self.moment  # due, so that a pass records what is wrong with it
            if following is not None:
                delay = occurrence_delay(schedule.id, following, schedule.jitter)
                self._corrections.add_next(schedule.id.encode(), seen_of(fields), following, delay)

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._occurrences.packed or self._corrections)

    def write(self, token: str, lock_ttl: float) -> list[Record]:
        """Call the script and act on its answer. Returns what was enqueued.

        What was changed meanwhile is read and written again; `kept` gets what was left alone.
        """
        occurrences, corrections = self._occurrences, self._corrections
        outcomes, lines = dispatch(
            self._memory.connection,
            token,
            lock_ttl,
            now(),
            occurrences.shared_fields,
            occurrences.packed,
            occurrences.length,
            corrections.packed,
            self._memory.skips_kept,
            self._lateness.pack(occurrences),
        )
        blocked = Batch(self._memory, self.moment)
        enqueued = self._settle(outcomes, lines, blocked)
        self._settle_corrections(outcomes[len(occurrences.items) :], lines, blocked)
        occurrences.log_skips(outcomes)
        if DONE.issuperset(outcomes):
            return enqueued
        ids = (*(id for id, *_ in occurrences.items), *corrections.ids)
        left = {id for id, outcome in zip(ids, outcomes, strict=True) if outcome not in DONE}
        left -= self._paused
        self.kept |= left
        self._memory.suspects |= left
        if blocked:
            enqueued += blocked.write(token, lock_ttl)
            self._leave_as(blocked)
        changed = [(id, score) for id, score in self._recalled.items() if id in left]
        if changed:
            enqueued += self._write_changed(changed, token, lock_ttl)
        return enqueued

    def _settle(self, outcomes: str, lines: Iterator[str], blocked: Batch) -> list[Record]:
        """Act on the outcomes of the occurrences. Returns what was enqueued.

        Refused ones are added to `blocked` as errors, and instead of paused ones what is to be
        written of them.
        """
        memory = self._memory
        enqueued = []
        is_told = logger.isEnabledFor(logging.INFO)
        for (id, prepared, due_times, job_id), outcome in zip(
            self._occurrences.items, outcomes, strict=False
        ):
            if outcome not in DONE:
                memory.forget(id)
                if outcome in _BLOCKED:
                    blocked._add_blocked(id, prepared, outcome, lines)
                    self._recalled.pop(id, None)
                elif outcome == PAUSED:
                    blocked._add_paused(id, prepared, due_times.new[0], next(lines))
                    self._recalled.pop(id, None)
                    self._paused.add(id)
                continue
            prepared.advance(due_times, outcome)
            if prepared.job.next_enqueue_time is not None:
                memory.remember(id, prepared)
            else:
                memory.forget(id)
                logger.info("Schedule %r is finished: nothing is left to run", prepared.job.id)
            if outcome == OVERLAPPED:
                log_skip(prepared.job, Skip.overlapping(due_times.new[0], self.moment))
                continue
            # Several of one schedule differ in their times.
            enqueued.append(prepared.job if prepared.plain else prepared.job.snapshot())
            if is_told:
                words = prepared.job.id, job_id, prepared.job.queue_name
                extra = prepared.log_attributes(job_id)
                logger.info("Enqueued %r as job %s in queue %r", *words, extra=extra)
            if prepared.template.runs_here:
                run_enqueued(prepared, job_id)
        return enqueued

    def _settle_corrections(self, outcomes: str, lines: Iterator[str], blocked: Batch) -> None:
        corrections = self._corrections
        skipped = {
            position: (prepared, skips)
            for with_run, position, prepared, skips in self._occurrences.skips
            if not with_run
        }
        items = zip(corrections.ids, corrections.seen, outcomes, strict=True)
        for position, (id, seen, outcome) in enumerate(items):
            # Whether it was written or changed meanwhile, its hash is different now.
            self._memory.forget(id)
            self._memory.unwritten.pop(id, None)
            if outcome == REFUSED:
                blocked._add_error(id, seen, _REFUSED.format(next(lines)))
                self._recalled.pop(id, None)
            elif outcome == PAUSED:
                prepared, skips = skipped[position]
                blocked._add_paused(id, prepared, skips[-1].until, next(lines))
                self._recalled.pop(id, None)
                self._paused.add(id)

    def _write_changed(
        self, members: list[tuple[bytes, float]], token: str, lock_ttl: float
    ) -> list[Record]:
        """Read those again that were changed meanwhile, and enqueue what is due."""
        batch = Batch(self._memory, self.moment, self._patience, self._call_bytes)
        batch.read(members)
        enqueued = batch.write(token, lock_ttl) if batch else []
        self.kept.difference_update(id for id, _ in members)
        self._leave_as(batch)
        return enqueued

    def _leave_as(self, batch: Batch) -> None:
        """Leave what this batch, a part of it, has left."""
        self.kept |= batch.kept
        self.postponed |= batch.postponed
        self.left_from = min(self.left_from, batch.left_from)

    def _add_paused(
        self, id: bytes, prepared: PreparedSchedule, latest: datetime, line: str
    ) -> None:
        pause = named_pause(line)
        occurrences, corrections = self._occurrences, self._corrections
        add_paused(id, prepared, latest, pause, self.moment, occurrences, corrections)
        self.left_from = min(self.left_from, occurrences.left_from)
        self.postponed.update(occurrences.postponed)

    def _add_blocked(
        self, id: bytes, prepared: PreparedSchedule, outcome: str, lines: Iterator[str]
    ) -> None:
        job = prepared.job
        reason = _BLOCKED[outcome].format(
            history=quoted(job.job_history_key),
            queue=quoted(job.queue_name),
            refusal=next(lines) if outcome == REFUSED else "",
        )
        seen = prepared.fingerprint.with_next(prepared.due)
        self._add_error(id, seen, reason, job.next_enqueue_time)

    def _add_error(self, id: bytes, seen: bytes, reason: str, due: datetime | None = None) -> None:
        """`due`: the occurrence that cannot be enqueued."""
        retries = self._memory.retries
        level = logging.DEBUG if id in retries else logging.ERROR
        shown = lossy_text(id)
        extra = {"schedule_id": shown, **({"occurrence": due.isoformat()} if due else {})}
        logger.log(level, "Schedule %r cannot be enqueued: %s", shown, reason, extra=extra)
        retry_at = retries.plan(id, self.moment)
        self._corrections.add_error(id, seen, reason, retry_at, due)
