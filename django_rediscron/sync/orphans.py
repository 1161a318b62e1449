"""Schedules in Redis that this application declared, and does not declare any more."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from redis import Redis
from rq.utils import as_text

from ..conf import conf
from ..core.declared.merging import Expectation, Merge, expectation
from ..core.declared.orphans import delete_orphans, mark_orphan
from ..core.declared.tombstones import read_tombstones
from ..core.schedule.origin import Origin
from ..core.store.change import Change
from ..core.store.keys import DISABLED, INDEX, INDEXED, JOB_PREFIX, LAST_UPDATE
from ..core.store.listing import scan_ids
from ..core.store.reading import read_stored
from ..core.store.saving import write_merged
from ..core.store.scripts import Script, Step, in_steps, no_step, run_scripts
from .groups import Elsewhere
from .report import SyncReport

PAGE = 1000
"""Members of an index that are searched in one step of Redis: a millisecond or two."""

PAGES = 20
"""Pages in one round trip."""

WRITTEN = 5000
"""Changes or deletions in one round trip, in which others get their turn."""

DECLARED = Script("declared", JOB_PREFIX=JOB_PREFIX)


@dataclass(frozen=True)
class OrphanPolicy:
    """What a sync does with orphans beside flagging them."""

    prune: bool = False
    disable: bool = False


def add_orphan_arguments(parser: ArgumentParser) -> None:
    """Both fields, for the commands that sync."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--prune",
        action="store_true",
        help="delete the schedules that this project declared and does not declare any more",
    )
    group.add_argument(
        "--disable-orphans", action="store_true", help="disable them instead; without: flag them"
    )


def treat_orphans(
    ids: Iterable[str],
    connection: Redis,
    report: SyncReport,
    policy: OrphanPolicy,
    elsewhere: Elsewhere,
    step: Step = no_step,
) -> None:
    """Flag, disable or delete what is no longer declared, or on another Redis."""
    found: dict[str, Merge] = {}
    pending = list(dict.fromkeys(ids))
    while pending:
        tombstones = read_tombstones(connection)
        changes: list[Change] = []
        doomed: dict[str, Expectation] = {}
        for stored in read_stored(pending, connection, step):
            found.pop(stored.id, None)
            origin = Origin.of(stored.fields)
            if origin is None or origin.application != conf.APPLICATION:
                continue  # deleted or declared elsewhere meanwhile
            job, tombstone = stored.understand(connection), tombstones.get(stored.id)
            disable = policy.disable or stored.id in elsewhere
            merge = mark_orphan(job, stored.fields, tombstone, disable=disable)
            found[stored.id] = merge
            if policy.prune:
                doomed[stored.id] = expectation(stored.fields, tombstone)
            elif merge.change is not None:
                changes.append(merge.change)
        if report.check:
            break
        pending = []
        for some in in_steps(changes, WRITTEN, step):
            pending += [change.job.id for change in write_merged(some, connection)]
        for ids in in_steps(list(doomed), WRITTEN, step):
            pending += delete_orphans({id: doomed[id] for id in ids}, connection)
    report.moved += [id for id in found if id in elsewhere]
    if policy.prune:
        report.pruned += found
        return
    report.orphans += found
    report.orphaned += [id for id, each in found.items() if "orphaned_at" in each.changes]
    report.disabled += [id for id, each in found.items() if "enabled" in each.changes]


def ever_declared(connection: Redis, step: Step = no_step) -> Iterator[str]:
    """Ids of all stored schedules that this application declared, and perhaps of others."""
    with connection.pipeline(transaction=False) as pipe:
        pipe.mget(INDEXED, LAST_UPDATE)
        pipe.zcard(INDEX)
        pipe.zcard(DISABLED)
        (indexed, updated), *sizes = pipe.execute()
    if indexed != updated:
        # Somebody changed one who does not keep our indexes: a scheduler mends them, not a sync.
        yield from scan_ids(connection, step)
    for index, size in zip((INDEX, DISABLED), sizes, strict=True):
        # A page moves where members come and go meanwhile; the next sync finds what is missed.
        ranks = ((start, start + PAGE - 1) for start in range(0, size, PAGE))
        calls = [([index], [*each, conf.APPLICATION]) for each in ranks]
        for some in in_steps(calls, PAGES, step):
            for reply in run_scripts(connection, DECLARED, some):
                yield from map(as_text, reply)
