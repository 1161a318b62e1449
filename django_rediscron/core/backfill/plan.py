"""What a backfill is to enqueue: by which definition, which occurrences, and which of them ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..exceptions import InvalidScheduleError, NoSuchJobError
from ..quoting import quoted_id
from ..schedule.record import Record
from ..store.keys import STORY_TTL
from ..store.reading import Absent, Damaged
from ..story.runs import Run
from ..story.why import Evidence
from ..timing.cron_times import utc_text
from ..timing.recurrence import Recurrence
from .note import Note, Order

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Plan:
    """The occurrences of a span. `origin`: one of them, if they are of an interval."""

    order: Order
    schedule: Record
    """The definition that counts."""
    stored: Record
    """The schedule as it is now."""
    recurrence: Recurrence
    ran: frozenset[datetime]
    """Occurrences that ran already, as far as that is on record."""
    unknown_since: datetime | None
    """From here on occurrences may have run without being on record, until `unknown_until`."""
    unknown_until: datetime

    @classmethod
    def of(
        cls, order: Order, evidence: Evidence, in_flight: Sequence[Run], note: Note | None
    ) -> Plan:
        """From all that is on record, and the note of this very backfill if it was begun.

        Raises `NoSuchJobError`, `DamagedScheduleError`, and `InvalidScheduleError` if it cannot be
        known what is to run.
        """
        stored = evidence.stored
        if isinstance(stored, Absent):
            id = quoted_id(evidence.id)
            raise NoSuchJobError(f"there is no schedule {id}; revert it first if it was deleted")
        if isinstance(stored, Damaged):
            raise stored.error()
        _check_span(order, stored, evidence.moment)
        schedule, recurrence = _definition(order, stored, evidence)
        if note is not None and note.origin is not None:
            recurrence = replace(recurrence, origin=note.origin)
        since, until = _off_record(evidence)
        runs = [*evidence.runs, *in_flight]
        ran = frozenset(run.occurrence for run in runs if run.occurrence is not None)
        return cls(order, schedule, stored, recurrence, ran, since, until)

    @property
    def origin(self) -> datetime | None:
        return self.recurrence.origin

    def times(self, position: datetime | None) -> Iterator[datetime]:
        """The occurrences after a position, oldest first; None for all."""
        time = self.recurrence.next(position or self.order.begin - _MOMENT)
        while time is not None and time <= self.order.end:
            yield time
            time = self.recurrence.next(time)

    def is_left_out(self, time: datetime) -> bool:
        """Whether an occurrence gets no job, because it ran already."""
        return time in self.ran and not self.order.again

    def count(self, position: datetime | None) -> int:
        """How many there are after a position, also those that are left out."""
        first = next(self.times(position), None)
        if first is None:
            return 0
        return self.recurrence.count(first, self.recurrence.last(self.order.end, first))

    def count_to_enqueue(self, position: datetime | None) -> int:
        """How many of these get a job."""
        begin = position or self.order.begin - _MOMENT
        known = [time for time in self.ran if begin < time <= self.order.end]
        if self.order.again:
            return self.count(position)
        left_out = [time for time in known if self.recurrence.next(time - _MOMENT) == time]
        return self.count(position) - len(left_out)

    def has_unknown(self, position: datetime | None) -> bool:
        """Whether an occurrence after a position may have run without being on record."""
        if self.order.again:
            return False
        begin = position or self.order.begin - _MOMENT
        if self.unknown_since is not None:
            begin = max(begin, self.unknown_since - _MOMENT)
        first = next(self.times(begin), None)
        return first is not None and first < self.unknown_until


def _check_span(order: Order, stored: Record, moment: datetime) -> None:
    if order.begin > order.end:
        raise InvalidScheduleError("the span ends before it begins")
    for name, time in (("the span must end", order.end), ("the definition must be", order.as_of)):
        if time is not None and time > moment:
            raise InvalidScheduleError(f"{name} in the past, got {utc_text(time)}")
    due = stored.due_time(moment) if stored.enabled else None
    if due is not None and due <= order.end:
        raise InvalidScheduleError(
            f"a scheduler is still to enqueue the occurrences of {quoted_id(stored.id)} from "
            f"{utc_text(due)} on; wait for it, or end the span before"
        )


def _definition(order: Order, stored: Record, evidence: Evidence) -> tuple[Record, Recurrence]:
    if order.as_of is None:
        origin = stored.next_enqueue_time or stored.latest_enqueue_time or stored.created_at
        recurrence = stored.recurrence(origin)
        if not stored.cron and stored.start_at is None and origin is None:
            raise InvalidScheduleError("when its interval began is not on record")
        return stored, recurrence
    asked, timeline = utc_text(order.as_of), evidence.timeline
    era = timeline.before(order.as_of + _MOMENT)
    if era is None:
        known = f": the oldest is from {utc_text(timeline.oldest)}" if timeline.oldest else ""
        raise InvalidScheduleError(f"its definition of {asked} is not on record{known}")
    if not era.fields:
        raise InvalidScheduleError(f"there was no schedule {quoted_id(stored.id)} at {asked}")
    schedule, endless = era.definition, timeline.recurrence(era, order.as_of)
    if schedule is None:
        raise InvalidScheduleError(f"its definition of {asked} cannot be read")
    if endless is None:
        raise InvalidScheduleError(f"when its interval of {asked} began is not on record")
    return schedule, replace(endless, end_at=schedule.end_at)


def _off_record(evidence: Evidence) -> tuple[datetime | None, datetime]:
    """The time in which there may have been runs that are not on record."""
    oldest = evidence.timeline.eras[-1] if evidence.timeline.eras else None
    created = oldest.until if oldest is not None and not oldest.fields else None
    kept_since = evidence.moment - timedelta(seconds=STORY_TTL)
    return created, max(evidence.trimmed_until or kept_since, kept_since)
