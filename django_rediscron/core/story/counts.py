"""What is counted for ever: run ends, how long runs took, skipped occurrences, and passes.

A schedule's own counts are in the hash of its outcomes, the sums over all schedules, also deleted
ones, in the hash `COUNTS`, both in the same fields:

- `finished default`: runs by how they ended and their queue
- `run 10`: runs that took at most 10 seconds, but more than the next smaller bound says; `run inf`
- `run microseconds`: the time that they took together
- `skipped misfire`: occurrences by the reason why they did not run

The sums also have `pass 0.1` and `pass microseconds`, of passes.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from redis import Redis

from ..store.keys import COUNTS, DROPPED, IN_FLIGHT, OUTCOMES_PREFIX
from ..store.scripts import Script, run_script, run_scripts
from ..store.search import member, unescaped
from .runs import Run

RUN, PASS = "run", "pass"

BOUNDS = {
    RUN: ("0.1", "1", "10", "60", "600", "3600"),
    PASS: ("0.01", "0.1", "1", "10", "60"),
}
"""Seconds up to which runs, and passes, are counted together; of what takes longer, `inf`."""

INFINITE = "inf"

MICROSECONDS = "microseconds"

TIMED = ("finished", "failed", "stopped")
"""How runs end of which RQ keeps the time."""

_NUMBERS = {kind: [float(bound) for bound in bounds] for kind, bounds in BOUNDS.items()}
_BUCKETS = {
    kind: [
        *((f"{kind} {bound}", str(float(bound))) for bound in bounds),
        (f"{kind} {INFINITE}", "+Inf"),
    ]
    for kind, bounds in BOUNDS.items()
}
_MICROSECOND = timedelta(microseconds=1)

COUNT = Script("count", COUNTS=COUNTS)

READ_COUNTS = Script("read_counts")
TOO_LONG = Script("too_long", IN_FLIGHT=IN_FLIGHT)

SLICE = 200
"""Schedules of which the counts are read by one script call: it takes a few milliseconds."""

SCANNED = 1000
"""Jobs in flight that are looked at by one script call."""


def bound_field(kind: str, seconds: float) -> str:
    """The field that counts what took so long. `kind`: `RUN` or `PASS`."""
    place = bisect_left(_NUMBERS[kind], seconds)
    return f"{kind} {(*BOUNDS[kind], INFINITE)[place]}"


def run_fields(run: Run) -> tuple[str, int]:
    """The field that counts how long a run took, and its microseconds; empty if that is unknown."""
    if run.duration is None or run.status not in TIMED:
        return "", 0
    took = max(run.duration, timedelta())  # the clocks of two machines may differ
    return bound_field(RUN, took.total_seconds()), took // _MICROSECOND


class PassCounts:
    """The passes of a leader that are not yet counted in Redis."""

    def __init__(self) -> None:
        self._fields = Counter[str]()

    def add(self, seconds: float) -> None:
        """A pass took so long."""
        self._fields[bound_field(PASS, seconds)] += 1
        self._fields[f"{PASS} {MICROSECONDS}"] += int(seconds * 1e6)

    def write(self, client: Redis) -> None:
        """Count them, if there are any. In a pipeline this command cannot fail the others.

        They count as written: of those whose answer is lost it is not known whether they were.
        """
        if self._fields:
            client.eval(COUNT.text, 0, *(each for item in self._fields.items() for each in item))
            self._fields.clear()


def seconds_of(kind: str, counts: Mapping[str, int]) -> tuple[list[tuple[str, int]], float]:
    """How many took at most so many seconds, for each bound as Prometheus writes it; and the
    seconds of all together. `kind`: `RUN` or `PASS`."""
    number, found = 0, []
    for field, bound in _BUCKETS[kind]:
        number += counts.get(field, 0)
        found.append((bound, number))
    return found, counts.get(f"{kind} {MICROSECONDS}", 0) / 1e6


def read_sums(connection: Redis) -> dict[str, str]:
    """What was ever counted over all schedules, by field."""
    return dict(_read(connection, [("", COUNTS)]))[""]


def read_dropped(connection: Redis) -> dict[str, str]:
    """How many notifications each receiver was not told."""
    return dict(_read(connection, [("", DROPPED)]))[""]


def read_counts(ids: Sequence[str], connection: Redis) -> dict[str, dict[str, str]]:
    """The outcomes of each of these schedules, ids as of a search, with all that was counted."""
    keys = [(id, OUTCOMES_PREFIX.encode() + each) for id in ids for each in member(id)]
    return {id: fields for id, fields in _read(connection, keys) if fields}


def _read(
    connection: Redis, keys: Sequence[tuple[str, str | bytes]]
) -> Iterator[tuple[str, dict[str, str]]]:
    parts = [keys[at : at + SLICE] for at in range(0, len(keys), SLICE)]
    calls: list[tuple[list[str], list[str | bytes]]] = [
        ([], [key for _, key in part]) for part in parts
    ]
    for part, reply in zip(parts, run_scripts(connection, READ_COUNTS, calls), strict=True):
        found = json.loads(reply.decode(errors="surrogateescape"))
        for (id, _), flat in zip(part, found, strict=True):
            texts = iter(flat if reply.isascii() else map(unescaped, flat))
            yield id, dict(zip(texts, texts, strict=True))


def read_too_long(connection: Redis) -> Counter[str]:
    """How many jobs of each schedule were told to take too long, and have not ended."""
    found, cursor = Counter[str](), "0"
    while True:
        reply = run_script(connection, TOO_LONG, [], [cursor, SCANNED])
        cursor, ids = json.loads(reply.decode(errors="surrogateescape"))
        found.update(map(unescaped, ids))
        if cursor == "0":
            return found
