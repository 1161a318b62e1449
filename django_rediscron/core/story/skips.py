"""Occurrences that did not run, or could not be enqueued: the records that a pass leaves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from ..schedule.missed import ERROR, Skip
from ..schedule.texts import load_object, parse_time
from ..store.connections import bytes_client
from ..store.keys import skipped_key
from ..timing.cron_times import utc_text


@dataclass(frozen=True)
class Failure:
    """An occurrence that could not be enqueued when it was first tried, at `at`, and why.

    It is tried again until the schedule is changed, or is enqueued, or is skipped; those that come
    due until then have no record of their own.
    """

    occurrence: datetime
    at: datetime
    text: str

    @classmethod
    def from_text(cls, text: str | bytes) -> Failure | None:
        """The record that `to_text` made; None for anything else."""
        facts = load_object(text) or {}
        try:
            occurrence, at = parse_time(facts["occurrence"]), parse_time(facts["at"])
        except (KeyError, TypeError, ValueError):
            return None
        if facts.get("reason") != ERROR:
            return None
        return cls(occurrence, at, str(facts.get("text", "")))

    def to_text(self) -> str:
        """The record as JSON; programs that know only skips can read it as one."""
        occurrence, at = utc_text(self.occurrence), utc_text(self.at)
        facts = {"occurrence": occurrence, "until": occurrence, "count": 1, "reason": ERROR}
        return json.dumps({**facts, "at": at, "text": self.text}, separators=(",", ":"))


def read_skips(
    ids: Sequence[str], connection: Redis, count: int = -1
) -> dict[str, list[Skip | Failure]]:
    """The newest `count` records of each of these schedules (-1: all), in one round trip.

    Newest first, also of schedules that were deleted. Invalid records are left out.
    """
    last = count - 1 if count >= 0 else -1
    with bytes_client(connection).pipeline(transaction=False) as pipe:
        for id in ids:
            pipe.lrange(skipped_key(id), 0, last)
        replies = pipe.execute(raise_on_error=False)
    return {id: _records(reply) for id, reply in zip(ids, replies, strict=True)}


def _records(reply: Any) -> list[Skip | Failure]:
    texts = [] if isinstance(reply, Exception) else reply  # a key of another type
    found = (Skip.from_text(text) or Failure.from_text(text) for text in texts)
    return [record for record in found if record is not None]
