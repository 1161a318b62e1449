"""`rqrcron health`: whether schedules run, for probes."""

from __future__ import annotations

import sys

import click
from redis import Redis

from ...core.monitoring.health import MAX_LAG, Health, check_health
from ...core.timing.durations import Duration, as_seconds
from ...unreachable import UnreachableError, reaching
from ..verb import ConnectionOptions, Verb


@click.command(cls=Verb, ping=False)
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
    "oldest_lag", "errors", "first_error" and "paused" (names of queues, or "*") hold the rest.
    What is paused on purpose is no problem: the line says so.

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
