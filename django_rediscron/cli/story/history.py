"""`rqrcron history`: the runs of schedules, and what did not run, merged by time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from heapq import nlargest
from itertools import chain
from typing import Any, NamedTuple

import click
from redis import Redis

from ...core.schedule.missed import Skip
from ...core.story.in_flight import BACKFILL, HAND
from ...core.story.runs import Run, read_recent
from ...core.story.skips import Failure, read_skips
from ...core.timing.cron_times import utc_text
from ...terminal import columns, fitted, one_line, with_progress
from ..options import json_option, limit_option, since_option
from ..selection import Selection, selecting
from ..verb import Verb, tell_server

PAGE = 100
"""Schedules whose runs are read at once."""

FEW = 2
"""Runs, and skips, that are read of each of many schedules first."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

REASONS = {
    "misfire": "later than misfire_grace",
    "catch_up": "missed, not caught up",
    "overlap": "an earlier run had not ended",
    "paused": "everything, or its queue, was paused",
}
"""Why occurrences are skipped."""


class Event(NamedTuple):
    """A run of a schedule, or occurrences that did not run."""

    time: datetime
    """The nominal time, of several the last one; of a run by hand when it was enqueued."""
    schedule_id: str
    what: Run | Skip | Failure


@click.command(cls=Verb)
@selecting(deleted=True)
@limit_option("runs and skips")
@since_option
@json_option
def history(
    connection: Redis,
    selection: Selection,
    limit: int,
    since: datetime | None,
    as_json: bool,
) -> None:
    """Show the runs of schedules, newest first, and what was skipped.

    An ID may be a pattern such as 'billing:*'. Without one, all schedules are shown. Deleted ones
    are shown by id, and with --deleted also by pattern and among all, as long as their runs are on
    record.

    The columns are the time of the occurrence (UTC; of a run by hand when it was enqueued), the id
    if there are several, the status ("queued", "started", "finished", "failed", "stopped",
    "canceled", "unknown", "skipped" or "error": it could not be enqueued), how long after that
    time its latest attempt started, how long that ran, and notes.

    With --json, "id" is the ID if one was given, else null; "runs" holds an object for each run
    with id, occurrence (null if run by hand), cause ("schedule", "hand" or "backfill"), job_id,
    status, enqueued_at, started_at, ended_at, seconds, attempts, worker, queue, too_long and error;
    "skips" one for each skip or error with id, occurrence, until, count, reason ("misfire",
    "catch_up", "overlap", "paused" or "error"), at and text; of one that was paused, "by" names who
    did so, and "queue" the queue unless all were. Times are in UTC, or null.

    Exit status: 0; 1 when Redis cannot be used, or nothing is on record of an ID; 2 for wrong
    usage; 130 after Ctrl-C.
    """
    ids = selection.ids(connection)
    found = read_events(ids, connection, limit, since)
    only = selection.only_id(ids)
    if as_json:
        click.echo(json.dumps({"id": only, **event_facts(found)}))
    elif found:
        for line in table(found, with_ids=only is None):
            click.echo(line)
    else:
        click.echo("No runs on record")
        tell_server()


def read_events(
    ids: Sequence[str], connection: Redis, limit: int, since: datetime | None = None
) -> list[Event]:
    """The newest `limit` runs and skips of these schedules, newest first.

    Of each a few are read first: of most schedules no more than these are among the newest of all.
    """
    begin = since or _EPOCH
    newest, oldest = _read(ids, connection, limit, min(limit, FEW), begin)
    if len(newest) == limit:
        begin = newest[-1].time
    going_on = {id for id, time in oldest.items() if time >= begin}
    if limit > FEW and going_on:
        others = [event for event in newest if event.schedule_id not in going_on]
        more, _ = _read(sorted(going_on), connection, limit, limit, begin)
        newest = nlargest(limit, [*others, *more], key=_time)
    return newest


