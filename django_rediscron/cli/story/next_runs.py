"""`rqrcron next`: the runs to come of many schedules, in one list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from heapq import merge
from itertools import islice, takewhile
from typing import Any, NamedTuple

import click
from redis import Redis

from ...core.job import RedisCronJob
from ...core.store.pauses import Pause, read_pauses
from ...terminal import columns, fitted, one_line
from ..options import json_option, moment_in, time_fact
from ..selection import Selection, read_selected, selecting
from ..verb import Verb, tell_server
from .history import short_time, span

MOST = 1_000_000
"""Runs of one schedule that are looked at."""


class NextRun(NamedTuple):
    """A run to come."""

    time: datetime
    id: str
    queue_name: str
    is_paused: bool = False

    def cells(self, moment: datetime) -> list[str]:
        """For people."""
        distance = _distance(self.time - moment)
        mark = "paused" if self.is_paused else ""
        return [short_time(self.time), distance, one_line(self.id), self.queue_name, mark]

    def facts(self) -> dict[str, Any]:
        """For programs."""
        return {
            "id": self.id,
            "time": time_fact(self.time),
            "queue": self.queue_name,
            "paused": self.is_paused,
        }


def _until(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    return None if value is None else moment_in(value, ahead=True)


@click.command("next", cls=Verb)
@selecting()
@click.option(
    "--until",
    callback=_until,
    metavar="TIME",
    help="Up to this time (UTC): 2026-06-03T05:40, or 2h, 1d from now.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="How many runs at most (default: 20, and with --until all).",
)
@json_option
def next_runs(
    connection: Redis,
    selection: Selection,
    until: datetime | None,
    count: int | None,
    as_json: bool,
) -> None:
    """List the runs to come, of all schedules or of those named, in the order of time.

    An ID may be a pattern such as 'billing:*'. The columns are the time at which the run is to be
    enqueued (UTC, with the delay of jitter), how long that is from now, the id and the queue. What
    is due already is shown with its original time. What will not be enqueued then, unless the pause
    of its queue ends before, is marked as "paused". Schedules that are disabled or finished, or
    that cannot be read, have no runs to come.

    With --json, "next" holds an object for each run with id, time, queue and paused. Times are in
    UTC.

    Exit status: 0; 1 when Redis cannot be used, or there is no such ID; 2 for wrong usage; 130
    after Ctrl-C.
    """
    if count is None and until is None:
        count = 20
    found = islice(runs_to_come(selection.ids(connection), connection, until), count)
    if as_json:
        click.echo(json.dumps({"next": [run.facts() for run in found]}))
        return
    moment = datetime.now(timezone.utc)
    rows = [run.cells(moment) for run in found]
    if not rows:
        click.echo("No runs to come")
        tell_server()
        return
    for line in columns([["TIME", "IN", "ID", "QUEUE", ""], *rows]):
        click.echo(fitted(line))


def runs_to_come(
    ids: list[str], connection: Redis, until: datetime | None = None
) -> Iterator[NextRun]:
    """The runs of these schedules, in the order of time, without end if there is no `until`."""
    jobs = [job for _, job in read_selected(ids, connection)]
    pauses = read_pauses(connection)
    runs = merge(*(_of(job, pauses) for job in jobs if isinstance(job, RedisCronJob)))
    return takewhile(lambda run: until is None or run.time <= until, runs)


def _of(job: RedisCronJob, pauses: Sequence[Pause]) -> Iterator[NextRun]:
    queue = job.queue_name
    concerning = [each for each in pauses if each.concerns(queue)]
    for time in job.upcoming(MOST):
        is_paused = any(each.is_on(time) for each in concerning)
        yield NextRun(time.astimezone(timezone.utc), job.id, queue, is_paused)


def _distance(duration: timedelta) -> str:
    return span(duration) if duration > timedelta() else f"-{span(-duration)}"
