"""Bringing Redis up to what the project declares, and keeping what people changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from redis import Redis
from rq.utils import as_text

from .conf import conf
from .core import merging
from .core.change import Change
from .core.connections import own_client
from .core.exceptions import InvalidScheduleError
from .core.keys import DISABLED, INDEX, INDEXED, LAST_UPDATE
from .core.merging import ALL, Expectation, Merge, delete_orphans
from .core.origin import Origin
from .core.queues import get_queue
from .core.reading import read_stored
from .core.saving import write_merged
from .core.scripts import DECLARED, run_scripts
from .core.store import scan_ids
from .core.tombstones import Tombstone, read_tombstones, replace_tombstones, tombstone_text
from .core.wanted import Wanted
from .declared import Declaration, declarations
from .listing import UnreachableError, reaching
from .queues import get_connection, queue_configs
from .servers import other_server, same_server
from .sync_report import SyncReport

PAGE = 1000
"""Members of an index that are searched in one step of Redis: a millisecond or two."""


@dataclass(frozen=True)
class Options:
    """What a sync is to do beside the usual."""

    check: bool = False
    prune: bool = False
    disable_orphans: bool = False


def sync(
    queue: str | None = None,
    *,
    check: bool = False,
    prune: bool = False,
    disable_orphans: bool = False,
) -> SyncReport:
    """Write the declared schedules to the Redis of `queue`, or to all of them.

    Fields that somebody changed since they were declared stay as they are, and so does what
    somebody deleted. One that already is as it should be is neither written nor announced.
    Schedules that this application declared and does not declare any more are flagged as orphans;
    they go on running, unless `prune` deletes or `disable_orphans` disables them. With `check`,
    nothing is written.

    One that is declared on another Redis now is disabled where it was: it is to run once.

    Raises `UnknownQueueError`, and `UnreachableError` with the address of the Redis that did not
    answer or refused; where there are several, only if none could be used.
    """
    report = SyncReport(check=check)
    options = Options(check, prune, disable_orphans)
    connection = None if queue is None else get_connection(queue)
    groups = _by_server(declarations(), connection)
    wanted = groups if connection is None else groups[:1]
    for group in wanted:
        try:
            with reaching(group.connection):
                _sync_one_server(group, groups, report, options)
        except UnreachableError as error:
            report.not_synced.append(str(error))
            if len(report.not_synced) == len(wanted):
                raise
    for group in _without_declarations(groups) if connection is None else []:
        try:
            with reaching(group.connection):
                _sync_one_server(group, groups, report, options)
        except UnreachableError as error:
            report.unreachable.append(str(error))
    for group in groups[len(wanted) :]:
        report.elsewhere += [each.job.id for each in group.declarations]
    return report


def reset(id: str, fields: Collection[str] = (), *, check: bool = False) -> SyncReport:
    """Take these fields of one schedule from the code again, or all that are overridden.

    One that was deleted by hand is created again. Nothing else is written. Raises
    `InvalidScheduleError` where this project does not declare it, or for a name that is no field.
    """
    merging.check_names(fields)
    report = SyncReport(check=check)
    for declaration in declarations():
        if declaration.job.id == id:
            group = _Group(get_connection(declaration.job.queue_name), [declaration])
            with reaching(group.connection):
                _merge_all(group, report, Options(check), frozenset(fields) or ALL)
            return report
    raise InvalidScheduleError(
        f"schedule {id!r} is not declared by this project, so there is nothing to reset it to; "
        f"RedisCronJob.reset() makes it what other code declared last"
    )


@dataclass
class _Group:
    """Declarations whose queues live on one Redis."""

    connection: Redis
    declarations: list[Declaration] = field(default_factory=list)


def _by_server(declared: list[Declaration], first: Redis | None) -> list[_Group]:
    """What belongs to `first` comes first, even where that is nothing."""
    groups = [] if first is None else [_Group(first)]
    of_queue: dict[str, _Group] = {}
    for declaration in declared:
        name = declaration.job.queue_name
        if name not in of_queue:
            of_queue[name] = _group_of(get_connection(name), groups)
        of_queue[name].declarations.append(declaration)
    return groups


def _without_declarations(groups: list[_Group]) -> list[_Group]:
    """The other servers of `RQ_QUEUES`: something may have been declared there before."""
    known = list(groups)
    for name in queue_configs():
        try:
            connection = get_connection(name)
        except Exception:  # an incomplete entry: whoever uses the queue is told what it lacks
            continue
        _group_of(connection, known)
    return known[len(groups) :]


def _group_of(connection: Redis, groups: list[_Group]) -> _Group:
    for group in groups:
        if same_server(group.connection, connection):
            return group
    groups.append(_Group(connection))
    return groups[-1]


def _sync_one_server(
    found: _Group, groups: list[_Group], report: SyncReport, options: Options
) -> None:
    # A new leader syncs before its first pass, so nothing here may wait long for Redis.
    group = _Group(own_client(found.connection), found.declarations)
    _merge_all(group, report, options)
    declared = {each.job.id for each in group.declarations}
    ids = [id for id in _ever_declared(group.connection) if id not in declared]
    _orphan_all(ids, group.connection, report, options, _Elsewhere(found, groups))


class _Elsewhere:
    """What this application declares on other servers."""

    def __init__(self, here: _Group, groups: list[_Group]) -> None:
        self._here = here.connection
        self._groups = {
            declaration.job.id: group.connection
            for group in groups
            if group is not here
            for declaration in group.declarations
        }

    def __contains__(self, id: str) -> bool:
        connection = self._groups.get(id)
        return connection is not None and other_server(self._here, connection)


# Declared schedules


def _merge_all(
    group: _Group, report: SyncReport, options: Options, reset: Collection[str] = ()
) -> None:
    """Bring what is declared up to date; what others change meanwhile is looked at again."""
    application = conf.APPLICATION
    wanted = {each.job.id: each.wanted(application) for each in group.declarations}
    merges: dict[str, Merge] = {}
    queues = _Queues(group.connection)
    pending = list(wanted)
    while True:
        tombstones = read_tombstones(group.connection)
        changes: list[Change] = []
        for stored in read_stored(pending, group.connection):
            want, tombstone = wanted[stored.id], tombstones.get(stored.id)
            if tombstone is None and not reset and want.is_met_by(stored.fields):
                continue
            try:
                found = stored.understand(group.connection)
                merge = merging.merge(found, stored.fields, want, tombstone, reset)
                queues.check(merge.change)
            except ValueError as error:
                report.failed[stored.id] = f"{error} (declared at {want.place})"
                continue
            merges[stored.id] = merge
            if merge.change is not None:
                changes.append(merge.change)
        refused = [] if options.check else write_merged(changes, group.connection)
        pending = [change.job.id for change in refused]
        if not pending:
            break
        for id in pending:
            del merges[id]
    if not (options.check or reset):
        _keep_tombstones(tombstones.values(), wanted, merges, group.connection)
    _record(report, len(wanted), merges)


class _Queues:
    """What no other schedule's sync is to suffer from: functions and queues that are not there."""

    def __init__(self, connection: Redis) -> None:
        self._connection = connection
        self._known: set[str] = set()

    def check(self, change: Change | None) -> None:
        """Raise `InvalidScheduleError` for what a worker could not run."""
        fields = change.fields if change else {}
        if change is not None:
            change.job.import_functions(fields)
        name = fields.get("queue_name")
        if name is not None and name not in self._known:
            get_queue(name, self._connection)
            self._known.add(name)


