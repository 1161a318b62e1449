"""What a receiver is told: of one cause, with its schedule, its run, and a text for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..quoting import flat
from ..schedule.record import Record
from ..schedule.texts import lossy_text, parse_time
from ..story.runs import Run
from ..timing.cron_times import utc_text
from .texts import TEXTS, Cause

ALARMS = (
    "run_failed",
    "run_recovered",
    "run_too_long",
    "run_unknown",
    "schedule_error",
    "schedule_late",
    "schedule_disabled",
    "leader_changed",
)
"""Kinds of notifications for people."""

PROGRESS = ("run_started", "run_ended")
"""Kinds that every run causes, for systems that watch runs."""

_FACTS = ("number", "kind", "id", "run", "occurrence")
"""Fields of an entry that are no facts."""


@dataclass(frozen=True)
class Notification:
    """What a receiver is told."""

    id: str
    """The same if it is told again."""
    kind: str
    """One of `ALARMS` or `PROGRESS`."""
    at: datetime
    """When its cause was recorded, in UTC."""
    schedule_id: str
    """Empty if it is about no schedule."""
    schedule: Record | None
    """The `RedisCronJob` as it is when this is told; None if it was deleted or cannot be read."""
    occurrence: datetime | None
    """The nominal time of the run; None for a run by hand, or if there is no run."""
    run: Run | None
    """The run that it is about."""
    text: str
    """One or two sentences, with times in UTC."""
    facts: Mapping[str, Any]
    """JSON values by name. Which ones there are depends on the kind."""

    @classmethod
    def of(cls, entry: Entry, schedule: Record | None) -> Notification:
        """What an entry of a stream says. Raises `ValueError` if it cannot be read."""
        fields = entry.fields
        run = Run.from_text(fields["run"]) if "run" in fields else None
        kind, id = fields["kind"], fields["id"]
        if "run" in fields and run is None:
            raise ValueError("the record of its run cannot be read")
        facts = {name: _value(text) for name, text in fields.items() if name not in _FACTS}
        occurrence = parse_time(fields["occurrence"]) if fields.get("occurrence") else None
        if run is not None:
            occurrence = run.occurrence
        text = flat(TEXTS[kind](Cause(id, entry.at, occurrence, run, facts)))
        return cls(entry.id, kind, entry.at, id, schedule, occurrence, run, text, facts)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values; times as `2026-06-03T05:40:00.000000Z`."""
        return {
            "id": self.id,
            "kind": self.kind,
            "at": _text(self.at),
            "schedule": self.schedule_id or None,
            "function": self.schedule and self.schedule.func_name,
            "queue": self.schedule and self.schedule.queue_name,
            "occurrence": _text(self.occurrence),
            "run": self.run and self.run.to_json(),
            "text": self.text,
            "facts": dict(self.facts),
        }


@dataclass(frozen=True)
class Entry:
    """A notification as it is in its stream."""

    id: str
    fields: Mapping[str, str]

    @classmethod
    def from_reply(cls, reply: Any) -> Entry:
        """Of Redis's reply for an entry."""
        id, items = reply
        texts = iter([lossy_text(item) for item in items])
        return cls(lossy_text(id), dict(zip(texts, texts, strict=True)))

    @property
    def number(self) -> int:
        """One more than that of the entry before it; 0 if it has none."""
        text = self.fields.get("number", "")
        return int(text) if text.isdigit() else 0

    @property
    def at(self) -> datetime:
        """When it was entered."""
        milliseconds = int(self.id.partition("-")[0])
        return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


def _value(text: str) -> Any:
    """A fact: JSON, or a text that is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else utc_text(moment)
