"""Bringing Redis up to what the project declares."""

from __future__ import annotations

from dataclasses import dataclass, field

from redis import Redis

from .core.job import RedisCronJob
from .core.reading import Damaged
from .core.store import define_many, fetch_many
from .declared import Declaration, declarations
from .listing import reaching
from .queues import get_connection
from .servers import same_server

Changes = dict[str, tuple[str, str]]
"""Field of the definition -> what Redis says, what the code says."""


@dataclass
class SyncReport:
    """What a sync did, or would do."""

    created: list[str] = field(default_factory=list)
    updated: dict[str, Changes] = field(default_factory=dict)
    """By id. What could not be read has one change, of the field `damaged`: the reason, to ''."""
    unchanged: int = 0
    elsewhere: list[str] = field(default_factory=list)
    """Ids that were left alone, because their queue lives on another Redis than was asked for."""

    @property
    def differs(self) -> bool:
        """Whether Redis said anything else than the code."""
        return bool(self.created or self.updated)


def sync(queue: str | None = None, *, check: bool = False) -> SyncReport:
    """Write the declared schedules to the Redis of `queue`, or to all of them.

    One that already is as declared is neither written nor announced. `enabled` of a stored one
    stays, unless the declaration gives it. With `check`, nothing is written.

    Raises `UnknownQueueError`, and `UnreachableError` with the address of the Redis that did not
    answer or refused.
    """
    report = SyncReport()
    connection = None if queue is None else get_connection(queue)
    groups = _by_server(declarations(), connection)
    wanted = groups if connection is None else groups[:1]
    for group in wanted:
        with reaching(group.connection):
            _sync_one_server(group, report, check=check)
    for group in groups[len(wanted) :]:
        report.elsewhere += [each.job.id for each in group.declarations]
    return report


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


def _group_of(connection: Redis, groups: list[_Group]) -> _Group:
    for group in groups:
        if same_server(group.connection, connection):
            return group
    groups.append(_Group(connection))
    return groups[-1]


def _sync_one_server(group: _Group, report: SyncReport, *, check: bool) -> None:
    stored = fetch_many([each.job.id for each in group.declarations], group.connection)
    differing = []
    for declaration in group.declarations:
        id = declaration.job.id
        found = stored.get(id)
        changes = {} if found is None else _changes(found, declaration)
        if found is None:
            report.created.append(id)
        elif changes:
            report.updated[id] = changes
        else:
            report.unchanged += 1
            continue
        # What is written becomes a stored schedule with times; a declaration has none.
        differing.append(declaration.job.snapshot())
    if differing and not check:
        define_many(differing, group.connection)


def _changes(found: RedisCronJob | Damaged, declaration: Declaration) -> Changes:
    if isinstance(found, Damaged):
        return {"damaged": (found.reason, "")}
    said = {**found.definition(), "enabled": str(int(found.enabled))}
    asked = {"enabled": said["enabled"], **declaration.fields()}
    names = [*asked, *(name for name in said if name not in asked)]
    return {
        name: (said.get(name, ""), asked.get(name, ""))
        for name in names
        if said.get(name, "") != asked.get(name, "")
    }
