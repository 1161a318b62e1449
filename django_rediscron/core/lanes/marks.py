"""What is shown of a schedule in a span: runs, skips and occurrences to come, folded where they
are close together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..schedule.missed import Skip
from ..store.pauses import Pause
from ..story.runs import Run
from ..story.skips import Failure
from .parts import DUE, Part, coming
from .plans import MOMENT, Plan, Stretch
from .span import Span
from .starts import counts

STATUSES = ("finished", "failed", "started", "queued", "stopped", "canceled", "unknown")
"""Kinds of marks that are runs; others are `skip`, `error` and the states of occurrences to come:
`planned`, `due`, `off` and `paused`."""

_WAITING = ("queued", "deferred", "scheduled")
WALKED = 64
"""Occurrences to come that are looked at one by one; more are counted."""


@dataclass(frozen=True)
class Mark:
    """One run, skip or occurrence, or several of a kind that are close together."""

    kind: str
    first: datetime
    """When it starts, or the first of them."""
    last: datetime
    """When the last of them starts."""
    end: datetime
    """Until when it lasts, or the last of them; the present while it runs."""
    count: int = 1
    run: Run | None = None
    """That run, if it is a single one."""
    record: Skip | Failure | None = None
    """What is on record of a skip or an error, likewise."""


@dataclass(frozen=True)
class Lane:
    """A schedule with its marks in time order."""

    plan: Plan
    marks: Sequence[Mark]


def lane_of(
    plan: Plan,
    runs: Iterable[Run],
    records: Iterable[Skip | Failure],
    span: Span,
    pauses: Sequence[Pause] = (),
    gap: timedelta = timedelta(),
) -> Lane:
    """What happened to a schedule in a span and what is to come.

    Marks of a kind that are closer together than `gap` are one.
    """
    found = [*_of_runs(runs, span), *_of_records(records, span), *to_come(plan, span, pauses, gap)]
    seen = [mark for mark in found if mark.first < span.high and mark.end >= span.low]
    return Lane(plan, fold(seen, gap))


def fold(marks: Iterable[Mark], gap: timedelta) -> list[Mark]:
    """These marks in time order, with those of a kind that are close together as one.

    One that lasts longer than that distance stays as it is.
    """
    by_kind = defaultdict[str, list[Mark]](list)
    for mark in sorted(marks, key=lambda each: each.first):
        known = by_kind[mark.kind]
        if known and _are_close(known[-1], mark, gap):
            known[-1] = _together(known[-1], mark)
        else:
            known.append(mark)
    return sorted((mark for known in by_kind.values() for mark in known), key=_in_time)


def to_come(
    plan: Plan, span: Span, pauses: Sequence[Pause] = (), gap: timedelta = timedelta()
) -> Iterator[Mark]:
    """The occurrences to come, each at the time at which it is to be enqueued.

    Many of them are counted by their nominal times, in bands without longer breaks than `gap`.
    """
    delay = timedelta(seconds=plan.jitter)
    wide = replace(span, low=max(span.low - delay, min(span.low, span.now)))
    for part in coming(plan, wide, pauses):
        if part.state == DUE:
            first = max(part.stretch.first, span.low)
            yield Mark(DUE, first, first, span.now, part.stretch.count)
        elif part.stretch.count <= WALKED:
            for time in sorted(map(plan.own_time, plan.walk(part.stretch))):
                if span.low <= time < span.high:
                    yield Mark(part.state, time, time, time)
        else:
            yield from _bands(plan, part, span, gap)


def _bands(plan: Plan, part: Part, span: Span, gap: timedelta) -> Iterator[Mark]:
    """A band for all steps in a row in which there are any."""
    assert plan.recurrence is not None
    recurrence = plan.recurrence
    low = max(part.stretch.first, span.low)
    inside = Stretch(low, part.stretch.last, recurrence.count(low, part.stretch.last))
    first, numbers = counts(recurrence, inside, span)
    bands: list[list[int]] = []
    for number, count in enumerate(numbers, first):
        if not count:
            continue
        if bands and span.edges[number] - span.edges[bands[-1][1] + 1] < gap + MOMENT:
            bands[-1][1] = number
            bands[-1][2] += count
        else:
            bands.append([number, number, count])
    for begin, end, count in bands:
        since = max(span.edges[begin], inside.first)
        start = recurrence.next(since - MOMENT)
        assert start is not None
        last = recurrence.last(min(span.edges[end + 1] - MOMENT, inside.last), start)
        yield Mark(part.state, start, last, last, count)


def _of_runs(runs: Iterable[Run], span: Span) -> Iterator[Mark]:
    for run in runs:
        begin = run.started_at or run.enqueued_at or run.ended_at
        if begin is None:
            continue
        kind = "queued" if run.status in _WAITING else run.status
        if kind not in STATUSES:
            kind = "unknown"
        end = begin
        if kind in ("started", "queued"):
            end = max(begin, span.now)
        elif run.ended_at is not None and run.started_at is not None and kind != "unknown":
            end = max(begin, run.ended_at)
        yield Mark(kind, begin, begin, end, run=run)


def _of_records(records: Iterable[Skip | Failure], span: Span) -> Iterator[Mark]:
    for each in records:
        if isinstance(each, Failure):
            yield Mark("error", each.occurrence, each.occurrence, each.occurrence, record=each)
        else:
            yield Mark("skip", each.occurrence, each.until, each.until, each.count, record=each)


def _are_close(one: Mark, other: Mark, gap: timedelta) -> bool:
    is_long = max(one.end - one.last, other.end - other.last) >= gap
    return other.first - one.last < gap and not is_long


def _together(one: Mark, other: Mark) -> Mark:
    return Mark(
        one.kind,
        one.first,
        max(one.last, other.last),
        max(one.end, other.end),
        one.count + other.count,
    )


def _in_time(mark: Mark) -> tuple[datetime, datetime, str]:
    return mark.first, mark.end, mark.kind
