"""Occurrences that did not run, or could not be enqueued: the records that a pass leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis

from ..schedule.missed import Failure, Skip
from ..store.connections import bytes_client
from ..store.keys import skipped_key


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
