"""The occurrences of a plan in a span, past and to come, by what is to happen to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from ..store.pauses import Pause
from .closed import is_paused
from .plans import MOMENT, Plan, Stretch, stretch
from .span import Span

PLANNED, DUE, OFF, PAUSED, PASSED, PASSED_OFF = (
    *("planned", "due", "off", "paused", "passed", "passed while disabled"),
)
"""What is to happen to occurrences: they run; they run now, late; they do not, because the schedule
is disabled, or paused. Of the past only the times are known."""

COUNTED = (PLANNED, DUE, PASSED)
"""Those that are starts."""


class Part(NamedTuple):
    """Occurrences in a row that have one state."""

    state: str
    stretch: Stretch


def past(plan: Plan, span: Span) -> Iterator[Part]:
    """The occurrences of the past, as the schedule is now."""
    if plan.recurrence is None or plan.due is None or span.low >= span.present:
        return
    low = span.low if plan.created_at is None else max(span.low, plan.created_at)
    found = stretch(plan.recurrence, low - MOMENT, min(span.present, plan.due) - MOMENT)
    if found is not None:
        yield Part(PASSED if plan.enabled else PASSED_OFF, found)


def coming(plan: Plan, span: Span, pauses: Sequence[Pause] = ()) -> Iterator[Part]:
    """The occurrences to come, in time order; first those that are overdue."""
    due, now, recurrence = plan.due, span.now, plan.recurrence
    if recurrence is None or due is None or span.high <= now:
        return
    is_delayed = due <= now < plan.own_time(due)
    if plan.enabled and due <= now and not is_delayed:
        overdue = plan.between(due - MOMENT, now)
        if overdue is not None:
            state = PAUSED if _state(plan, now, pauses) == PAUSED else DUE
            if span.low <= now:
                yield Part(state, overdue)
            left = plan.left - (state == DUE)
            plan = replace(plan, due=recurrence.next(now), left=left)
    begin = span.low - MOMENT if now < span.low else now
    if is_delayed and span.low <= now:
        begin = due - MOMENT
    edges = [begin, *_changes(plan, begin, span.high, pauses), span.high - MOMENT]
    for low, high in pairwise(edges):
        state = _state(plan, low + MOMENT, pauses)
        asked = plan
        if state == PLANNED and low > begin and plan.left != math.inf:
            asked = replace(plan, due=recurrence.next(low))  # none of the runs is used up
        found = asked.between(low, high)
        if found is not None:
            yield Part(state, found)


def _changes(plan: Plan, begin: datetime, end: datetime, pauses: Sequence[Pause]) -> list[datetime]:
    """The last moments before the state changes."""
    moments = {each.end for each in pauses if each.concerns(plan.queue_name)}
    if not plan.enabled:
        moments.add(plan.enabled_from)
    return sorted(each - MOMENT for each in moments if each and begin < each - MOMENT < end)


def _state(plan: Plan, moment: datetime, pauses: Sequence[Pause]) -> str:
    if not plan.enabled and (plan.enabled_from is None or moment < plan.enabled_from):
        return OFF
    return PAUSED if is_paused(plan.queue_name, moment, pauses) else PLANNED
