"""Reading the hashes of schedules, many at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis import Redis

from ..exceptions import DamagedScheduleError, UnreadableScheduleError
from ..quoting import cut, quoted_id
from ..schedule.checks import ADVICE, MAX_BYTES
from ..schedule.record import Record
from ..schedule.texts import lossy_text
from .keys import HISTORY_SUFFIX, JOB_PREFIX
from .scripts import (
    CALL_BYTES,
    LIGHT_BYTES,
    Script,
    Step,
    in_steps,
    no_step,
    run_script,
    run_scripts,
)

BATCH = 200
"""Hashes in one script call: it blocks Redis for a few milliseconds."""

CALLS = 20
"""Script calls in one round trip, if everything stored is read."""

_job_class: type[Record] = Record


def restore_as(job_class: type[Record]) -> None:
    """Set the class of schedules that are read; it is defined on a floor above this one."""
    global _job_class  # noqa: PLW0603
    _job_class = job_class


_LATER = 2
"""The script's reply for a hash that did not fit."""

LONG_FIELDS = ("args", "kwargs", "meta", "declared", "description", "webhooks")
SHORT_FIELDS = (
    *("id", "func_name", "queue_name", "interval", "cron", "timezone", "enabled", "revision"),
    *("created_at", "updated_at", "latest_enqueue_time", "next_enqueue_time", "finished_at"),
    *("last_error", "last_error_at", "source", "application"),
)
SHORT_BYTES = 1000
"""Of a schedule that is too large, only these fields are read, if they are shorter than this."""

READ = Script(
    "read",
    JOB_PREFIX=JOB_PREFIX,
    HISTORY_SUFFIX=HISTORY_SUFFIX,
    LONG_FIELDS=LONG_FIELDS,
    SHORT_FIELDS=SHORT_FIELDS,
    SHORT_BYTES=SHORT_BYTES,
    LIGHT_BYTES=LIGHT_BYTES,
    MAX_BYTES=MAX_BYTES,
)

Fields = dict[str, str]
_Restore = Callable[[Fields, Redis], Record]
_HowToRestore = Callable[[type[Record]], _Restore]


@dataclass(frozen=True)
class Absent:
    """There is no hash under this id. If there is a history, it is a name of RQ's own cron."""

    has_history: bool


@dataclass(frozen=True)
class Damaged:
    """A schedule that cannot be read, and why."""

    id: str
    reason: str
    fields: Fields | None = None
    """The hash, if there is one."""
    is_oversized: bool = False
    """Whether it is too large, so that only short fields were read."""
    refused: bool = False
    """Whether Redis refused to read it; the schedule itself may be all right."""

    def error(self) -> DamagedScheduleError:
        """The exception to raise for it."""
        kind = UnreadableScheduleError if self.refused else DamagedScheduleError
        return kind(self.id, self.reason)


Read = tuple["Record | Damaged | Absent", Fields]


def _from_texts(job_class: type[Record]) -> _Restore:
    return job_class.from_texts


def _from_any(job_class: type[Record]) -> _Restore:
    return job_class.restore


def read_schedules(
    ids: Sequence[str | bytes],
    connection: Redis,
    job_class: type[Record] | None = None,
) -> Iterator[Read]:
    """For each id what was found, and the fields of the hash (bytes that are not UTF-8 escaped)."""
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        reply = run_script(connection, READ, [], [CALL_BYTES, *part])
        for id, (found, restore) in zip(part, _all(part, reply, connection), strict=True):
            yield _understand(id, found, connection, restore(job_class or _job_class))


def read_what_fits(
    ids: Sequence[bytes], connection: Redis, call_bytes: int
) -> Iterator[Read | None]:
    """As `read_schedules`, in one round trip.

    None for heavy ones that do not fit; the first of all always fits.
    """
    stored, how = _parse(run_script(connection, READ, [], [call_bytes, *ids]))
    restore = how(_job_class)
    for id, found in zip(ids, stored, strict=True):
        whole = found != _LATER
        yield _understand(id, found, connection, restore) if whole else None


class Stored(NamedTuple):
    """What is stored under an id, not yet parsed."""

    id: str
    fields: Fields
    found: Any
    restore: _Restore

    @property
    def is_absent(self) -> bool:
        """Whether there is neither a hash nor a history."""
        return not isinstance(self.found, (list, str)) and not self.found

    def understand(self, connection: Redis) -> Record | Damaged | Absent:
        return _understand(self.id, self.found, connection, self.restore)[0]


def read_stored(ids: Sequence[str], connection: Redis, step: Step = no_step) -> Iterator[Stored]:
    """As `read_schedules`, thousands in one round trip, for who looks closely at few of them."""
    parts = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    for some in in_steps(parts, CALLS, step):
        replies = run_scripts(connection, READ, [([], [CALL_BYTES, *part]) for part in some])
        for part, reply in zip(some, replies, strict=True):
            for id, (found, restore) in zip(part, _all(part, reply, connection), strict=True):
                yield Stored(id, _fields(found), found, restore(_job_class))


def _all(
    ids: Sequence[str | bytes], reply: bytes, connection: Redis
) -> Iterable[tuple[Any, _HowToRestore]]:
    """What is found under each id: from this reply, and from further ones if it is incomplete."""
    stored, restore = _parse(reply)
    restores = [restore] * len(stored)
    while _LATER in stored:
        left = [number for number, found in enumerate(stored) if found == _LATER]
        arguments = [CALL_BYTES, *(ids[number] for number in left)]
        more, restore = _parse(run_script(connection, READ, [], arguments))
        for number, found in zip(left, more, strict=True):
            stored[number], restores[number] = found, restore
    return zip(stored, restores, strict=True)


def _parse(reply: bytes) -> tuple[list[Any], _HowToRestore]:
    try:
        return json.loads(reply.decode()), _from_texts
    except UnicodeDecodeError:
        return json.loads(reply.decode(errors="surrogateescape")), _from_any


def _fields(found: Any) -> Fields:
    if isinstance(found, dict):
        found = list(found["fields"])
    if not isinstance(found, list):
        return {}
    pairs = iter(found)
    return dict(zip(pairs, pairs, strict=True))


def _understand(
    id: str | bytes, found: Any, connection: Redis, restore: _Restore
) -> tuple[Record | Damaged | Absent, Fields]:
    if isinstance(found, list):
        fields = _fields(found)
        return _restored(id, fields, connection, restore), fields
    if isinstance(found, dict):
        fields = _fields(found)
        reason = (
            f"it holds {found['bytes']:,} bytes, more than the limit of {MAX_BYTES:,}; {ADVICE}"
        )
        return Damaged(lossy_text(id), reason, fields, is_oversized=True), fields
    if isinstance(found, str):
        if "WRONGTYPE" in found:
            return Damaged(lossy_text(id), f"its key does not hold a hash: {found}"), {}
        return Damaged(lossy_text(id), f"Redis refuses to read it: {found}", refused=True), {}
    return Absent(bool(found)), {}


def _restored(
    id: str | bytes,
    fields: Fields,
    connection: Redis,
    restore: _Restore,
) -> Record | Damaged:
    shown = lossy_text(id)
    try:
        job = restore(fields, connection)
    except DamagedScheduleError as error:
        return Damaged(shown, error.reason, fields)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        return Damaged(shown, cut(error) or type(error).__name__, fields)
    if job.id != shown:
        return Damaged(shown, f"field 'id' names another schedule: {quoted_id(job.id)}", fields)
    return job
