"""The runs that pages show: those on record or, of schedules that have none, those that RQ still
knows."""

from __future__ import annotations

from collections.abc import Sequence

from redis import Redis

from ..core.story.runs import Run, read_recent, read_runs


def recent_runs(ids: Sequence[str], connection: Redis, count: int) -> dict[str, list[Run]]:
    """The newest runs of each of these schedules, newest first, in three round trips at most.

    Nothing is on record of runs before this version, and with `KEEP_RUNS` 0.
    """
    runs = read_recent(ids, connection, count)
    others = [id for id in ids if not runs[id]]
    return {**runs, **read_runs(others, connection, count)} if others else runs
