"""The `rqrcron` console script. It takes RQ's own connection options and needs no Django."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click
from redis import Redis

from .._version import __version__
from ..core.monitoring.health import MAX_LAG, Health, check_health
from ..core.store.listing import reindex as rebuild_indexes
from ..core.timing.durations import Duration, as_seconds
from ..terminal import take_any_text
from ..unreachable import UnreachableError, reaching
from .changes import changes, revert
from .files import export, import_
from .history import history
from .listing import check_interval, reader, show
from .metrics import metrics
from .next_runs import next_runs
from .operations import delete, disable, enable, run
from .rq_options import RQ_OPTIONS
from .schedule_page import show as show_schedule
from .verb import ConnectionOptions, Verb
from .why import why


class Verbs(click.Group):
    """Verbs with RQ's connection options, unless a project calls it with its own as `obj`."""

    command_class = Verb

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        extra.setdefault("obj", RQ_OPTIONS)
        return super().make_context(*args, **extra)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rqrcron")
def main() -> None:
    """Show, explain and operate the recurring jobs of RQ that are kept in Redis."""
    take_any_text()


def _positive(
    _context: click.Context, _option: click.Parameter, value: Duration | None
) -> float | None:
    try:
        return None if value is None else check_interval(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@main.command()
@click.option("--by-queue", "-R", is_flag=True, help="Group the table by queue.")
@click.option(
    "--interval",
    "-i",
    type=as_seconds,
    metavar="SECONDS",
    callback=_positive,
    help="Redraw so often until Ctrl-C: 90, 10m.",
)
@click.option("--tag", metavar="WORD", help="Only schedules with this tag.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
@click.argument("queues", metavar="[QUEUE]...", nargs=-1)
@click.pass_obj
def info(
    chosen: ConnectionOptions,
    connection: Redis,
    queues: tuple[str, ...],
    by_queue: bool,
    interval: float | None,
    tag: str | None,
    as_json: bool,
) -> None:
    """List the schedules of all queues, or of each QUEUE.

    The columns are id, interval or cron expression, state, next enqueue time (UTC) and queue.
    Below the total stand schedules that are not as the code declares them ("overridden: interval
    900 (code: 600)", "orphan", "deleted by hand"), since when, by whom, why and until when others
    are disabled, those whose last run failed, and those that cannot be read. The last line says if
    no scheduler is running.

    With --json, "jobs" holds an object for each schedule with id, name, schedule, interval, cron,
    queue_name, func_name, args, kwargs, enabled, state, disabled_at, disabled_by, disabled_reason,
    disabled_until, next_enqueue_time, latest_enqueue_time, last_error, last_error_at, created_at,
    updated_at, revision, runs, finished_at, timezone, start_at, end_at, max_runs, jitter,
    misfire_grace, catch_up, catch_up_limit, overlap, max_failures, max_runtime, notify, tags,
    source, application, place, locked, orphaned_at, overrides, job_timeout, result_ttl, ttl,
    failure_ttl, meta, retry, on_success, on_failure, on_stopped, at_front and description;
    "damaged" an object with id and reason for each schedule that cannot be read; "deleted" one with
    id, application and place for each that was deleted by hand; "leader" and "standbys" name the
    schedulers; "updated" the time. Times are in UTC, or null. With --interval, an object is printed
    each time.

    Exit status: 0, also after Ctrl-C with --interval and when the reader of a pipe stops reading;
    1 when Redis cannot be used, or there is no such QUEUE; 2 for wrong usage; 130 after Ctrl-C
    without --interval.
    """
    show(
        reader(connection, queues, chosen.queues(connection), tag=tag, streamed=as_json),
        queues=queues,
        by_queue=by_queue,
        interval=interval,
        as_json=as_json,
        write=click.echo,
        write_part=partial(click.echo, nl=False),
    )


@main.command()
def reindex(connection: Redis) -> None:
    """Repair the index of schedules.

    Schedules that are missing from it, or stand too late in it, are put back, and entries that do
    not belong there are removed. A scheduler does the same when it starts.
    """
    report = rebuild_indexes(connection)
    click.echo(
        f"{report.schedules} schedules: {report.restored} put back into the index, "
        f"{report.pruned} stale entries removed"
    )


@main.command(ping=False)
@click.option(
    "--max-lag",
    type=as_seconds,
    default=MAX_LAG,
    show_default=True,
    metavar="SECONDS",
    help="How long a schedule may be due before it counts as late: 90, 10m.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
@click.option("--fail-on-error", is_flag=True, help="Fail for schedules in error, too.")
@click.pass_obj
def health(
    chosen: ConnectionOptions,
    connection: Redis,
    max_lag: Duration,
    as_json: bool,
    fail_on_error: bool,
) -> None:
    """Say in one line whether schedules run, for probes.

    The line begins with "ok", or with the gravest problem: "redis unreachable", "no scheduler",
    "stalled scheduler" (its heartbeat, which follows each pass, is old), "late schedules" or
    "schedules in error". Nothing is written to Redis, which is given two seconds for each answer.

    With --json, "ok" is true or false, "problem" an empty string or one of redis-unreachable,
    no-scheduler, stalled-scheduler, late-schedules and schedules-in-error, "message" the line;
    "leader", "leader_host", "leader_pid", "heartbeat_age", "standbys", "late", "oldest_late",
    "oldest_lag", "errors" and "first_error" hold the rest.

    Exit status: 0 when a scheduler leads and no schedule is late, else 1; 2 for wrong usage.
    """
    try:
        with reaching(connection):
            found = check_health(
                connection,
                max_lag=max_lag,
                fail_on_error=fail_on_error,
                application=chosen.application,
            )
    except UnreachableError as error:
        found = Health.unreachable(str(error))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(found.to_json() if as_json else found.message)
    if not found.ok:
        sys.exit(1)


for verb in (
    *(history, why, changes, revert, show_schedule, next_runs),
    *(enable, disable, run, delete, metrics, export, import_),
):
    main.add_command(verb)
