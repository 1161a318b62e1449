"""The declared schedules, by the Redis that they live on."""

from __future__ import annotations

from dataclasses import dataclass, field

from redis import Redis

from ..core.exceptions import UnknownQueueError
from ..core.store.connections import other_server, same_server
from ..queues import connections, get_connection
from .declarations import Declaration
from .report import SyncReport


@dataclass
class Group:
    """Declarations whose queues live on one Redis."""

    connection: Redis
    declarations: list[Declaration] = field(default_factory=list)


def by_server(declared: list[Declaration], first: Redis | None, report: SyncReport) -> list[Group]:
    """What belongs to `first` comes first, even if that is nothing.

    Declarations whose queue leads to no Redis are entered in `report` as failed.
    """
    groups = [] if first is None else [Group(first)]
    of_queue: dict[str, Group | UnknownQueueError] = {}
    for declaration in declared:
        name = declaration.job.queue_name
        if name not in of_queue:
            try:
                of_queue[name] = _group_of(get_connection(name), groups)
            except UnknownQueueError as error:
                of_queue[name] = error
        found = of_queue[name]
        if isinstance(found, Group):
            found.declarations.append(declaration)
        else:
            report.fail(declaration.job.id, found, declaration.place)
    return groups


def without_declarations(groups: list[Group]) -> list[Group]:
    """The other servers of `RQ_QUEUES`: something may have been declared there before."""
    known = list(groups)
    for _, connection in connections():
        _group_of(connection, known)
    return known[len(groups) :]


def _group_of(connection: Redis, groups: list[Group]) -> Group:
    for group in groups:
        if same_server(group.connection, connection):
            return group
    groups.append(Group(connection))
    return groups[-1]


class Elsewhere:
    """What this application declares on other servers."""

    def __init__(self, here: Group, groups: list[Group]) -> None:
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
