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

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from redis.client import Pipeline

from ..store.keys import COUNTS
from ..store.scripts import Script
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
_MICROSECOND = timedelta(microseconds=1)

COUNT = Script("count", COUNTS=COUNTS)


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

    def write(self, pipe: Pipeline) -> None:
        """Queue the command that counts them, if there are any; it cannot fail the others.

        They count as written: of those whose pipeline fails it is not known whether they were.
        """
        if self._fields:
            pipe.eval(COUNT.text, 0, *(each for item in self._fields.items() for each in item))
            self._fields.clear()


def seconds_of(kind: str, counts: Mapping[str, int]) -> tuple[list[tuple[str, int]], float] | None:
    """How many took at most so many seconds, for each bound, and the seconds of all together.

    None if there were none.
    """
    total, found = 0, []
    for bound in (*BOUNDS[kind], INFINITE):
        total += counts.get(f"{kind} {bound}", 0)
        found.append((bound, total))
    return (found, counts.get(f"{kind} {MICROSECONDS}", 0) / 1e6) if total else None