def _keep_tombstones(
    tombstones: Iterable[Tombstone],
    wanted: dict[str, Wanted],
    merges: dict[str, Merge],
    connection: Redis,
) -> None:
    """What the code says now of those it declares; none of what it does not declare any more."""
    replacements: dict[Tombstone, str] = {}
    for stone in tombstones:
        want = wanted.get(stone.id)
        if want is None:
            if stone.application == conf.APPLICATION:
                replacements[stone] = ""
        elif stone.id in merges and merges[stone.id].outcome == merging.SKIPPED:
            current = Origin(want.application, want.place, want.origin.declared_text)
            if stone.origin != current:
                replacements[stone] = tombstone_text(current)
    replace_tombstones(replacements, connection)


def _record(report: SyncReport, count: int, merges: dict[str, Merge]) -> None:
    changed = 0
    for id, merge in merges.items():
        if merge.outcome == merging.CREATED:
            report.created.append(id)
        elif merge.outcome == merging.UPDATED:
            report.updated[id] = merge.changes
        elif merge.outcome == merging.SKIPPED:
            report.deleted.append(id)
        changed += merge.outcome != merging.UNCHANGED
        if merge.overrides:
            report.overridden[id] = merge.overrides
    report.unchanged += count - changed - len(report.failed)


# Orphans


def _ever_declared(connection: Redis) -> Iterator[str]:
    """Ids of all stored schedules that this application declared, and perhaps of others."""
    with connection.pipeline(transaction=False) as pipe:
        pipe.mget(INDEXED, LAST_UPDATE)
        pipe.zcard(INDEX)
        pipe.zcard(DISABLED)
        (indexed, updated), *sizes = pipe.execute()
    if indexed != updated:
        # Somebody changed one who does not keep our indexes: a scheduler mends them, not a sync.
        yield from scan_ids(connection)
    for index, size in zip((INDEX, DISABLED), sizes, strict=True):
        # A page moves where members come and go meanwhile; the next sync finds what is missed.
        ranks = ((start, start + PAGE - 1) for start in range(0, size, PAGE))
        calls = [([index], [*each, conf.APPLICATION]) for each in ranks]
        for reply in run_scripts(connection, DECLARED, calls):
            yield from map(as_text, reply)


def _orphan_all(
    ids: Iterable[str],
    connection: Redis,
    report: SyncReport,
    options: Options,
    elsewhere: _Elsewhere,
) -> None:
    """Flag, disable or delete what is not declared any more, or on another Redis."""
    found: dict[str, Merge] = {}
    pending = list(dict.fromkeys(ids))
    while pending:
        tombstones = read_tombstones(connection)
        changes: list[Change] = []
        doomed: dict[str, Expectation] = {}
        for stored in read_stored(pending, connection):
            found.pop(stored.id, None)
            origin = Origin.of(stored.fields)
            if origin is None or origin.application != conf.APPLICATION:
                continue  # deleted or declared elsewhere meanwhile
            job, tombstone = stored.understand(connection), tombstones.get(stored.id)
            disable = options.disable_orphans or stored.id in elsewhere
            merge = merging.orphan(job, stored.fields, tombstone, disable=disable)
            found[stored.id] = merge
            if options.prune:
                doomed[stored.id] = merging.expectation(job, stored.fields, tombstone)
            elif merge.change is not None:
                changes.append(merge.change)
        if options.check:
            break
        pending = [change.job.id for change in write_merged(changes, connection)]
        pending += delete_orphans(doomed, connection)
    report.moved += [id for id in found if id in elsewhere]
    if options.prune:
        report.pruned += found
        return
    report.orphans += found
    report.orphaned += [id for id, each in found.items() if "orphaned_at" in each.changes]
    report.disabled += [id for id, each in found.items() if "enabled" in each.changes]
