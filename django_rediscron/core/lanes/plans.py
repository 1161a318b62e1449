"""When schedules run: of thousands at once, and without walking through their occurrences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..schedule.texts import parse_number, parse_time
from ..timing.cron_expression import parse
from ..timing.cron_times import occurrence_delay
from ..timing.recurrence import Recurrence
from ..timing.zones import find_zone

FIELDS = (
    *("queue_name", "enabled", "cron", "interval", "timezone", "jitter", "created_at"),
    *("next_enqueue_time", "latest_enqueue_time", "finished_at", "disabled_until"),
    *("start_at", "end_at", "max_runs", "runs"),
)
"""The fields of a schedule's hash that a plan is made of."""

MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Stretch:
    """Occurrences in a row: the nominal times of the first and the last, and their number."""

    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True)
class Plan:
    """When a schedule runs."""

    id: str
    queue_name: str
    recurrence: Recurrence | None
    """None if its hash cannot be read, or if nothing is left to run."""
    due: datetime | None = None
    """Its next occurrence or, while it is disabled, what would be that."""
    created_at: datetime | None = None
    enabled: bool = True
    enabled_from: datetime | None = None
    """When the leader is to enable it."""
    left: float = math.inf
    """How many runs are left."""
    jitter: float = 0.0

    @classmethod
    def from_texts(cls, row: Sequence[str], moment: datetime) -> Plan:
        """That of an id followed by the values of `FIELDS`."""
        id, *texts = row
        known = dict(zip(FIELDS, texts, strict=True))
        try:
            return cls._read(id, known, moment)
        except (ValueError, OverflowError):  # of a zone, a number, a time or an expression, too
            return cls(id, known["queue_name"], None)

    @classmethod
    def _read(cls, id: str, known: dict[str, str], moment: datetime) -> Plan:
        cron, interval = known["cron"], int(known["interval"] or 0)
        if cron:
            parse(cron)
        elif interval <= 0:
            raise ValueError("it has neither an interval nor a cron expression")
        start_at, end_at = _time(known["start_at"]), _time(known["end_at"])
        following, latest = _time(known["next_enqueue_time"]), _time(known["latest_enqueue_time"])
        zone = find_zone(known["timezone"]) if known["timezone"] else None
        recurrence = Recurrence(interval, cron, zone, start_at, end_at, following or latest)
        runs = int(known["runs"] or 0)
        left = int(known["max_runs"]) - runs if known["max_runs"] else math.inf
        due = following or recurrence.first(moment, latest, retimed=False)
        if recurrence.origin is None:
            recurrence = replace(recurrence, origin=due)
        return cls(
            id,
            known["queue_name"],
            recurrence if due is not None and left > 0 and not known["finished_at"] else None,
            due,
            _time(known["created_at"]),
            known["enabled"] != "0",
            _time(known["disabled_until"]),
            left,
            parse_number(known["jitter"]) if known["jitter"] else 0.0,
        )

    def own_time(self, occurrence: datetime) -> datetime:
        """When an occurrence is to be enqueued: its nominal time plus its delay."""
        return occurrence + timedelta(seconds=occurrence_delay(self.id, occurrence, self.jitter))

    def between(self, low: datetime, high: datetime) -> Stretch | None:
        """The occurrences from the due one on that are after `low` and not after `high`."""
        if self.recurrence is None or self.due is None or self.due > high:
            return None
        first = self.due if self.due > low else self.recurrence.next(low)
        found = _from(self.recurrence, first, high)
        if found is None or self.left == math.inf:
            return found
        before = _from(self.recurrence, self.due, found.first - MOMENT)
        left = int(self.left) - (before.count if before else 0)
        if left >= found.count:
            return found
        if left <= 0:
            return None
        last = self.recurrence.back(found.last, found.count - left + 1, found.first)
        return Stretch(found.first, last, left)

    def walk(self, found: Stretch) -> Iterable[datetime]:
        """Each of these occurrences; for few."""
        time: datetime | None = found.first
        while self.recurrence is not None and time is not None and time <= found.last:
            yield time
            time = self.recurrence.next(time)


def stretch(recurrence: Recurrence, low: datetime, high: datetime) -> Stretch | None:
    """All occurrences after `low` and not after `high`, by arithmetic however many they are."""
    return _from(recurrence, recurrence.next(low), high)


def _from(recurrence: Recurrence, first: datetime | None, high: datetime) -> Stretch | None:
    if first is None or first > high:
        return None
    following = recurrence.next(first)
    if following is None or following > high:
        return Stretch(first, first, 1)
    last = recurrence.last(high, first)
    return Stretch(first, last, recurrence.count(first, last))


def _time(text: str) -> datetime | None:
    return parse_time(text) if text else None
