"""The `rqrcron` console script. It takes RQ's own connection options and needs no Django."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any

import click
from redis import Redis
from redis.exceptions import RedisError
from rq.cli.helpers import CliConfig, pass_cli_config, read_config_file

from .._version import __version__
from ..core.exceptions import UnknownQueueError
from ..core.monitoring.health import MAX_LAG, Health, check_health
from ..core.quoting import quoted
from ..core.store.connections import check_url, hide_passwords
from ..core.store.listing import reindex as rebuild_indexes
from ..core.timing.durations import Duration, as_seconds
from ..terminal import one_line, take_any_text
from ..unreachable import UnreachableError, reaching
from .listing import check_interval, reader, show


@click.group()
@click.version_option(__version__, prog_name="rqrcron")
def main() -> None:
    """See and repair the recurring jobs of RQ that are kept in Redis."""
    take_any_text()


def redis_command(run: Callable[..., None], *, ping: bool = True) -> Callable[..., None]:
    """Give a command RQ's connection options, and call it with the connection that they name.

    With `ping`, Redis has answered on it once. What goes wrong on the way to Redis, or to stdout,
    ends in one line on stderr and status 1.
    """

    @wraps(run)
    def connected(cli_config: CliConfig, **options: Any) -> None:
        try:
            run(_connect(cli_config, ping=ping), **options)
        except UnreachableError as error:
            default = not (cli_config.url or cli_config.config)
            remedy = "; use --url to name another server" if default else ""
            raise click.ClickException(f"{error}{remedy}") from None
        except UnknownQueueError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(f"cannot write the output: {error.strerror}") from None
        except KeyboardInterrupt:
            sys.exit(130)

    configured: Callable[..., None] = pass_cli_config(connected)  # type: ignore[no-untyped-call]

    @wraps(configured)
    def checked(**options: Any) -> None:
        try:
            configured(**options)
        except ValueError as error:
            # RQ reports a class that it cannot import, but not a name without a dot.
            if str(error).startswith("Invalid attribute name"):
                raise click.UsageError(f"{error}; give a class by its dotted name") from None
            raise

    return checked


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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
@click.argument("queues", metavar="[QUEUE]...", nargs=-1)
@redis_command
def info(
    connection: Redis,
    queues: tuple[str, ...],
    by_queue: bool,
    interval: float | None,
    as_json: bool,
    **_options: Any,
) -> None:
    """List the schedules of all queues, or of each QUEUE.

    The columns are id, interval or cron expression, state, next enqueue time (UTC) and queue.
    Below the total stand schedules that are not as the code declares them ("overridden: interval
    900 (code: 600)", "orphan", "deleted by hand"), those whose last run failed, and those that
    cannot be read. The last line says if no scheduler is running.

    With --json, "jobs" holds an object for each schedule with id, name, schedule, interval, cron,
    queue_name, func_name, args, kwargs, enabled, state, next_enqueue_time, latest_enqueue_time,
    last_error, last_error_at, created_at, updated_at, revision, runs, finished_at, timezone,
    start_at, end_at, max_runs, jitter, misfire_grace, catch_up, catch_up_limit, overlap, source,
    application, place, locked, orphaned_at, overrides, job_timeout, result_ttl, ttl, failure_ttl,
    meta, retry, on_success, on_failure, on_stopped, at_front and description; "damaged" an object
    with id and reason for each schedule that cannot be read; "deleted" one with id, application and
    place for each that was deleted by hand; "leader" and "standbys" name the schedulers; "updated"
    the time. Times are in UTC, or null. With --interval, an object is printed each time.

    Exit status: 0, also after Ctrl-C with --interval and when the reader of a pipe stops reading;
    1 when Redis cannot be used, or there is no such QUEUE; 2 for wrong usage; 130 after Ctrl-C
    without --interval.
    """
    show(
        reader(connection, queues, streamed=as_json),
        queues=queues,
        by_queue=by_queue,
        interval=interval,
        as_json=as_json,
        write=click.echo,
        write_part=partial(click.echo, nl=False),
    )


@main.command()
@redis_command
def reindex(connection: Redis, **_options: Any) -> None:
    """Repair the index of schedules.

    Schedules that are missing from it, or stand too late in it, are put back, and entries that do
    not belong there are removed. A scheduler does the same when it starts.
    """
    with reaching(connection):
        report = rebuild_indexes(connection)
    click.echo(
        f"{report.schedules} schedules: {report.restored} put back into the index, "
        f"{report.pruned} stale entries removed"
    )


@main.command()
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
@partial(redis_command, ping=False)
def health(
    connection: Redis, max_lag: Duration, as_json: bool, fail_on_error: bool, **_options: Any
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
            found = check_health(connection, max_lag=max_lag, fail_on_error=fail_on_error)
    except UnreachableError as error:
        found = Health.unreachable(str(error))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(found.to_json() if as_json else found.message)
    if not found.ok:
        sys.exit(1)


def _connect(cli_config: CliConfig, *, ping: bool) -> Redis:
    """The connection that the options name; with `ping`, after one answer from Redis."""
    try:
        _check_address(cli_config)
        connection: Redis = cli_config.connection
        if ping:
            with reaching(connection):
                connection.ping()
    except RedisError:
        raise
    except Exception as error:  # the settings may be a module, which is anybody's code
        raise click.ClickException(f"{_source(cli_config)}: {_reason(error)}") from None
    return connection


def _check_address(cli_config: CliConfig) -> None:
    """Raise ValueError if RQ would take a part of the password for the host."""
    url = cli_config.url
    if not url:
        read: Callable[[str], Mapping[str, Any]] = read_config_file
        url = (read(cli_config.config) if cli_config.config else os.environ).get("REDIS_URL")
    if isinstance(url, str):
        check_url(url)


def _source(cli_config: CliConfig) -> str:
    if cli_config.url:
        return "cannot use the Redis address given with --url"
    if cli_config.config:
        return f"cannot use the settings module {quoted(cli_config.config)} given with --config"
    return "cannot use the Redis settings in the environment (REDIS_URL, REDIS_HOST, ...)"


def _reason(error: Exception) -> str:
    text = one_line(str(error))
    if isinstance(error, ValueError):
        # urllib quotes the wrong part of an address, which may be a piece of the password.
        return re.sub(r"'[^']*'", "'...'", text)
    return hide_passwords(f"{type(error).__name__}: {text}")
