"""Hashes of schedules, many at a time, as they stand in Redis."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis import Redis

from .exceptions import DamagedScheduleError, UnreadableScheduleError
from .job import RedisCronJob
from .quoting import cut, quoted_id
from .scripts import READ, run_script, run_scripts
from .steps import Step, in_steps, no_step

BATCH = 200
"""Hashes in one script call: Redis is held for a few milliseconds."""

CALLS = 20
"""Script calls in one round trip, where all that is stored is read."""

Fields = dict[str, str]
_Restore = Callable[[Fields, Redis], RedisCronJob]


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
    refused: bool = False
    """Whether Redis refused to read it, so that nothing is known to be wrong with the schedule."""

    def error(self) -> DamagedScheduleError:
        """As what it is raised."""
        kind = UnreadableScheduleError if self.refused else DamagedScheduleError
        return kind(self.id, self.reason)


def read_schedules(
    ids: Sequence[str | bytes],
    connection: Redis,
    job_class: type[RedisCronJob] = RedisCronJob,
) -> Iterator[tuple[RedisCronJob | Damaged | Absent, Fields]]:
    """For each id what stands under it, and the hash's fields (bytes that are no UTF-8 escaped)."""
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        stored, restore = _parse(run_script(connection, READ, [], part), job_class)
        for id, found in zip(part, stored, strict=True):
            yield _understand(id, found, connection, restore)


class Stored(NamedTuple):
    """What stands under an id, not yet understood."""

    id: str
    fields: Fields
    found: Any
    restore: _Restore

    @property
    def is_absent(self) -> bool:
        """Whether there is neither a hash nor a history."""
        return not isinstance(self.found, (list, str)) and not self.found

    def understand(self, connection: Redis) -> RedisCronJob | Damaged | Absent:
        return _understand(self.id, self.found, connection, self.restore)[0]


def read_stored(ids: Sequence[str], connection: Redis, step: Step = no_step) -> Iterator[Stored]:
    """As `read_schedules`, thousands in one round trip, for who looks closely at few of them."""
    parts = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    for some in in_steps(parts, CALLS, step):
        replies = run_scripts(connection, READ, [([], part) for part in some])
        for part, reply in zip(some, replies, strict=True):
            stored, restore = _parse(reply, RedisCronJob)
            for id, found in zip(part, stored, strict=True):
                yield Stored(id, _fields(found), found, restore)


def _parse(reply: bytes, job_class: type[RedisCronJob]) -> tuple[list[Any], _Restore]:
    try:
        return json.loads(reply.decode()), job_class.from_texts
    except UnicodeDecodeError:
        return json.loads(reply.decode(errors="surrogateescape")), job_class.restore


def _fields(found: Any) -> Fields:
    if not isinstance(found, list):
        return {}
    pairs = iter(found)
    return dict(zip(pairs, pairs, strict=True))


def _understand(
    id: str | bytes, found: Any, connection: Redis, restore: _Restore
) -> tuple[RedisCronJob | Damaged | Absent, Fields]:
    if isinstance(found, list):
        fields = _fields(found)
        return _restored(id, fields, connection, restore), fields
    if isinstance(found, str):
        if "WRONGTYPE" in found:
            return Damaged(_shown(id), f"its key does not hold a hash: {found}"), {}
        return Damaged(_shown(id), f"Redis refuses to read it: {found}", refused=True), {}
    return Absent(bool(found)), {}


def _restored(
    id: str | bytes,
    fields: Fields,
    connection: Redis,
    restore: _Restore,
) -> RedisCronJob | Damaged:
    shown = _shown(id)
    try:
        job = restore(fields, connection)
    except DamagedScheduleError as error:
        return Damaged(shown, error.reason, fields)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        return Damaged(shown, cut(error) or type(error).__name__, fields)
    if job.id != shown:
        return Damaged(shown, f"field 'id' names another schedule: {quoted_id(job.id)}", fields)
    return job


def _shown(id: str | bytes) -> str:
    return id.decode(errors="backslashreplace") if isinstance(id, bytes) else id
