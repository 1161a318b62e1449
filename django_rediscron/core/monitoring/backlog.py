"""Schedules that wait for too long, and those in error, counted without reading all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from redis import Redis
from rq.utils import utcparse

from ..quoting import quoted
from ..schedule.origin import CODE
from ..schedule.texts import lossy_text
from ..store.keys import ERRORS, INDEX, JOB_PREFIX
from ..store.pauses import Pause

PAGE, PAGES = 200, 50
"""Hashes read in one round trip, and the most round trips for that."""


@dataclass(frozen=True)
class Backlog:
    """How many schedules are late; which one is due for longest, late or not, and its seconds."""

    late: int = 0
    oldest: str | None = None
    lag: float = 0.0

    def __str__(self) -> str:
        return f"{self.late}, the oldest {quoted(self.oldest)} by {self.lag:.1f} s"


def read_backlog(client: Redis, max_lag: float, paused: Sequence[Pause] = ()) -> Backlog:
    """What is due by the index, the oldest of it confirmed by the hashes.

    Names of RQ's own cron are in the same index, without a hash. By its hash, a schedule may be
    disabled, in error or not yet due; the leader corrects its score in the next pass. What is
    paused is not late. Members
    beyond the first page with a late one are counted by the index only.
    """
    if any(each.queue is None for each in paused):
        return Backlog()
    queues = {(each.queue or "").encode() for each in paused}
    moment = time.time()
    deadline = moment - max_lag
    late = client.zcount(INDEX, "-inf", deadline)
    oldest: tuple[float, bytes] | None = None
    for page in range(PAGES):
        members: Any = client.zrangebyscore(
            INDEX, "-inf", moment, start=page * PAGE, num=PAGE, withscores=True
        )
        hashes = _read_hashes([id for id, _ in members], client)
        for (id, score), fields in zip(members, hashes, strict=True):
            due = _due_time(score, fields, queues)
            if score <= deadline < due:
                late -= 1
            if due <= moment:
                oldest = min(oldest, (due, id)) if oldest else (due, id)
        # Nothing is due before its score in the index, and those that follow have higher scores.
        if len(members) < PAGE or (oldest and oldest[0] <= max(deadline, members[-1][1])):
            break
    if oldest is None:
        return Backlog()
    due, id = oldest
    # Before the epoch there were no schedules, whatever a damaged score in the index says.
    return Backlog(late if due <= deadline else 0, lossy_text(id), moment - max(due, 0.0))


def _due_time(score: float, fields: _Fields | None, paused: Collection[bytes]) -> float:
    """Epoch seconds; infinite if it does not wait to run."""
    if fields is None or fields.last_error or fields.finished_at or fields.enabled == b"0":
        return math.inf
    if fields.queue_name in paused:
        return math.inf
    try:
        return max(score, utcparse((fields.next_enqueue_time or b"").decode()).timestamp())
    except ValueError:  # not a time: the leader enqueues it, or records an error
        return score


@dataclass(frozen=True)
class Failures:
    """How many schedules are in error; one of them, and why."""

    count: int = 0
    first: str | None = None
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.count}, the first {quoted(self.first)}: {self.reason}"


def read_failures(client: Redis, application: str | None = None) -> Failures:
    """The schedules that the leader lists as failed, the first of them confirmed by the hashes.

    With `application`, only those that it declares, all of them confirmed. A program that does not
    maintain this list may have fixed or deleted a schedule.
    """
    count = client.zcard(ERRORS) if application is None else 0
    found = Failures()
    for page in range(PAGES):
        ids: Any = client.zrange(ERRORS, page * PAGE, (page + 1) * PAGE - 1)
        failed = [
            (id, fields.last_error or b"")
            for id, fields in zip(ids, _read_hashes(ids, client), strict=True)
            if fields is not None and fields.is_failed and fields.is_of(application)
        ]
        count += len(failed) if application is not None else len(failed) - len(ids)
        if failed and found.first is None:
            id, reason = failed[0]
            found = Failures(0, lossy_text(id), lossy_text(reason))
        if len(ids) < PAGE or (found.first is not None and application is None):
            break
    return replace(found, count=count) if found.first is not None else found


class _Fields(NamedTuple):
    """The fields of a hash that are needed here."""

    enabled: bytes | None
    next_enqueue_time: bytes | None
    last_error: bytes | None
    finished_at: bytes | None
    source: bytes | None = None
    application: bytes | None = None
    queue_name: bytes | None = None

    @property
    def is_failed(self) -> bool:
        """Whether its state is `error`."""
        return bool(self.last_error and self.enabled != b"0" and not self.finished_at)

    def is_of(self, application: str | None) -> bool:
        """Whether this application declares it; always true for None."""
        declared = self.source == CODE.encode() and self.application == (application or "").encode()
        return application is None or declared


def _read_hashes(ids: Sequence[bytes], client: Redis) -> list[_Fields | None]:
    """For each id; None if there is no hash."""
    with client.pipeline(transaction=False) as pipe:
        for id in ids:
            pipe.hmget(JOB_PREFIX.encode() + id, *_Fields._fields)
        replies = pipe.execute(raise_on_error=False)
    return [_fields(reply) for reply in replies]


def _fields(reply: list[bytes | None] | Exception) -> _Fields | None:
    if isinstance(reply, Exception):
        if "WRONGTYPE" not in str(reply):
            raise reply
        return _Fields(None, None, b"its key does not hold a hash", None)
    return None if not any(value is not None for value in reply) else _Fields(*reply)
