"""Schedules that their application no longer declares."""

from __future__ import annotations

import json
from collections.abc import Mapping

from redis import Redis

from ..schedule.origin import Differences
from ..schedule.record import Record
from ..store.change import DISABLED, NO_LONGER_DECLARED, SYNCED, Change
from ..store.keys import job_key
from ..store.reading import Absent, Damaged, Fields
from ..store.saving import BATCH, DELETE, delete_arguments
from ..store.scripts import CHANGES_KEYS, run_scripts
from .merging import UNCHANGED, UPDATED, Expectation, Merge, expectation
from .tombstones import Tombstone


def mark_orphan(
    found: Record | Damaged | Absent,
    fields: Fields,
    tombstone: Tombstone | None,
    *,
    disable: bool,
) -> Merge:
    """What to change of a schedule that its application no longer declares."""
    if not isinstance(found, Record):
        return Merge(UNCHANGED)  # it does not run
    changes: Differences = {}
    origin_fields: dict[str, str | bool] = {}
    change = Change.of(found, "updated")
    if "orphaned_at" not in fields:
        changes["orphaned_at"] = ("", "now")
        origin_fields = {"orphaned_at": True, "locked": False}
    if disable and found.enabled:
        changes["enabled"] = ("1", "0")
        origin_fields["disabled_as_orphan_at"] = True
        change = Change.switch(found, False)
        change.what = DISABLED
    change.origin_fields = origin_fields
    change.what, change.reason = change.what or SYNCED, NO_LONGER_DECLARED
    change.expected = expectation(fields, tombstone)
    return Merge(UPDATED, change, changes) if changes else Merge(UNCHANGED)


def delete_orphans(doomed: Mapping[str, Expectation], connection: Redis) -> list[str]:
    """Delete schedules that are as expected, in one round trip; returns the ids of the others."""
    ids = list(doomed)
    parts = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    calls = [
        (
            [*CHANGES_KEYS, *map(job_key, part)],
            delete_arguments(json.dumps([doomed[id] for id in part]), part),
        )
        for part in parts
    ]
    replies = run_scripts(connection, DELETE, calls)
    return [
        id
        for part, outcomes in zip(parts, replies, strict=True)
        for id, outcome in zip(part, outcomes, strict=True)
        if outcome == b"changed"
    ]
