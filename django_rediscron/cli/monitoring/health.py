"""`rqrcron health`: whether schedules run, for probes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import click
from redis import Redis

from ...core.monitoring.health import MAX_LAG, Health, check_health
from ...core.store.servers import Server, read_each
from ...core.timing.durations import Duration, as_seconds, positive_seconds
from ...unreachable import UnreachableError, reaching
from ..verb import ConnectionOptions, Verb


@click.command(cls=Verb, ping=False, several=True)
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
    servers: Sequence[Server],
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

    With --all, which `manage.py rqrcron` has, there is a line for each server, which begins with
    its name. With --json, "ok" says whether all are, and "servers" holds an object for each, with
    its name as "server" and the rest as above.

    Exit status: 0 when a scheduler leads and no schedule is late, else 1; 2 for wrong usage.
    """
    try:
        probe = probing(max_lag, fail_on_error=fail_on_error, application=chosen.application)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if not tell_health(probe, connection, servers, click.echo, as_json=as_json):
        sys.exit(1)


Probe = Callable[[Redis], Health]


def probing(max_lag: Duration, *, fail_on_error: bool, application: str | None) -> Probe:
    """What reads the health of a Redis, also of one that is away. Raises ValueError.

    The arguments are those of `check_health`.
    """
    longest = positive_seconds("max_lag", max_lag)

    def probe(connection: Redis) -> Health:
        try:
            with reaching(connection):
                return check_health(
                    connection,
                    max_lag=longest,
                    fail_on_error=fail_on_error,
                    application=application,
                )
        except UnreachableError as error:
            return Health.unreachable(str(error))

    return probe


def tell_health(
    probe: Probe,
    connection: Redis,
    servers: Sequence[Server],
    write: Callable[[str], object],
    *,
    as_json: bool,
) -> bool:
    """Print the health of this Redis, or of each of `servers`, if any. Whether all is well."""
    if not servers:
        found = probe(connection)
        write(found.to_json() if as_json else found.message)
        return found.ok
    states = list(_states(probe, servers))
    all_well = all(health.ok for _, health in states)
    if as_json:
        facts = [{"server": name, **asdict(health)} for name, health in states]
        write(json.dumps({"ok": all_well, "servers": facts}))
    else:
        write("\n".join(f"{name}: {health.message}" for name, health in states))
    return all_well


def _states(probe: Probe, servers: Sequence[Server]) -> Iterator[tuple[str, Health]]:
    for server, found in read_each(servers, probe):
        health = Health.unreachable(str(found)) if isinstance(found, Exception) else found
        yield server.name, health
