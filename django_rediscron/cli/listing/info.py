"""`rqrcron info`: the listing as a verb."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

import click
from redis import Redis

from ...core.store import Listing
from ...core.store.servers import Server
from ...core.timing.durations import Duration, as_seconds
from ..completion import complete_queue
from ..selection import Selection, ids_option, selecting
from ..verb import ConnectionOptions, Verb, tell_server
from . import check_interval, reader, show
from .several import show_each
from .table import NOTHING


def _positive(
    _context: click.Context, _option: click.Parameter, value: Duration | None
) -> float | None:
    try:
        return None if value is None else check_interval(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _write(text: str) -> None:
    click.echo(text)
    if text.startswith(NOTHING):
        tell_server()


@click.command(cls=Verb, several=True)
@click.option("--by-queue", "-R", is_flag=True, help="Group the table by queue.")
@click.option(
    "--interval",
    "-i",
    type=as_seconds,
    metavar="SECONDS",
    callback=_positive,
    help="Redraw so often until Ctrl-C: 90, 10m.",
)
@selecting(ids_option)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
@click.argument("queues", metavar="[QUEUE]...", nargs=-1, shell_complete=complete_queue)
@click.pass_obj
def info(
    chosen: ConnectionOptions,
    connection: Redis,
    servers: Sequence[Server],
    queues: tuple[str, ...],
    by_queue: bool,
    interval: float | None,
    selection: Selection,
    as_json: bool,
) -> None:
    """List the schedules of all queues, or of each QUEUE.

    With several options, all of them must be met.

    The columns are id, interval or cron expression, state, next enqueue time (UTC) and queue.
    Below the total stand what is paused, schedules that are not as the code declares them
    ("overridden: interval 900 (code: 600)", "orphan", "deleted by hand"), since when, by whom, why
    and until when others are disabled, those whose last run failed, and those that cannot be read.
    The last line says if no scheduler is running.

    With --json, "jobs" holds an object for each schedule with id, name, schedule, interval, cron,
    queue_name, func_name, args, kwargs, enabled, state, disabled_at, disabled_by, disabled_reason,
    disabled_until, next_enqueue_time, latest_enqueue_time, last_error, last_error_at, created_at,
    updated_at, revision, runs, finished_at, timezone, start_at, end_at, max_runs, jitter,
    misfire_grace, catch_up, catch_up_limit, overlap, max_failures, max_runtime, notify, tags,
    source, application, place, locked, orphaned_at, overrides, job_timeout, result_ttl, ttl,
    failure_ttl, meta, retry, on_success, on_failure, on_stopped, at_front and description;
    "damaged" an object with id and reason for each schedule that cannot be read; "deleted" one with
    id, application and place for each that was deleted by hand; "paused" one with queue (null: all
    of them), at, by, reason, until and missed for each pause; "leader" and "standbys" name the
    schedulers; "updated" the time. Times are in UTC, or null. With --interval, an object is printed
    each time.

    With --all, of `manage.py rqrcron`, each server is listed below its name. With --json, "servers"
    holds an object for each: its name as "server" and the rest as above, or "error" (status 1).

    Exit status: 0, also after Ctrl-C with --interval and when the reader of a pipe stops reading;
    1 when Redis cannot be used, or there is no such QUEUE; 2 for wrong usage; 130 after Ctrl-C
    without --interval.
    """
    if servers:
        _list_servers(servers, queues, by_queue, interval, selection, as_json)
        return
    names = chosen.queues(connection)
    read = reader(connection, queues, names, selection=selection, streamed=as_json)
    write = click.echo if interval else _write
    _list(read, queues, by_queue, interval, as_json, write)


def _list_servers(
    servers: Sequence[Server],
    queues: tuple[str, ...],
    by_queue: bool,
    interval: float | None,
    selection: Selection,
    as_json: bool,
) -> None:
    if queues or interval:
        raise click.UsageError("--all lists every server once; leave out QUEUE and --interval")
    read = partial(reader, selection=selection)
    if not show_each(servers, read, by_queue=by_queue, as_json=as_json, write=click.echo):
        sys.exit(1)


def _list(
    read: Callable[[], Listing],
    queues: tuple[str, ...],
    by_queue: bool,
    interval: float | None,
    as_json: bool,
    write: Callable[[str], None],
) -> None:
    show(
        read,
        queues=queues,
        by_queue=by_queue,
        interval=interval,
        as_json=as_json,
        write=write,
        write_part=partial(click.echo, nl=False),
    )
