"""Hashes of schedules, many at a time, as they stand in Redis."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from redis import Redis

from .exceptions import DamagedScheduleError
from .job import RedisCronJob
from .scripts import READ, run_script

BATCH = 200
"""Hashes in one round trip: Redis is held for a few milliseconds."""

Fields = dict[str, str]


@dataclass(frozen=True)
class Absent:
    """No hash under this id. With a history it is a name of RQ's own cron."""

    has_history: bool


@dataclass(frozen=True)
class Damaged:
    """A schedule that cannot be read, and why."""

    id: str
    reason: str
    fields: Fields | None = None
    """The hash, where it is one."""


def read_schedules(
    ids: Sequence[str | bytes],
    connection: Redis,
    job_class: type[RedisCronJob] = RedisCronJob,
) -> Iterator[tuple[RedisCronJob | Damaged | Absent, Fields]]:
    """For each id what stands under it, and the hash's fields (bytes that are no UTF-8 escaped)."""
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        reply = run_script(connection, READ, [], part)
        restore: Callable[[Fields, Redis], RedisCronJob]
        try:
            text, restore = reply.decode(), job_class.from_texts
        except UnicodeDecodeError:
            text, restore = reply.decode(errors="surrogateescape"), job_class.restore
        for id, found in zip(part, json.loads(text), strict=True):
            if isinstance(found, list):
                fields = dict(zip(found[::2], found[1::2], strict=True))
                yield _restore(id, fields, connection, restore), fields
            elif isinstance(found, str):
                yield Damaged(_shown(id), f"its key does not hold a hash: {found}"), {}
            else:
                yield Absent(bool(found)), {}


def _restore(
    id: str | bytes,
    fields: Fields,
    connection: Redis,
    restore: Callable[[Fields, Redis], RedisCronJob],
) -> RedisCronJob | Damaged:
    shown = _shown(id)
    try:
        job = restore(fields, connection)
    except DamagedScheduleError as error:
        return Damaged(shown, error.reason, fields)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        return Damaged(shown, str(error) or type(error).__name__, fields)
    if job.id != shown:
        return Damaged(shown, f"field 'id' names another schedule: {job.id!r}", fields)
    return job


def _shown(id: str | bytes) -> str:
    return id.decode(errors="backslashreplace") if isinstance(id, bytes) else id
