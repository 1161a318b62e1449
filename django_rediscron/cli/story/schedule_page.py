"""`rqrcron show`: all that is known of a schedule, on one page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click
from redis import Redis

from ...core.exceptions import DamagedScheduleError, NoSuchJobError
from ...core.job import RedisCronJob
from ...core.quoting import LONGEST, cut, quoted
from ...core.schedule.origin import without_defaults
from ...core.sensitive import mask, mask_field
from ...core.store.pauses import Pause, pause_of, read_pauses, state_of
from ...core.story.changes import LoggedChange, read_changes
from ...core.story.outcomes import Outcomes, read_outcomes
from ...core.story.reigns import Reign, read_reigns
from ...terminal import columns, fitted, one_line, with_progress
from ..listing.as_json import schedule_facts
from ..options import json_option, time_fact
from ..selection import Selection, check_id, selecting
from ..verb import Verb, tell_server
from .changes import change_facts
from .changes import lines as change_lines
from .history import Event, event_facts, read_events, short_time
from .history import table as event_table

RUNS, CHANGES, REIGNS, UPCOMING = 10, 5, 3, 3
"""How many of each are shown."""

NAMED = {"func_name", "queue_name", "args", "kwargs", "interval", "cron", "timezone", "enabled"}
"""Fields of a definition that have a line of their own."""


@dataclass(frozen=True)
class Page:
    """What was read."""

    id: str
    job: RedisCronJob | None
    """None if it was deleted, or cannot be read."""
    damage: str
    """Why it cannot be read."""
    outcomes: Outcomes
    events: Sequence[Event]
    changes: Sequence[LoggedChange]
    reigns: Sequence[Reign]
    pauses: Sequence[Pause]


@click.command(cls=Verb)
@selecting(deleted=True)
@json_option
def show(connection: Redis, selection: Selection, as_json: bool) -> None:
    """Show each schedule on a page.

    An ID may be a pattern such as 'billing:*', and '*' means all.

    What it runs and when, its state and its next times, how its runs ended, its latest runs and
    skips (see history), its latest changes (see changes), and which schedulers led. Times are in
    UTC. Values of sensitive keyword arguments are shown as ********. Of a deleted schedule,
    what is on record is shown; they are shown by id, and with --deleted also by pattern.

    With --json, one object if one ID was given, else an object whose "pages" holds one for each
    schedule. In each, "id" is the ID, "schedule" an object as in info, or null if the schedule was
    deleted or cannot be read; "damaged" says why, or is null; "upcoming" holds the next times,
    "outcomes" an object with last_success, last_failure, failures (in a row) and counts, "runs" and
    "skips" objects as in history, "changes" objects as in changes, "reigns" objects with leader,
    host, pid, since, until (null: it leads now) and end ("", "stopped", "lock lost" or "died").

    Exit status: 0; 1 when Redis cannot be used, or nothing is on record of an ID; 2 for wrong
    usage; 130 after Ctrl-C.
    """
    if not selection:
        raise click.UsageError("name the schedules to show; '*' means all")
    ids = selection.ids(connection)
    pages = with_progress((_read(id, connection) for id in ids), len(ids))
    if as_json:
        facts = [_facts(page) for page in pages]
        one = selection.only_id(ids) is not None
        click.echo(json.dumps(facts[0] if one else {"pages": facts}))
        return
    texts = ["\n".join(map(fitted, _lines(page))) for page in pages]
    click.echo("\n\n\n".join(texts) or "No schedules match")
    if not texts:
        tell_server()


def page_facts(id: str, connection: Redis) -> dict[str, Any]:
    """A page as JSON. Raises `NoSuchJobError` if nothing is on record of the id."""
    check_id(id, connection)
    return _facts(_read(id, connection))


def _read(id: str, connection: Redis) -> Page:
    job, damage = None, ""
    try:
        job = RedisCronJob.fetch(id, connection)
    except DamagedScheduleError as error:
        damage = error.reason
    except NoSuchJobError:
        pass  # the page tells what is on record
    return Page(
        id,
        job,
        damage,
        read_outcomes([id], connection)[id],
        read_events([id], connection, RUNS),
        read_changes(id, connection)[:CHANGES],
        read_reigns(connection, 0, REIGNS - 1),
        read_pauses(connection),
    )


# For people


def _lines(page: Page) -> Iterator[str]:
    yield one_line(page.id)
    yield ""
    facts = [[label, one_line(text)] for label, text in _labelled(page) if text]
    yield from columns(facts)
    if page.events:
        yield from ("", "Latest runs", *event_table(page.events, with_ids=False))
    if page.changes:
        yield from ("", "Latest changes", *change_lines(page.changes))
    yield from ("", "Latest leaders", *map(_reign_line, page.reigns))
    if not page.reigns:
        yield "No scheduler on record"


def _labelled(page: Page) -> Iterator[tuple[str, str]]:
    if page.job is not None:
        yield from _definition(page.job, page.pauses)
    else:
        yield "State", f"damaged: {page.damage}" if page.damage else "deleted"
    outcomes = page.outcomes
    counts = [f"{count} {status}" for status, count in outcomes.counts.items() if count]
    yield "Outcomes", ", ".join(counts)
    if outcomes.last_success is not None:
        yield "Last success", short_time(outcomes.last_success)
    if outcomes.last_failure is not None:
        row = f", {outcomes.failures} in a row" if outcomes.failures > 1 else ""
        yield "Last failure", short_time(outcomes.last_failure) + row


def _definition(job: RedisCronJob, pauses: Sequence[Pause]) -> Iterator[tuple[str, str]]:
    yield "Function", _call(job)
    yield "Queue", job.queue_name
    yield "When", job.describe()
    options = {
        name: text for name, text in without_defaults(job.definition()).items() if name not in NAMED
    }
    yield "Options", ", ".join(f"{n} {cut(mask_field(n, t), LONGEST)}" for n, t in options.items())
    yield "State", f"{state_of(job, pauses)}, revision {job.revision}"
    pause = pause_of(job.queue_name, pauses)
    if pause is not None:
        yield "Paused", f"{pause.what}, {pause.describe(short_time)}"
    if not job.enabled:
        yield "Disabled", job.off.describe(short_time)
    if job.last_error:
        yield "Error", job.last_error
    if job.source == "code":
        where = f"{job.application}, {job.place}"
        yield "Declared", f"{where} (orphan: no longer declared)" if job.orphaned_at else where
    yield "Next", ", ".join(map(short_time, job.upcoming(UPCOMING))) or "-"


def _call(job: RedisCronJob) -> str:
    args = [quoted(each) for each in job.args]
    args += [f"{name}={quoted(value)}" for name, value in mask(job.kwargs).items()]
    return f"{job.func_name}({', '.join(args)})"


def _reign_line(reign: Reign) -> str:
    until = "now" if reign.until is None else f"{short_time(reign.until)} ({reign.end})"
    return f"{short_time(reign.since)} to {until}  {one_line(reign.leader)}"


# For programs


def _facts(page: Page) -> dict[str, Any]:
    upcoming = page.job.upcoming(UPCOMING) if page.job else ()
    return {
        "id": page.id,
        "schedule": page.job and schedule_facts(page.job),
        "damaged": page.damage or None,
        "upcoming": [time_fact(time) for time in upcoming],
        "outcomes": {
            "last_success": time_fact(page.outcomes.last_success),
            "last_failure": time_fact(page.outcomes.last_failure),
            "failures": page.outcomes.failures,
            "counts": dict(page.outcomes.counts),
        },
        **event_facts(page.events),
        "changes": [change_facts(page.id, change) for change in page.changes],
        "reigns": [
            {
                "leader": reign.leader,
                "host": reign.host,
                "pid": reign.pid,
                "since": time_fact(reign.since),
                "until": time_fact(reign.until),
                "end": reign.end,
            }
            for reign in page.reigns
        ],
    }
