"""Merges what code declares with what people changed, so that neither is lost.

There are three texts of each field: what the code declared last time, what the hash holds, and what
the code declares now. If the hash still holds the first, it gets the third. If not, somebody
changed it: that stays, as an override.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from redis import Redis

from ..exceptions import InvalidScheduleError, NoSuchJobError
from ..quoting import quoted, quoted_id
from ..schedule import codec
from ..schedule.origin import DEFAULTS, ONE_UNIT, Differences, Origin, differences
from ..schedule.record import Record
from ..schedule.texts import load_time
from ..store.change import RESET, SYNCED, Change
from ..store.keys import ORIGIN_FIELDS
from ..store.reading import Absent, Damaged, Fields, read_schedules
from ..store.saving import write_merged
from ..store.scripts import GUARDED_FIELDS
from .declared_schedule import DeclaredSchedule
from .tombstones import Tombstone

ALL = frozenset({"*"})
"""Instead of the names of fields to reset: all that are overridden."""

Expectation = dict[str, Any]
"""What was read of a schedule, for the script that writes to compare."""

CREATED, UPDATED, UNCHANGED, SKIPPED = "created", "updated", "unchanged", "skipped"


@dataclass
class Merge:
    """The result of merging a schedule."""

    outcome: str
    change: Change | None = None
    """What to write; if it is unchanged, only fields of its origin."""
    changes: Differences = field(default_factory=dict)
    """Field -> its text before, its text now."""
    overrides: Differences = field(default_factory=dict)
    """Field -> the text that it keeps, the text of the code."""


def merge(
    found: Record | Damaged | Absent,
    fields: Fields,
    wanted: DeclaredSchedule,
    tombstone: Tombstone | None = None,
    reset: Collection[str] = (),
) -> Merge:
    """Bring what is stored up to what is declared, except what people changed.

    `reset` names fields that are taken from the code anyway. Raises `InvalidScheduleError` if what
    stays and what is new are mutually exclusive.
    """
    if isinstance(found, Record):
        return _merge_stored(found, fields, wanted, tombstone, reset)
    if isinstance(found, Absent) and tombstone is not None and not (wanted.locked or reset):
        return Merge(SKIPPED)
    if isinstance(found, Damaged) and found.refused:
        raise found.error()  # it may be all right, and contain overrides
    job = wanted.job.snapshot()
    # Of a damaged one, `enabled` may still be readable.
    job.enabled_given = not fields or wanted.locked
    change = Change.define(job)
    change.origin_fields = _origin_changes(fields, wanted.origin)
    change.what = RESET if reset else SYNCED
    change.expected = expectation(fields, tombstone, absent=isinstance(found, Absent))
    if isinstance(found, Absent):
        return Merge(CREATED, change)
    return Merge(UPDATED, change, {"damaged": (found.reason, "")})


def merge_untouched(fields: Fields, wanted: DeclaredSchedule) -> Merge | None:
    """As `merge`, for a schedule without changes since it was declared; None for any other.

    Nearly all are like that when a program declares new definitions. This is several times as fast,
    because the fields need not be parsed.
    """
    known = Origin.of(fields)
    base = known.declared if known else None
    if (
        known is None
        or base is None
        or fields.get("id") != wanted.job.id
        or differences(codec.editable(fields), base)
        or "disabled_as_orphan_at" in fields
        or not _has_legible_times(fields)
        or known != replace(wanted.origin, place=known.place, declared_text=known.declared_text)
        or wanted.locked
    ):
        return None
    changes = differences(base, wanted.definition)
    if not changes:
        return None
    taken = {name: code for name, (_, code) in changes.items()}
    change = Change.replace(wanted.job, taken, fields)
    change.origin_fields = _origin_changes(fields, wanted.origin)
    change.what = SYNCED
    change.expected = expectation(fields, None)
    return Merge(UPDATED, change, changes)


def _has_legible_times(fields: Fields) -> bool:
    try:
        for name in ("latest_enqueue_time", "next_enqueue_time"):
            load_time(fields, name)
    except InvalidScheduleError:
        return False
    return True


def _merge_stored(
    found: Record,
    fields: Fields,
    wanted: DeclaredSchedule,
    tombstone: Tombstone | None,
    reset: Collection[str],
) -> Merge:
    known = Origin.of(fields)
    base = known.declared if known else tombstone.declared if tombstone else None
    actual = {**DEFAULTS, **found.just_loaded_definition()}
    differing = differences(actual, wanted.definition)
    kept = set() if base is None or wanted.locked else _overridden(actual, base)
    kept -= set(differing) if reset == ALL else _whole_units(reset)
    overrides = {name: texts for name, texts in differing.items() if name in kept}
    changes = {name: texts for name, texts in differing.items() if name not in kept}
    enabled = actual["enabled"]
    if wanted.locked or "enabled" in reset:
        enabled = wanted.definition["enabled"]
    elif not wanted.orphaned_at_text and _disabled_as_orphan(fields):
        enabled = "1"
    if enabled != actual["enabled"]:
        changes["enabled"] = (actual["enabled"], enabled)
    taken = {name: code for name, (_, code) in changes.items()}
    changes |= _changes_of_origin(known, wanted, base, changes)
    origin_fields = _origin_changes(fields, wanted.origin)
    if not changes and not origin_fields and tombstone is None:
        return Merge(UNCHANGED, None, {}, overrides)
    job = type(found).from_texts({**fields, **taken}, found.connection)
    job.count_changes_from(found)
    change = Change.of(job, "updated")
    change.origin_fields = origin_fields
    change.what = RESET if reset else SYNCED
    change.expected = expectation(fields, tombstone)
    return Merge(UPDATED if changes else UNCHANGED, change, changes, overrides)


def _changes_of_origin(
    known: Origin | None,
    wanted: DeclaredSchedule,
    base: Mapping[str, str] | None,
    changes: Differences,
) -> Differences:
    """Changes of the origin, except of the place."""
    if known is None:
        return {"source": ("runtime", "code")}
    found: Differences = {}
    if known.application != wanted.application:
        found["application"] = (known.application, wanted.application)
    if known.orphaned_at_text and not wanted.orphaned_at_text:
        found["orphaned_at"] = (known.orphaned_at_text, "")
    if known.locked != wanted.locked:
        found["locked"] = (str(int(known.locked)), str(int(wanted.locked)))
    if known.declared_text != wanted.origin.declared_text:
        told, tells = {**DEFAULTS, **(base or {})}, {**DEFAULTS, **wanted.definition}
        for name in DEFAULTS:
            if told[name] != tells[name] and name not in changes:
                found[f"declared {name}"] = (told[name], tells[name])
    return found


def reset_to_code(id: str, names: Collection[str], connection: Redis) -> None:
    """Give these fields of a stored schedule, or all overridden ones, the last declared values.

    Raises `NoSuchJobError`, and `InvalidScheduleError` if no code declares it, or for a name
    that is not a field.
    """
    check_names(names)
    pending = True
    while pending:
        ((found, fields),) = read_schedules([id], connection)
        if isinstance(found, Absent):
            raise NoSuchJobError(f"there is no schedule {quoted_id(id)}")
        known = Origin.of(fields)
        if known is None or known.declared is None:
            raise InvalidScheduleError(
                f"schedule {quoted_id(id)} cannot be reset: no code declares it; "
                f"change or delete it instead"
            )
        job = Record.from_texts({"id": id, **known.declared}, connection)
        wanted = DeclaredSchedule(
            job, known.application, known.place, known.locked, known.orphaned_at_text
        )
        merged = merge(found, fields, wanted, None, frozenset(names) or ALL)
        pending = merged.change is not None and bool(write_merged([merged.change], connection))


def expectation(
    fields: Fields, tombstone: Tombstone | None, *, absent: bool = False
) -> Expectation:
    """What was read, for the script to compare, so that later changes are not overwritten.

    `fields`: those of the hash, empty if there is nothing (`absent`) or a key of another type.
    """
    kind = "hash" if fields else "none" if absent else "other"
    return {
        "kind": kind,
        "fields": {name: _sendable(fields[name]) for name in GUARDED_FIELDS if name in fields},
        "deleted": tombstone.text if tombstone else "",
    }


def _sendable(text: str) -> str | bool:
    """The text, or True for any: bytes that are not UTF-8 cannot be sent, and are replaced."""
    try:
        text.encode()
    except UnicodeError:
        return True
    return text


def check_names(names: Collection[str]) -> None:
    """Raise `InvalidScheduleError` for a name that is not a field of the definition."""
    for name in names:
        if name not in codec.EDITABLE_FIELDS:
            raise InvalidScheduleError(
                f"a schedule has no field {quoted(name)}; it has {', '.join(codec.EDITABLE_FIELDS)}"
            )


def _overridden(actual: Mapping[str, str], base: Mapping[str, str]) -> set[str]:
    """Fields that somebody changed since the last sync."""
    return _whole_units(differences(actual, base))


def _whole_units(names: Collection[str]) -> set[str]:
    """These fields, and those that are only changed together with them."""
    return {*names, *(ONE_UNIT if not set(ONE_UNIT).isdisjoint(names) else ())}


def _disabled_as_orphan(fields: Fields) -> bool:
    """Whether a sync disabled it, and it was not changed since."""
    since = fields.get("disabled_as_orphan_at")
    return bool(since) and since == fields.get("updated_at") and fields.get("enabled") == "0"


def _origin_changes(fields: Fields, origin: Origin) -> dict[str, str | bool]:
    """The fields of the origin to write: field -> text, False to leave it out."""
    wanted = origin.fields()
    return {
        name: wanted.get(name, False)
        for name in ORIGIN_FIELDS
        if fields.get(name, "") != wanted.get(name, "")
        and not (name == "disabled_as_orphan_at" and origin.orphaned_at_text)
    }
