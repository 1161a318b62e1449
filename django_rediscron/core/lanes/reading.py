"""Lanes as Redis has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from redis import Redis

from ..store.connections import bytes_client
from ..store.keys import history_key
from ..store.pauses import Pause
from ..story.runs import Run, read_recent, read_runs
from ..story.skips import read_skips
from .marks import Lane, lane_of
from .plans import Plan
from .span import Span

_FEW, _MANY = 20, 1000
"""Runs of a schedule that are read at first, and if they do not reach back far enough."""

_LASTING = timedelta(days=1)
"""How long before a span a run may be enqueued that lasts into it."""


def read_lanes(
    plans: Sequence[Plan],
    connection: Redis,
    span: Span,
    pauses: Sequence[Pause] = (),
    gap: timedelta = timedelta(),
) -> list[Lane]:
    """The lanes of these schedules: see `lane_of`. In a few round trips for all."""
    ids = [plan.id for plan in plans]
    is_past = span.low < span.now
    runs = _read_runs(ids, connection, span) if is_past else {}
    skips = read_skips(ids, connection) if is_past else {}
    return [
        lane_of(plan, runs.get(plan.id, ()), skips.get(plan.id, ()), span, pauses, gap)
        for plan in plans
    ]


def ran_between(ids: Sequence[str], connection: Redis, span: Span) -> set[str]:
    """Those of which an RQ job was enqueued in a span, by hand or on time."""
    if span.low >= span.now:
        return set()
    low, high = span.low.timestamp(), span.high.timestamp()
    with bytes_client(connection).pipeline(transaction=False) as pipe:
        for id in ids:
            pipe.zcount(history_key(id), low, high)
        counts = pipe.execute(raise_on_error=False)
    # A key of another type is not a history.
    return {id for id, count in zip(ids, counts, strict=True) if isinstance(count, int) and count}


def _read_runs(ids: Sequence[str], connection: Redis, span: Span) -> dict[str, list[Run]]:
    """Those of the span, also if they were enqueued the day before, and some others."""
    between = (span.low - _LASTING, span.high)
    runs = read_recent(ids, connection, _FEW, between)
    unknown = [id for id in ids if not runs[id]]
    if unknown:  # nothing is on record of them; RQ may know some
        runs |= read_runs(unknown, connection, _FEW)
    reach = {id: found[-1].enqueued_at for id, found in runs.items() if found}
    more = [id for id, oldest in reach.items() if oldest is not None and oldest > span.low]
    return runs | read_recent(more, connection, _MANY, between) if more else runs
