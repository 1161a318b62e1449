"""How far the backfill of a schedule has got.

The note is written in the same transaction as the jobs, so a backfill that was killed goes on with
the first occurrence that has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from ..exceptions import InvalidScheduleError
from ..quoting import quoted_id
from ..schedule.texts import lossy_text, parse_time, time_text
from ..store.connections import bytes_client
from ..store.keys import backfill_key
from ..timing.cron_times import utc_text

NOTE_TTL = 30 * 86400
"""Seconds that a note is kept after the latest progress."""


@dataclass(frozen=True)
class Order:
    """What is to be backfilled; who asks for the same joins in, or goes on after it was killed."""

    begin: datetime
    end: datetime
    """Both are included."""
    as_of: datetime | None = None
    """The definition of this time counts; None for that of today."""
    again: bool = False
    """Whether occurrences that ran already run once more."""

    def fields(self) -> dict[str, str]:
        """The fields of the note."""
        return {
            "from": utc_text(self.begin),
            "to": utc_text(self.end),
            "as_of": time_text(self.as_of),
            "again": "1" if self.again else "",
        }

    def __str__(self) -> str:
        said = f"--from {_short(self.begin)} --to {_short(self.end)}"
        if self.as_of is not None:
            said += f" --as-of {_short(self.as_of)}"
        return f"{said} --again" if self.again else said


def _short(moment: datetime) -> str:
    return utc_text(moment).replace(".000000Z", "Z")


@dataclass(frozen=True)
class Note:
    """A backfill that was begun."""

    order: Order
    begun: str
    """When; tells it from another one of the same order."""
    by: str
    origin: datetime | None
    """An occurrence, from which those of an interval are counted."""
    position: datetime | None
    """The latest occurrence that was dealt with; None at first."""
    enqueued_at: datetime | None
    """When a job was enqueued last."""
    enqueued: int
    ran_already: int
    finished: bool

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Note | None:
        """None if it is not one of ours."""
        try:
            return cls(
                Order(
                    parse_time(fields["from"]),
                    parse_time(fields["to"]),
                    _time(fields, "as_of"),
                    fields.get("again") == "1",
                ),
                fields["begun"],
                fields.get("by", ""),
                _time(fields, "origin"),
                _time(fields, "position"),
                _time(fields, "enqueued_at"),
                int(fields.get("enqueued", 0)),
                int(fields.get("ran_already", 0)),
                "finished_at" in fields,
            )
        except (KeyError, ValueError):
            return None

    def describe(self, id: str) -> str:
        """For those who would begin another one."""
        position = f"at {_short(self.position)}" if self.position else "at its begin"
        return (
            f"a backfill of {quoted_id(id)} ({self.order}) by {self.by} is unfinished, {position}"
        )


def _time(fields: Mapping[str, str], name: str) -> datetime | None:
    return parse_time(fields[name]) if fields.get(name) else None


def read_note(id: str, connection: Redis) -> Note | None:
    """The note of a schedule, if there is one. Raises `InvalidScheduleError` for what is none."""
    key = backfill_key(id)
    stored: Any = bytes_client(connection).hgetall(key)
    fields = {lossy_text(name): lossy_text(value) for name, value in stored.items()}
    note = Note.of(fields)
    if fields and note is None:
        raise InvalidScheduleError(f"the key {key} does not hold a backfill; delete it")
    return note


def write_beginning(pipe: Any, id: str, order: Order, begun: str, by: str, origin: str) -> None:
    """Queue the commands that write a new note in place of an old one."""
    key = backfill_key(id)
    pipe.delete(key)
    pipe.hset(key, mapping={**order.fields(), "begun": begun, "by": by, "origin": origin})
    pipe.expire(key, NOTE_TTL)


def write_progress(
    pipe: Any, id: str, position: datetime, moment: datetime, enqueued: int, ran_already: int
) -> None:
    """Queue the commands that note how many more occurrences were dealt with, up to a position."""
    key = backfill_key(id)
    said = {"position": utc_text(position)}
    if enqueued:
        said["enqueued_at"] = utc_text(moment)
        pipe.hincrby(key, "enqueued", enqueued)
    if ran_already:
        pipe.hincrby(key, "ran_already", ran_already)
    pipe.hset(key, mapping=said)
    pipe.expire(key, NOTE_TTL)


def write_end(pipe: Any, id: str, moment: datetime) -> None:
    """Queue the command that notes that nothing is left."""
    pipe.hset(backfill_key(id), "finished_at", utc_text(moment))
