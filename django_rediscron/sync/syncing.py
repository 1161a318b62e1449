"""Bringing Redis up to what the project declares, and keeping what people changed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping

from redis import Redis
from redis.exceptions import RedisError

from ..conf import conf
from ..core.declared import merging
from ..core.declared.declared_schedule import DeclaredSchedule
from ..core.declared.merging import ALL, Merge
from ..core.declared.tombstones import (
    Tombstone,
    read_tombstones,
    replace_tombstones,
    tombstone_text,
)
from ..core.dispatch.applications import publish
from ..core.exceptions import InvalidScheduleError
from ..core.quoting import quoted_id
from ..core.schedule.origin import Origin
from ..core.schedule.record import Record
from ..core.store.actors import acting_as
from ..core.store.change import Change
from ..core.store.connections import own_client
from ..core.store.creation import create_declared, is_creatable
from ..core.store.reading import read_stored
from ..core.store.rq_queues import get_queue
from ..core.store.saving import write_merged
from ..core.store.scripts import Step, in_steps, no_step
from ..queues import get_connection, queues_on
from ..unreachable import UnreachableError, reaching
from .declarations import declarations
from .groups import Elsewhere, Group, by_server, without_declarations
from .orphans import WRITTEN, OrphanPolicy, ever_declared, treat_orphans
from .report import SyncReport


def sync(
    queue: str | None = None,
    *,
    check: bool = False,
    prune: bool = False,
    disable_orphans: bool = False,
    step: Step = no_step,
) -> SyncReport:
    """Write the declared schedules to the Redis of `queue`, or to all of them.

    Fields that somebody changed since they were declared stay as they are, and so does what
    somebody deleted. One that already is as it should be is neither written nor announced.
    Schedules that this application declared and does not declare any more are flagged as orphans;
    they go on running, unless `prune` deletes or `disable_orphans` disables them. With `check`,
    nothing is written.

    One that is declared on another Redis now is disabled where it was: it is to run once.

    `step` is called again and again meanwhile, and ends the sync there if it raises: see
    `RedisCronScheduler.keep_alive`.

    Raises `UnknownQueueError`, and `UnreachableError` with the address of the Redis that did not
    answer or refused; where there are several, only if none could be used.
    """
    report, unreachable = try_sync(
        queue, check=check, prune=prune, disable_orphans=disable_orphans, step=step
    )
    if unreachable is not None:
        raise unreachable
    return report


def try_sync(
    queue: str | None = None,
    *,
    check: bool = False,
    prune: bool = False,
    disable_orphans: bool = False,
    step: Step = no_step,
) -> tuple[SyncReport, UnreachableError | None]:
    """As `sync`, for who wants the report in any case, and beside it the error that it raises."""
    report = SyncReport(check=check)
    policy = OrphanPolicy(prune=prune, disable=disable_orphans)
    connection = None if queue is None else get_connection(queue)
    groups = by_server(declarations(), connection, report)
    wanted = groups if connection is None else groups[:1]
    for group in wanted:
        try:
            with reaching(group.connection):
                _sync_one_server(group, groups, report, policy, step)
        except UnreachableError as error:
            report.not_synced.append(str(error))
            if len(report.not_synced) == len(wanted):
                return report, error
    for group in without_declarations(groups) if connection is None else []:
        try:
            with reaching(group.connection):
                _sync_one_server(group, groups, report, policy, step)
        except UnreachableError as error:
            report.unreachable.append(str(error))
    for group in groups[len(wanted) :]:
        report.elsewhere += [each.job.id for each in group.declarations]
    return report, None


def reset(id: str, fields: Collection[str] = (), *, check: bool = False) -> SyncReport:
    """Take these fields of one schedule from the code again, or all that are overridden.

    One that was deleted by hand is created again. Nothing else is written. Raises
    `InvalidScheduleError` if this project does not declare it, or for a name that is no field.
    """
    merging.check_names(fields)
    report = SyncReport(check=check)
    for declaration in declarations():
        if declaration.job.id == id:
            group = Group(get_connection(declaration.job.queue_name), [declaration])
            with reaching(group.connection):
                _merge_all(group, report, frozenset(fields) or ALL)
            return report
    raise InvalidScheduleError(
        f"schedule {quoted_id(id)} is not declared by this project, so there is nothing to reset "
        f"it to; RedisCronJob.reset() makes it what other code declared last"
    )


def _sync_one_server(
    found: Group, groups: list[Group], report: SyncReport, policy: OrphanPolicy, step: Step
) -> None:
    # A new leader syncs before its first pass, so nothing here may wait long for Redis.
    group = Group(own_client(found.connection), found.declarations)
    if group.declarations and not report.check:
        queues = queues_on(group.connection)
        publish(conf.APPLICATION, queues, os.environ.get("TZ"), group.connection)
    with acting_as(f"code:{conf.APPLICATION}"):
        _merge_all(group, report, step=step)
        declared = {each.job.id for each in group.declarations}
        ids = [id for id in ever_declared(group.connection, step) if id not in declared]
        treat_orphans(ids, group.connection, report, policy, Elsewhere(found, groups), step)


def _merge_all(
    group: Group, report: SyncReport, reset: Collection[str] = (), step: Step = no_step
) -> None:
    """Bring what is declared up to date; what others change meanwhile is looked at again."""
    wanted = {each.job.id: each.wanted(conf.APPLICATION) for each in group.declarations}
    merges: dict[str, Merge] = {}
    failed: dict[str, Exception] = {}
    queues = _RunnableCheck(group.connection)
    pending = list(wanted)
    while True:
        tombstones = read_tombstones(group.connection)
        new: list[DeclaredSchedule] = []
        changes: list[Change] = []
        for stored in read_stored(pending, group.connection, step):
            want, tombstone = wanted[stored.id], tombstones.get(stored.id)
            usual = tombstone is None and not reset
            try:
                if usual and want.is_met_by(stored.fields):
                    continue
                step()  # functions are imported, which may take long
                if usual and stored.is_absent and is_creatable(want.job):
                    queues.check(want.job, want.definition)
                    new.append(want)
                    merges[stored.id] = Merge(merging.CREATED)
                    continue
                merge = merging.merge_untouched(stored.fields, want) if usual else None
                if merge is None:
                    found = stored.understand(group.connection)
                    merge = merging.merge(found, stored.fields, want, tombstone, reset)
                if merge.change is not None:
                    queues.check(merge.change.job, merge.change.fields)
            except (RedisError, OSError):
                raise
            except Exception as error:  # the functions and the classes of queues are anybody's code
                failed[stored.id] = error
                continue
            merges[stored.id] = merge
            if merge.change is not None:
                changes.append(merge.change)
        pending = [] if report.check else _write(new, changes, group.connection, failed, step)
        if not pending:
            break
        for id in pending:
            del merges[id]
    for id, reason in failed.items():
        merges.pop(id, None)
        report.fail(id, reason, wanted[id].place)
    if not (report.check or reset):
        _keep_tombstones(tombstones.values(), wanted, merges, group.connection)
    _record(report, len(wanted) - len(failed), merges)


def _write(
    new: list[DeclaredSchedule],
    changes: list[Change],
    connection: Redis,
    failed: dict[str, Exception],
    step: Step,
) -> list[str]:
    """Write them all, but for those that cannot be written; returns what must be judged again."""
    created: set[str] = set()
    refused: list[Change] = []
    try:
        for some in in_steps(new, WRITTEN, step):
            created |= create_declared([(one.job, one.origin) for one in some], connection)
        for each in in_steps(changes, WRITTEN, step):
            refused += write_merged(each, connection)
    except (RedisError, OSError):
        raise
    except Exception as error:
        ids = [*(want.job.id for want in new), *(change.job.id for change in changes)]
        if len(ids) == 1:
            failed[ids[0]] = error
            return []
        # One of them. Those that were written already are refused now, and found as they should be.
        alone = [*(([want], []) for want in new), *(([], [change]) for change in changes)]
        return [id for one in alone for id in _write(*one, connection, failed, step)]
    left = [want.job.id for want in new if want.job.id not in created]
    return left + [change.job.id for change in refused]


class _RunnableCheck:
    """What no other schedule's sync is to suffer from: functions and queues that are not there."""

    def __init__(self, connection: Redis) -> None:
        self._connection = connection
        self._known: set[str] = set()

    def check(self, job: Record, fields: Mapping[str, str]) -> None:
        """Raise `InvalidScheduleError` for what a worker could not run of these fields."""
        job.import_functions(fields)
        name = fields.get("queue_name")
        if name is not None and name not in self._known:
            get_queue(name, self._connection)
            self._known.add(name)


def _keep_tombstones(
    tombstones: Iterable[Tombstone],
    wanted: dict[str, DeclaredSchedule],
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
    report.unchanged += count - changed
