"""The schedules that were deleted, for as long as their changes are on record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from ..schedule.texts import lossy_text
from ..store.connections import bytes_client
from ..store.keys import CHANGES_PREFIX, GONE, JOB_PREFIX
from .changes import LoggedChange
from .runs import time_of_score


@dataclass(frozen=True)
class DeletedSchedule:
    """A schedule that was deleted.

    `at`: when that was, or was noticed if another program did it; an aware datetime in UTC, None
    if that cannot be read. `change`: the entry of its log of changes that tells who did it and what
    was deleted, None if that is not on record.
    """

    id: str
    at: datetime | None
    change: LoggedChange | None

    @property
    def func_name(self) -> str:
        """The function that it ran; empty if that is not on record."""
        before, _ = self.change.fields.get("func_name", ("", None)) if self.change else ("", None)
        return before or ""


def count_deleted(connection: Redis) -> int:
    """How many schedules were deleted, about: another program may have created some again."""
    return int(bytes_client(connection).zcard(GONE))


def read_deleted_ids(connection: Redis) -> list[str]:
    """The ids of them all, the latest first."""
    found: Any = bytes_client(connection).zrevrange(GONE, 0, -1)
    return [lossy_text(id) for id in found]


def read_deleted(connection: Redis, start: int = 0, end: int = -1) -> list[DeletedSchedule]:
    """The schedules that were deleted within a year and not created again, the latest first.

    `start` and `end` are positions among them, `end` included, as in Redis.
    """
    client = bytes_client(connection)
    found: Any = client.zrevrange(GONE, start, end, withscores=True)
    with client.pipeline(transaction=False) as pipe:
        for id, _ in found:
            pipe.exists(JOB_PREFIX.encode() + id)
            pipe.lrange(CHANGES_PREFIX.encode() + id, 1, 1)
        replies: list[Any] = pipe.execute(raise_on_error=False)
    return [
        DeletedSchedule(
            lossy_text(id),
            time_of_score(score),
            LoggedChange.from_text(log[0]) if isinstance(log, list) and log else None,
        )
        for (id, score), exists, log in zip(found, replies[::2], replies[1::2], strict=True)
        if exists != 1  # else another program created it again, and nobody has noticed yet
    ]
