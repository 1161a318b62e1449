"""All that is on record of a schedule, and what follows from it for one occurrence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import cached_property

from ...schedule.missed import SKIPS_KEPT, SKIPS_TTL, Skip, own_time
from ...schedule.record import Record
from ...store.keys import MAX_REIGNS, TIMING_FIELDS
from ...store.pauses import Pause, pause_of
from ...store.reading import Absent, Damaged
from ..changes import CREATED, DELETED, ChangeLog, LoggedChange
from ..in_flight import SCHEDULE
from ..reigns import Reign
from ..runs import Run
from ..skips import Failure
from .finished import last_of_all, will_be_used_up
from .gaps import Gap, gap_at, leader_at
from .timeline import MOMENT, Era, Timeline, is_occurrence, previous
from .troubles import Trouble

DELAYED = 100
"""Occurrences before one that are looked at, if a `jitter` may delay them beyond it."""

_MOVING = {*TIMING_FIELDS, "end_at", "max_runs", "enabled"}
"""Fields of which a change may set another next time, so that what was due does not run."""

_SWITCHES = (CREATED, DELETED, "enabled", "disabled")


@dataclass(frozen=True)
class Waiting:
    """A queue, as a job in it sees it."""

    position: int | None
    """From 1; None if the job is not in it, because a retry or another job is waited for."""
    length: int
    workers: Sequence[str]
    """Names of those that listen on it."""


@dataclass(frozen=True)
class Evidence:
    """What was read of a schedule at one moment."""

    id: str
    moment: datetime
    stored: Record | Damaged | Absent
    log: ChangeLog
    runs: Sequence[Run]
    trimmed_until: datetime | None
    """Runs that ended before this moment need not be on record; None if all are."""
    records: Sequence[Skip | Failure]
    """Newest first."""
    reigns: Sequence[Reign]
    """Newest first."""
    unknown_jobs: Sequence[tuple[str, datetime]] = ()
    """Ids of jobs of which only this is known, and when they were enqueued."""
    pauses: Sequence[Pause] = ()
    """Those that are on."""
    queues: Mapping[str, Waiting] = field(default_factory=dict)
    """The queues of jobs that wait, by job id."""

    @property
    def zone(self) -> tzinfo | None:
        """Of the schedule; None for the local zone."""
        jobs = [self.stored, *(era.definition for era in self.timeline.eras)]
        return next((job.zone for job in jobs if isinstance(job, Record)), None)

    @property
    def pause(self) -> Pause | None:
        """Because of which the schedule, as it is now, is not enqueued."""
        job = self.stored
        return pause_of(job.queue_name, self.pauses) if isinstance(job, Record) else None

    # Definitions

    @cached_property
    def timeline(self) -> Timeline:
        known = [run.occurrence for run in self.runs if run.cause == SCHEDULE]
        for record in self.records:
            known.append(record.occurrence)
            if isinstance(record, Skip):
                known.append(record.until)
        if isinstance(self.stored, Record):
            known += [self.stored.latest_enqueue_time, self.stored.next_enqueue_time]
        times = [time for time in known if time is not None]
        fields: dict[str, str] = {}
        changed_at = None
        if isinstance(self.stored, Record):
            fields, changed_at = self.stored.loaded_definition() or {}, self.stored.updated_at
        since = self.recorded_since
        timeline = Timeline.of(self.id, self.log, fields, times, since, changed_at)
        return timeline.and_now(self.id, fields, self.moment) if fields else timeline

    @cached_property
    def recorded_since(self) -> datetime | None:
        """When keeping records began, as far as one can tell; None if there is none."""
        times = [reign.since for reign in self.reigns[-1:]]
        times += [change.at for change in self.log.changes[-1:]]
        return min(times, default=None)

    def own_time(self, era: Era, time: datetime) -> datetime:
        """When an occurrence is to be enqueued: not before those that precede it."""
        job = era.definition
        if job is None:
            return time
        own = own_time(job, time)
        recurrence = self.timeline.recurrence(era, time) if job.jitter else None
        earliest = max(era.since, time - timedelta(seconds=job.jitter))
        before = previous(recurrence, time) if recurrence else None
        for _ in range(DELAYED):
            if recurrence is None or before is None or before <= earliest:
                break
            own = max(own, own_time(job, before))
            before = previous(recurrence, before)
        return own

    @cached_property
    def present(self) -> Era:
        """The definition that counts from now on."""
        return self.timeline.present(self.stored if isinstance(self.stored, Record) else None)

    # What was done

    def run_of(self, time: datetime) -> Run | None:
        """The run of an occurrence, the scheduler's own rather than another one."""
        found = [run for run in self.runs if run.occurrence == time]
        return next((run for run in found if run.cause == SCHEDULE), found[0] if found else None)

    @cached_property
    def scheduled_runs(self) -> list[Run]:
        """Oldest first."""
        found = [run for run in self.runs if run.cause == SCHEDULE and run.occurrence is not None]
        return found[::-1]

    def stand_in(self, time: datetime) -> Run | None:
        """The later run that stands for an occurrence."""
        for run in self.scheduled_runs:
            first, last = run.stands_since, run.occurrence
            if first is not None and last is not None and first <= time < last:
                return run
        return None

    def run_in_the_way(self, moment: datetime) -> Run | None:
        """The newest run that had not ended then."""
        for run in self.runs:
            begun = run.enqueued_at is not None and run.enqueued_at < moment
            if begun and (run.ended_at is None or run.ended_at > moment):
                return run
        return None

    def will_be_used_up(self, time: datetime) -> bool:
        """Whether `max_runs` leaves no run for an occurrence that is to come."""
        return will_be_used_up(self.stored, self.pending_since, time)

    def used_up(self, era: Era, time: datetime, own: datetime) -> datetime | None:
        """When the last of `max_runs` was enqueued, if none was left for an occurrence."""
        job = era.definition
        if job is None or job.max_runs is None:
            return None
        finished = self.stored.finished_at if isinstance(self.stored, Record) else None
        if finished is not None and finished <= own:
            return finished
        return last_of_all(self.timeline, self.scheduled_runs, time)

    def skipped_stand_in(self, own: datetime) -> Skip | None:
        """The record of a later occurrence that was skipped when it was to stand for this one."""
        handled = self.handled_at(own)
        for record in self.records:
            if isinstance(record, Skip) and record.at == handled and record.reason == "overlap":
                return record
        return None

    def skip_of(self, era: Era | None, time: datetime) -> Skip | None:
        """The record of an occurrence that was skipped."""
        for record in self.records:
            if isinstance(record, Skip) and record.occurrence <= time <= record.until:
                if time in (record.occurrence, record.until):
                    return record
                recurrence = self.timeline.recurrence(era, time) if era else None
                if recurrence is not None and is_occurrence(recurrence, time):
                    return record
        return None

    @cached_property
    def troubles(self) -> list[Trouble]:
        """Newest first."""
        skips = [each for each in reversed(self.records) if isinstance(each, Skip)]
        return [
            Trouble.of(each, self.scheduled_runs, skips, self.timeline)
            for each in self.records
            if isinstance(each, Failure)
        ]

    def trouble_at(self, time: datetime, own: datetime) -> Trouble | None:
        """Why an occurrence could not be enqueued when it was due."""
        for trouble in self.troubles:
            ended = trouble.until is not None and own >= trouble.until
            if trouble.failure.occurrence <= time and not ended:
                return trouble
        return None

    def handled_at(self, own: datetime) -> datetime | None:
        """When the schedule was first taken up by a pass after this moment."""
        times = [run.enqueued_at for run in self.scheduled_runs]
        times += [record.at for record in self.records]
        return min((time for time in times if time is not None and time >= own), default=None)

    def change_that_took(self, time: datetime, own: datetime) -> LoggedChange | None:
        """The change after which an occurrence that was due was no longer one."""
        return next(
            (each for each in self._changes_before_handled(time, own) if _moves(each)), None
        )

    def last_change_before_handled(self, time: datetime, own: datetime) -> LoggedChange | None:
        """The last change of any kind before the schedule was taken up by a pass again."""
        return max(self._changes_before_handled(time, own), key=lambda c: c.at, default=None)

    def _changes_before_handled(self, time: datetime, own: datetime) -> Iterator[LoggedChange]:
        handled = self.handled_at(own)
        era = self.timeline.before(time)
        for change in self.timeline.changes_from(time):
            is_its_own = era is not None and change is era.begun  # it was due at once
            if not is_its_own and (handled is None or change.at <= handled):
                yield change

    def unknown_job(self, own: datetime, following: datetime | None) -> datetime | None:
        """When a job was enqueued between two occurrences of which only that is known."""
        for _, at in self.unknown_jobs:
            if own - MOMENT <= at and (following is None or at < following):
                return at
        return None

    # What is still to be done

    @cached_property
    def pending_since(self) -> datetime | None:
        """The first occurrence that was not taken up yet."""
        job = self.stored
        if isinstance(job, Record):
            return job.due_time(self.moment) if job.enabled else None
        return None

    # Who led

    def gap_at(self, time: datetime) -> Gap | None:
        """When nobody led at this time, from when to when; None if somebody did."""
        return gap_at(self.reigns, time)

    def leader_at(self, time: datetime) -> Reign | None:
        """Who led."""
        return leader_at(self.reigns, time)

    @property
    def leader(self) -> Reign | None:
        """Who leads now."""
        return next((reign for reign in self.reigns if reign.until is None), None)

    # How far the records go back

    def is_on_record(self, own: datetime) -> bool:
        """Whether a run or a skip from this moment on would be on record."""
        begun = self.recorded_since
        return begun is not None and own >= begun and all(own > at for at in self._horizons())

    def _horizons(self) -> Iterator[datetime]:
        yield self.moment - timedelta(seconds=SKIPS_TTL)
        if len(self.records) >= SKIPS_KEPT:
            yield self.records[-1].at
        if self.trimmed_until is not None:
            yield self.trimmed_until
        if len(self.reigns) >= MAX_REIGNS:
            yield self.reigns[-1].since


def _moves(change: LoggedChange) -> bool:
    return change.what in _SWITCHES or not _MOVING.isdisjoint(change.fields)
