"""Earlier definitions of a schedule, written again."""

from __future__ import annotations

from redis import Redis

from ..exceptions import InvalidScheduleError
from ..quoting import quoted, quoted_id
from ..schedule.record import Record
from ..store.actors import acting_as
from ..store.change import REVERTED, Change, new_receipt
from ..store.keys import ORIGIN_FIELDS
from ..store.reading import Absent, Damaged, read_schedules
from ..store.saving import save_changes
from .changes import DELETED, Definition, definition_of, read_log


def revert(
    id: str,
    revision: int,
    connection: Redis,
    *,
    if_version: str | None = None,
    actor: str | None = None,
) -> None:
    """Give a schedule the definition that it had at this revision, as a new change.

    A deleted schedule is created again. The times of runs are not reverted: the next one follows
    from the definition, and from now. If it is defined like that already, nothing is written.
    `revision` is one that `get_changes` lists, or the one before the oldest. `if_version`: only if
    this version is stored. `actor`: see `acting_as`.

    Raises `InvalidScheduleError` if the revision is not on record or is that of a deletion, or if
    the schedule could not run, because its function no longer exists, for example; further
    `ScheduleLockedError`, and `ScheduleChangedError` if somebody changes it meanwhile.
    """
    definition = _definition(id, revision, connection)
    ((found, _),) = read_schedules([id], connection)
    job = Record.from_texts({"id": id, **definition}, connection)
    job.validate()
    change = _change(job, found)
    if if_version is not None:
        change.version = if_version
    if change.fields or change.unset:
        change.what, change.reason = REVERTED, f"to revision {revision}"
        with acting_as(actor):
            save_changes([change], connection)


def _definition(id: str, revision: int, connection: Redis) -> Definition:
    """Without what says who declares it."""
    if type(revision) is not int:
        raise InvalidScheduleError(f"revision must be a whole number, got {quoted(revision)}")
    log = read_log(id, connection)
    definition = definition_of(log, revision)
    if definition is None:
        raise InvalidScheduleError(
            f"revision {revision} of schedule {quoted_id(id)} is not on record; "
            f"its log of changes lists those that are"
        )
    if not definition:
        raise InvalidScheduleError(
            f"schedule {quoted_id(id)} was {DELETED} with revision {revision}; "
            f"name the revision before that"
        )
    return {name: text for name, text in definition.items() if name not in ORIGIN_FIELDS}


def _change(job: Record, found: Record | Damaged | Absent) -> Change:
    """The fields that differ from what is stored, and only if that is still so."""
    if isinstance(found, Record):
        job.count_changes_from(found)
        return Change.of(job, "updated", found.version)
    if isinstance(found, Damaged) and found.refused:
        raise found.error()
    change = Change.define(job)
    if isinstance(found, Absent):
        change.version, change.receipt = "", new_receipt()
    return change
