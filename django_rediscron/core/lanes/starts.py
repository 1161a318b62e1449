"""How many runs start in each step of a span, of all schedules together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import lru_cache
from itertools import pairwise
from operator import sub
from typing import NamedTuple

from ..store.pauses import Pause
from ..timing.cron_times import count_cron_times, next_cron_time
from ..timing.recurrence import Recurrence
from .parts import COUNTED, Part, coming, past
from .plans import MOMENT, Plan, Stretch
from .span import MICROSECONDS, Span

NAMED = 5
"""Schedules of a step that are remembered."""


class Counts(NamedTuple):
    """How many occurrences are in each of some steps in a row."""

    first: int
    """The number of the first of these steps."""
    numbers: Sequence[int]


@dataclass
class Starts:
    """What starts in a step of a span."""

    since: datetime
    until: datetime
    count: int = 0
    ids: list[str] = field(default_factory=list)
    """Some of the schedules."""
    has_others: bool = False
    """Whether there are more of them."""

    def name(self, ids: Sequence[str]) -> None:
        """Remember some of these schedules, unless they were just before."""
        if ids[0] in self.ids[-1:]:
            return
        free = NAMED - len(self.ids)
        self.ids += ids[:free] if free > 0 else ()
        self.has_others = self.has_others or len(ids) > free


@dataclass
class AllStarts:
    """What starts in each step, and which schedules have a time in the span at all."""

    steps: list[Starts]
    active: set[str]
    """Schedules with an occurrence in the span, also if they do not run then."""

    @property
    def peak(self) -> Starts | None:
        """The first of the steps with the most starts."""
        busiest = max(self.steps, key=lambda each: each.count, default=None)
        return busiest if busiest is not None and busiest.count else None


def starts_of(plans: Iterable[Plan], span: Span, pauses: Sequence[Pause] = ()) -> AllStarts:
    """The occurrences of these schedules by their nominal times.

    Those to come count if they are to run, and those of the past as the schedules are now.
    """
    found = AllStarts([Starts(*edges) for edges in pairwise(span.edges)], set())
    for ids, plan in _alike(plans, span, pauses):
        parts = [*past(plan, span), *coming(plan, span, pauses)]
        if parts:
            found.active.update(ids)
        for part in parts:
            if part.state in COUNTED:
                first, numbers = _counts(plan, part, span)
                for step, count in zip(found.steps[first:], numbers, strict=False):
                    if count:
                        step.count += count * len(ids)
                        step.name(ids)
    return found


def _alike(
    plans: Iterable[Plan], span: Span, pauses: Sequence[Pause]
) -> Iterable[tuple[list[str], Plan]]:
    """Plans that have the same occurrences in a span: the ids, and one of them."""
    groups: dict[object, tuple[list[str], Plan]] = {}
    for plan in plans:
        if plan.recurrence is None or plan.due is None:
            continue
        created = plan.created_at
        key = (
            plan.recurrence,
            plan.due,
            plan.left,
            plan.enabled,
            plan.enabled_from,
            created if created is not None and created > span.low else None,
            plan.queue_name if pauses else None,
            plan.id if plan.jitter and plan.due <= span.now else None,  # it may be delayed
        )
        groups.setdefault(key, ([], plan))[0].append(plan.id)
    return groups.values()


def counts(recurrence: Recurrence, found: Stretch, span: Span) -> Counts:
    """How many occurrences of a stretch inside of the span are in each of its steps."""
    first = span.step_of(found.first)
    if found.count == 1:
        return Counts(first, (1,))
    last = span.step_of(found.last)
    if recurrence.cron:
        numbers = _cron_counts(recurrence.cron, recurrence.zone, found, span)
        return Counts(first, numbers)
    period = (recurrence.interval or 0) * MICROSECONDS
    begin = (found.first - span.low) // MOMENT
    # How many come before each edge; the first step begins, and the last one ends, the stretch.
    before = [-((begin - edge) // period) for edge in span.offsets[first + 1 : last + 1]]
    return Counts(first, list(map(sub, [*before, found.count], [0, *before])))


def _counts(plan: Plan, part: Part, span: Span) -> Counts:
    if part.state == "due":  # all of them are one run
        return Counts(span.step_of(max(part.stretch.first, span.low)), (1,))
    assert plan.recurrence is not None
    return counts(plan.recurrence, part.stretch, span)


@lru_cache(maxsize=512)
def _cron_counts(cron: str, zone: tzinfo | None, found: Stretch, span: Span) -> Sequence[int]:
    """Many schedules share an expression."""
    first, last = span.step_of(found.first), span.step_of(found.last)
    if found.count <= last - first + 1:
        numbers, time = [0] * (last - first + 1), found.first
        while time < found.last:
            numbers[span.step_of(time) - first] += 1
            time = next_cron_time(cron, time, zone)
        numbers[-1] += 1
        return numbers
    edges = [found.first, *span.edges[first + 1 : last + 1], found.last + MOMENT]
    return [
        count_cron_times(cron, low - MOMENT, high - MOMENT, zone) for low, high in pairwise(edges)
    ]
