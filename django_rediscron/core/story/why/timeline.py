"""Which definition of a schedule counted when, and which occurrences it had then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from ...schedule.record import Record
from ...store.keys import TIMING_FIELDS
from ...timing.cron_times import FIRST_YEAR, last_cron_time
from ...timing.recurrence import Recurrence
from ...timing.zones import UTC
from ..changes import CREATED, ChangeLog, Definition, LoggedChange

MOMENT = timedelta(microseconds=1)

OUTSIDE = "outside"
"""By a program that keeps no log."""

_EVER = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)

_RESTARTING = {*TIMING_FIELDS, "end_at"}
"""Fields of which a change lets a finished schedule count its runs again."""


@dataclass(frozen=True)
class Era:
    """The time between two changes of a definition."""

    id: str
    fields: Definition
    """Of the hash; empty if there was no schedule."""
    since: datetime
    until: datetime | None
    """None: it goes on."""
    begun: LoggedChange | None = None
    """The change that began it, if that is on record."""
    ended: LoggedChange | None = None

    @cached_property
    def definition(self) -> Record | None:
        """None if there was no schedule, or if it could not be read."""
        try:
            return Record.from_texts({"id": self.id, **self.fields}, None) if self.fields else None
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None

    @property
    def timing(self) -> tuple[str, ...]:
        """When it runs, without its end."""
        return tuple(self.fields.get(name, "") for name in TIMING_FIELDS)

    def restarts_counting(self, *, over: bool) -> bool:
        """Whether its runs are counted from 0 again. `over`: there were as many as may be."""
        if self.begun is None:
            return False
        return self.begun.what == CREATED or (
            over and not _RESTARTING.isdisjoint(self.begun.fields)
        )

    def same_as(self, fields: Definition) -> bool:
        """Whether these fields of a hash are the same definition, defaults left out or not."""
        job = self.definition
        return job is not None and job.loaded_definition() == fields

    def has(self, time: datetime) -> bool:
        """Whether an occurrence at this time follows this definition, not the next one."""
        return self.since < time and (self.until is None or time <= self.until)


@dataclass(frozen=True)
class Timeline:
    """All definitions of a schedule that are on record."""

    eras: Sequence[Era]
    """Newest first, without gaps."""
    known_times: Sequence[datetime] = field(default=())
    """Occurrences that are known to have been some."""

    @classmethod
    def of(
        cls,
        id: str,
        log: ChangeLog,
        fields: Definition,
        known_times: Sequence[datetime],
        recorded_since: datetime | None,
        changed_at: datetime | None,
    ) -> Timeline:
        """From the log of changes or, if there is none, from the hash and its last change.

        `recorded_since`: when keeping records began.
        """
        if log.known is None:
            eras = [Era(id, fields, changed_at, None)] if fields and changed_at else []
            return cls(eras, known_times)
        return cls(list(_eras(id, log, recorded_since)), known_times)

    def and_now(self, id: str, fields: Definition, moment: datetime) -> Timeline:
        """The same with what the hash says now, if that was changed and nobody noticed."""
        newest = self.eras[0] if self.eras else None
        if newest is None or newest.definition is None or newest.same_as(fields):
            return self
        before = newest.definition.loaded_definition() or {}
        names = [name for name in {**before, **fields} if before.get(name) != fields.get(name)]
        differ = {name: (before.get(name), fields.get(name)) for name in names}
        change = LoggedChange(moment, OUTSIDE, OUTSIDE, 0, fields=differ)
        ended = replace(newest, until=moment, ended=change)
        return replace(self, eras=[Era(id, fields, moment, None, change), ended, *self.eras[1:]])

    def before(self, time: datetime) -> Era | None:
        """The definition that an occurrence at this time follows; None if it is not on record.

        A change counts for what comes after it, except that a new interval is due at once.
        """
        for era in self.eras:
            if era.has(time) or self.is_birth(era, time):
                return era
        return None

    def present(self, stored: Record | None) -> Era:
        """The definition that counts from now on, as it is stored."""
        begun = self.eras[0].begun if self.eras else None
        since = (stored and stored.updated_at) or (begun and begun.at) or _EVER
        fields = (stored and stored.loaded_definition()) or {}
        newest = self.eras[0] if self.eras else None
        if newest is not None and newest.until is None and newest.same_as(fields):
            return newest
        return Era(stored.id if stored else "", fields, since, None, begun)

    @property
    def oldest(self) -> datetime | None:
        """From when on definitions are on record."""
        return self.eras[-1].since if self.eras else None

    def disabled_by(self, era: Era) -> tuple[LoggedChange | None, LoggedChange | None]:
        """The changes that disabled and, if it is not now, enabled or deleted the schedule."""
        place = self.eras.index(era) if era in self.eras else 0
        begun, ended = era.begun, era.ended
        for older in self.eras[place + 1 :]:
            if older.fields.get("enabled") != "0":
                break
            begun = older.begun
        for newer in reversed(self.eras[:place]):
            if newer.fields.get("enabled") != "0":
                break
            ended = newer.ended
        return begun, ended

    def disabled_again_by(self, era: Era) -> LoggedChange | None:
        """The last change by then that said anew why and until when the schedule is disabled."""
        place = self.eras.index(era) if era in self.eras else 0
        for older in self.eras[place:]:
            begun = older.begun
            if older.fields.get("enabled") != "0" or begun is None:
                return None
            if begun.what == "disabled":
                return None if "enabled" in begun.fields else begun
        return None

    def made_by(self, change: LoggedChange) -> Era | None:
        """The definition that a change made."""
        return next((era for era in self.eras if era.begun is change), None)

    def is_birth(self, era: Era, time: datetime) -> bool:
        """Whether a new interval, which is due at once, began at this time."""
        if era.since != time or era.begun is None or era.begun.what != CREATED:
            return False
        return bool(era.fields.get("interval")) and not era.fields.get("start_at")

    def changes_from(self, time: datetime) -> Iterator[LoggedChange]:
        """Oldest first."""
        found = [era.begun for era in self.eras if era.begun is not None]
        return (change for change in reversed(found) if change.at >= time)

    # Occurrences

    def recurrence(self, era: Era, near: datetime) -> Recurrence | None:
        """The occurrences of a definition, whatever its end; None if it is not known when they are.

        `near`: the time that is asked about. The rhythm of an interval is that of the occurrence
        that is known next to it.
        """
        job = era.definition
        if job is None:
            return None
        endless = replace(job.recurrence(), end_at=None)
        if job.cron or job.start_at is not None:
            return endless
        origin = self._origin(era, job.interval or 0, near)
        return None if origin is None else replace(endless, origin=origin)

    def _origin(self, era: Era, interval: int, near: datetime) -> datetime | None:
        first = last = era
        for each in self.eras:  # newest first
            if each.timing == era.timing and each.until == first.since:
                first = each
        for each in reversed(self.eras):
            if each.timing == era.timing and each.since == last.until:
                last = each
        known = [
            time
            for time in self.known_times
            if first.since <= time and (last.until is None or time <= last.until)
        ]
        if known:
            return min(known, key=lambda time: abs(time - near))
        if first.begun is None:
            return None
        is_new = first.begun.what == CREATED
        return first.since if is_new else first.since + timedelta(seconds=interval)


def _eras(id: str, log: ChangeLog, recorded_since: datetime | None) -> Iterator[Era]:
    definition, until, ended = log.known or {}, None, None
    for change in log.changes:
        yield Era(id, definition, change.at, until, change, ended)
        definition, until, ended = change.undone(definition), change.at, change
    if until is None or ended is None:
        return
    if not definition:
        yield Era(id, {}, _EVER, until, None, ended)
    elif not log.is_trimmed and recorded_since is not None and recorded_since < until:
        yield Era(id, definition, recorded_since, until, None, ended)


def is_occurrence(recurrence: Recurrence, time: datetime) -> bool:
    """Whether a time is one of its occurrences."""
    return recurrence.next(time - MOMENT) == time


def previous(recurrence: Recurrence, time: datetime) -> datetime | None:
    """The last occurrence before a time, None if there is none."""
    start = recurrence.start_at
    if start is not None and time <= start:
        return None
    if recurrence.cron:
        try:
            found = last_cron_time(recurrence.cron, time - MOMENT, recurrence.zone)
        except LookupError:
            return None
    else:
        origin = start or recurrence.origin or time
        step = timedelta(seconds=recurrence.interval or 1)
        found = origin + (time - MOMENT - origin) // step * step
    return None if start is not None and found < start else found
