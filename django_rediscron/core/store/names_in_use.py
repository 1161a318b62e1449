"""Which queues and functions schedules name."""

from __future__ import annotations

import json
from dataclasses import dataclass

from redis import Redis

from .keys import DISABLED, INDEX, JOB_PREFIX, LAST_UPDATE
from .scripts import Script, run_script
from .search import shown

PAGE = 2000
"""Members of an index in one script call: it holds Redis for a few milliseconds."""


NAMES_IN_USE = Script("names_in_use", JOB_PREFIX=JOB_PREFIX)


@dataclass(frozen=True)
class Census:
    """Each name that at least one schedule has."""

    queues: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()


def read_census(connection: Redis) -> Census:
    """Read it from all schedules, in pages."""
    queues: set[str] = set()
    functions: set[str] = set()
    for index in (INDEX, DISABLED):
        cursor = "0"
        while True:
            reply = run_script(connection, NAMES_IN_USE, [index], [cursor, PAGE])
            cursor, *names = json.loads(reply.decode(errors="surrogateescape"))
            queues.update(map(shown, names[0]))
            functions.update(map(shown, names[1]))
            if cursor == "0":
                break
    return Census(frozenset(queues), frozenset(functions))


class CensusMemory:
    """The latest census, which is taken again when a definition has changed."""

    def __init__(self, connection: Redis) -> None:
        self._connection = connection
        self._updated: object = None
        self._census: Census | None = None

    def read(self) -> Census:
        """The census as it is now."""
        # Unlike GET, this is no error where the key holds something else.
        updated = self._connection.mget([LAST_UPDATE])
        if self._census is None or updated != self._updated:
            # Changed while it is taken, it is taken again the next time.
            self._updated, self._census = updated, read_census(self._connection)
        return self._census
