"""Finding schedules by their fields inside Redis: many are searched, few are read."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError

from ..schedule.codec import DEFINITION_FIELDS, LEFT_OUT, OPTIONAL_FIELDS
from .keys import (
    DISABLED,
    HISTORY_SUFFIX,
    IN_FLIGHT,
    INDEX,
    JOB_PREFIX,
    LAST_UPDATE,
    RQ_JOB_PREFIX,
    RUNS_PREFIX,
)
from .scripts import Script, run_script

Condition = dict[str, Any]
"""A test of one field, or several tests with a connector; made by the functions below."""

PAGE = 2000
"""Members of an index in one script call: it blocks Redis for a few milliseconds."""

SEARCH = Script(
    "search",
    JOB_PREFIX=JOB_PREFIX,
    HISTORY_SUFFIX=HISTORY_SUFFIX,
    SCHEDULE_INDEX=INDEX,
    IN_FLIGHT=IN_FLIGHT,
    RUNS_PREFIX=RUNS_PREFIX,
    RQ_JOB_PREFIX=RQ_JOB_PREFIX,
)

ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")

_DEFAULTS = {name: LEFT_OUT.get(name, "") for name in (*DEFINITION_FIELDS, *OPTIONAL_FIELDS)}

_MADE_OF: dict[str, tuple[str, ...]] = {
    "overridden": ("declared", *_DEFAULTS),
    "state": ("enabled", "finished_at", "last_error"),
    "next_enqueue_time": ("next_enqueue_time", "enabled", "finished_at"),
    "latest_run": ("latest_enqueue_time",),
    "last_outcome": (),
    "due": ("next_enqueue_time", "enabled", "finished_at"),
    "id": (),
}
"""Fields that the script computes from others."""


def one_of(field: str, values: Iterable[str]) -> Condition:
    """The field has one of these values; an absent field has the value ''."""
    return {"field": field, "op": "in", "values": list(values)}


def compare(field: str, op: str, value: str) -> Condition:
    """`op`: contains, startswith, gt, gte, lt or lte; an absent field is neither less nor more."""
    return {"field": field, "op": op, "values": [value]}


def like(field: str, text: str) -> Condition:
    """The field contains this text, ignoring case."""
    small = text.lower()
    # Lua knows the case of ASCII letters only, so the script gets all others in the text.
    letters = {each for each in small if not each.isascii() and each.upper() != each}
    pairs = [letter for each in sorted(letters) for letter in (each.upper(), each)]
    return {"field": field, "op": "icontains", "values": [small, *pairs]}


def has_word(field: str, word: str) -> Condition:
    """This is one of the words, separated by spaces, of the field."""
    return {"field": field, "op": "word", "values": [f" {word} "]}


def due_until(moment: float) -> Condition:
    """It is due, its delay included, at this time in epoch seconds."""
    return compare("due", "lte", f"{moment:020.6f}")


def every(*conditions: Condition) -> Condition:
    """All of them are met."""
    return {"connector": "AND", "negated": False, "children": list(conditions)}


def either(*conditions: Condition) -> Condition:
    """One of them is met."""
    return {"connector": "OR", "negated": False, "children": list(conditions)}


def negate(condition: Condition) -> Condition:
    """It is not met."""
    return {"connector": "AND", "negated": True, "children": [condition]}


def search(
    connection: Redis,
    condition: Condition | None = None,
    *,
    values: Sequence[str] = (),
    among: Iterable[str] | None = None,
    page: int = PAGE,
) -> list[tuple[str, ...]]:
    """The id of each schedule that meets the condition, followed by these values of it, unsorted.

    `among`: look at these ids only. `page`: how many members of an index to read at a time. Bytes
    in an id that are not UTF-8 are returned as `\\xff`. Reads the indexes in pages, so that Redis
    is never blocked for long; a schedule that exists from beginning to end is found.
    """
    request = {
        "fields": sorted(_needed(condition, values)),
        "condition": condition or False,
        "sort": list(values),
        "defaults": _DEFAULTS,
        "count": page,
    }
    width = 1 + len(values)
    rows: dict[str, tuple[str, ...]] = {}
    pages = _pages(connection, request) if among is None else _chosen(connection, request, among)
    for cells in pages:
        # zip of one iterator several times: the cells of each row, in turn
        rows.update((row[0], row) for row in zip(*[iter(cells)] * width, strict=True))
    return list(rows.values())


def member(id: str) -> list[bytes]:
    """Possible members of an index for this id: the text, and the bytes that it represents."""
    given = id.encode(errors="surrogateescape")
    raw = ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), given)
    try:
        raw.decode()
    except UnicodeDecodeError:
        return [given, raw]
    return [given]


def _needed(condition: Condition | None, values: Sequence[str]) -> set[str]:
    needed: set[str] = set()
    for name in [*values, *_tested(condition)]:
        needed.update(_MADE_OF.get(name, (name,)))
    return needed


def _tested(condition: Condition | None) -> Iterator[str]:
    if condition is not None:
        if "op" in condition:
            yield condition["field"]
        for child in condition.get("children", ()):
            yield from _tested(child)


def _pages(connection: Redis, request: dict[str, Any]) -> Iterator[list[str]]:
    # A schedule that is disabled meanwhile is found in the first set or in the second.
    for key in (INDEX, DISABLED):
        cursor = "0"
        while True:
            page = {**request, "index": key, "cursor": cursor}
            reply = read_index(connection, SEARCH, key, [json.dumps(page)])
            cursor, cells = _decode(reply)
            yield cells
            if cursor == "0":
                break


def _chosen(
    connection: Redis, request: dict[str, Any], among: Iterable[str]
) -> Iterator[list[str]]:
    members = [each for id in dict.fromkeys(among) for each in member(id)]
    for start in range(0, len(members), PAGE):
        arguments = [json.dumps(request), *members[start : start + PAGE]]
        yield _decode(run_script(connection, SEARCH, [], arguments))[1]


def read_index(connection: Redis, script: Script, index: str, arguments: Sequence[Any]) -> Any:
    """Run a script that reads an index, which is also among the arguments."""
    try:
        return run_script(connection, script, [index], arguments)
    except NoPermissionError:  # a user who may only read a key may not declare it
        return run_script(connection, script, [], arguments)


def _decode(reply: bytes) -> tuple[str, list[str]]:
    cursor, cells = json.loads(reply.decode(errors="surrogateescape"))
    # cjson writes an empty list as an object
    return cursor, cells if reply.isascii() else [unescaped(cell) for cell in cells]


def unescaped(text: str) -> str:
    """A text with `\\xff` for bytes that are not UTF-8, instead of surrogate escapes."""
    return (
        text
        if text.isascii()
        else text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    )


TALLY = Script("tally", JOB_PREFIX=JOB_PREFIX)

TALLIED = 500
"""Members of an index in one call of that script: it blocks Redis for a few milliseconds."""


def tally(connection: Redis) -> Counter[tuple[str, str]]:
    """How many schedules there are, by queue and state. Reads the indexes in pages.

    What changes meanwhile may be counted in both indexes, or in neither.
    """
    counts = Counter[tuple[str, str]]()
    for index in (INDEX, DISABLED):
        cursor = "0"
        while True:
            reply = read_index(connection, TALLY, index, [cursor, TALLIED, index])
            cursor, found = json.loads(reply.decode(errors="surrogateescape"))
            for queue, state, number in zip(*[iter(found)] * 3, strict=True):
                counts[unescaped(queue), state] += number
            if cursor == "0":
                break
    return counts


NAMES_IN_USE = Script("names_in_use", JOB_PREFIX=JOB_PREFIX)


@dataclass(frozen=True)
class NamesInUse:
    """Names that at least one schedule uses."""

    queues: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()


def read_names(connection: Redis) -> NamesInUse:
    """Read it from all schedules, in pages."""
    found: tuple[set[str], ...] = (set(), set(), set())
    for index in (INDEX, DISABLED):
        cursor = "0"
        while True:
            reply = read_index(connection, NAMES_IN_USE, index, [cursor, PAGE, index])
            cursor, *names = json.loads(reply.decode(errors="surrogateescape"))
            for each, more in zip(found, names, strict=True):
                each.update(map(unescaped, more))
            if cursor == "0":
                break
    return NamesInUse(*map(frozenset, found))


class NamesMemory:
    """The names in use, read again when a definition has changed."""

    def __init__(self, connection: Redis) -> None:
        self._connection = connection
        self._updated: object = None
        self._names: NamesInUse | None = None

    def read(self) -> NamesInUse:
        """The names as they are now."""
        # Unlike GET, this is no error if the key holds another type.
        updated = self._connection.mget([LAST_UPDATE])
        if self._names is None or updated != self._updated:
            # If something changes meanwhile, it is read again the next time.
            self._updated, self._names = updated, read_names(self._connection)
        return self._names