def _read(
    ids: Sequence[str], connection: Redis, limit: int, each: int, begin: datetime
) -> tuple[list[Event], dict[str, datetime]]:
    """The newest `limit` of them all if at most `each` are read of each schedule.

    And the oldest time that was read of each schedule that may have more.
    """
    newest: list[Event] = []
    oldest: dict[str, datetime] = {}
    pages = [ids[at : at + PAGE] for at in range(0, len(ids), PAGE)]
    for page in with_progress(pages, len(pages)):
        for id, events in chain(_runs(page, connection, each), _skips(page, connection, each)):
            if len(events) >= each:
                time = min(map(_time, events))
                oldest[id] = max(time, oldest.get(id, time))
            newest += (event for event in events if event.time >= begin)
        newest = nlargest(limit, newest, key=_time)
    return newest, oldest


def _time(event: Event) -> datetime:
    return event.time


def _runs(ids: Sequence[str], connection: Redis, count: int) -> Iterator[tuple[str, list[Event]]]:
    for id, runs in read_recent(ids, connection, count).items():
        times = (run.occurrence or run.enqueued_at or run.ended_at or _EPOCH for run in runs)
        yield id, [Event(time, id, run) for time, run in zip(times, runs, strict=True)]


def _skips(ids: Sequence[str], connection: Redis, count: int) -> Iterator[tuple[str, list[Event]]]:
    for id, skips in read_skips(ids, connection, count).items():
        times = (each.until if isinstance(each, Skip) else each.occurrence for each in skips)
        yield id, [Event(time, id, skip) for time, skip in zip(times, skips, strict=True)]


# For people


def table(events: Sequence[Event], *, with_ids: bool) -> list[str]:
    """A heading and a line for each, which fit a terminal."""
    heading = ["TIME", "ID", "STATUS", "STARTED", "RAN", ""]
    rows = [heading, *(_cells(event) for event in events)]
    if not with_ids:
        rows = [[time, *rest] for time, _id, *rest in rows]
    return [fitted(line) for line in columns(rows)]


def _cells(event: Event) -> list[str]:
    what = event.what
    if isinstance(what, Run):
        due = event.time if what.cause != BACKFILL else what.enqueued_at or event.time
        started = "-" if what.started_at is None else f"+{span(what.started_at - due)}"
        ran = "-" if what.duration is None else span(what.duration)
        cells = [what.status, started, ran, ", ".join(_notes(what))]
    elif isinstance(what, Skip):
        cells = ["skipped", "-", "-", _skip_note(what)]
    else:
        cells = ["error", "-", "-", what.text]
    return [short_time(event.time), *map(one_line, [event.schedule_id, *cells])]


_CAUSES = {HAND: "by hand", BACKFILL: "backfill"}


def _notes(run: Run) -> Iterator[str]:
    if run.cause in _CAUSES:
        yield _CAUSES[run.cause]
    if run.attempts > 1:
        yield f"{run.attempts} attempts"
    if run.is_too_long:
        yield "longer than max_runtime"
    if run.error:
        yield run.error


def _skip_note(skip: Skip) -> str:
    reason = f"{skip.reason}: {REASONS.get(skip.reason, '')}".rstrip(": ")
    if skip.by:
        reason = f"{skip.reason} by {skip.by}: {skip.text}".rstrip(": ")
    if skip.count == 1:
        return reason
    return f"{reason}; {skip.count} since {short_time(skip.occurrence)}"


def short_time(moment: datetime) -> str:
    """In UTC, as precise as it is: `why` takes it as it is printed."""
    return utc_text(moment).replace(".000000Z", "Z")


def span(duration: timedelta) -> str:
    """`0.4s`, `59s`, `4m10s`, `2h5m`, `3d4h`."""
    seconds = max(0.0, duration.total_seconds())
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, size, smaller, fraction in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // fraction}{smaller}"
    return f"{whole // 60}m{whole % 60}s" if whole >= 60 else f"{whole}s"


# For programs


def event_facts(events: Sequence[Event]) -> dict[str, Any]:
    """`runs` and `skips` in JSON."""
    return {
        "runs": [
            {"id": event.schedule_id, **event.what.to_json()}
            for event in events
            if isinstance(event.what, Run)
        ],
        "skips": [
            {"id": event.schedule_id, **_skip_facts(event.what)}
            for event in events
            if not isinstance(event.what, Run)
        ],
    }


def _skip_facts(skip: Skip | Failure) -> dict[str, Any]:
    return {"text": "", **json.loads(skip.to_text())}
