"""What `rqrcron info` and `manage.py rqrcron_info` print: all schedules, as a table or as JSON."""

from __future__ import annotations

import io
import json
import math
import os
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from itertools import groupby
from typing import Any

import click
from redis import Redis
from redis import exceptions as redis_errors
from redis.exceptions import RedisError, ResponseError
from redis.sentinel import MasterNotFoundError, SentinelConnectionPool
from rq import Retry

from .core.connections import own_client
from .core.job import RedisCronJob
from .core.leadership import Leadership, read_leadership
from .core.options import JOB_DEFAULTS, TIME_DEFAULTS
from .core.origin import describe
from .core.store import Listing, list_schedules
from .core.timing import utc_text
from .core.tombstones import Tombstone, read_tombstones

JSON_FIELDS = (
    "id", "name", "schedule", "interval", "cron", "queue_name", "func_name", "args", "kwargs",
    "enabled", "state", "next_enqueue_time", "latest_enqueue_time", "last_error", "last_error_at",
    "created_at", "updated_at", "revision", "runs", "finished_at", *TIME_DEFAULTS,
    "source", "application", "place", "locked", "orphaned_at", "overrides",
)  # fmt: skip
"""Attributes of a schedule in the JSON listing, under the same names."""

JSON_OPTIONS = ("job_timeout", "result_ttl", "ttl", "failure_ttl", "meta", *JOB_DEFAULTS)
"""What RQ is told of each job, likewise."""


class UnreachableError(RedisError):
    """Redis gave no answer, or refused; str() is one line with its address, not its password."""


def reader(connection: Redis) -> Callable[[], Listing]:
    """The `read` of `show` for the schedules in this Redis; it raises `UnreachableError` only."""

    client = own_client(connection)

    def read() -> Listing:
        with reaching(connection):
            listing = list_schedules(connection)
            with suppress(ResponseError):  # a user who may read schedules only
                listing.leadership = read_leadership(client)
            with suppress(ResponseError):
                listing.deleted = list(read_tombstones(connection).values())
            return listing

    return read


@contextmanager
def reaching(connection: Redis) -> Iterator[None]:
    """Turn every error of Redis inside into an `UnreachableError`."""
    try:
        yield
    except RedisError as error:
        lost = isinstance(error, (redis_errors.ConnectionError, redis_errors.TimeoutError))
        refused = isinstance(error, redis_errors.AuthenticationError)
        verb = "reached" if lost and not refused else "used"
        # redis-py lists the Sentinel clients behind " : ", in some versions with their passwords.
        cut = " : " if isinstance(error, MasterNotFoundError) else None
        reason = one_line(str(error).partition(cut)[0] if cut else str(error))
        raise UnreachableError(f"{_address(connection)} cannot be {verb}: {reason}") from error


def show(
    read: Callable[[], Listing],
    *,
    queues: Sequence[str] = (),
    by_queue: bool = False,
    interval: float | None = None,
    as_json: bool = False,
    write: Callable[[str], None],
    warn: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Print the listing once, or again every `interval` seconds until Ctrl-C, which then returns.

    `write` gets a whole text without its last newline and adds that. A reader of a pipe that goes
    away ends the listing without an error. An error of Redis is raised at the first reading; later
    ones go to `warn` (by default a line on stderr), one line for each, and reading goes on.
    Raises ValueError for an interval that is not a positive number of seconds.
    """
    if interval is not None:
        check_interval(interval)
    redraws = interval is not None and not as_json

    def draw(listing: Listing) -> None:
        text = to_json(listing, queues) if as_json else render(listing, queues, by_queue=by_queue)
        if redraws:
            _clear()
        write(text)
        _flush()

    try:
        draw(read())
        while interval is not None:
            sleep(interval)
            try:
                draw(read())
            except RedisError as error:
                if redraws:
                    _clear()
                (warn or _warn)(one_line(str(error)))
    except KeyboardInterrupt:
        if interval is None:
            raise
        if sys.stderr is not None and sys.stderr.isatty():
            click.echo(err=True)  # the prompt shall not stand behind the terminal's ^C
    except OSError as error:
        _discard_stdout()
        if not isinstance(error, BrokenPipeError):
            raise


def check_interval(seconds: float) -> None:
    """Raise ValueError unless it is a number of seconds that one can wait."""
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise ValueError(f"interval must be a positive number of seconds, got {seconds:g}")


def render(
    listing: Listing,
    queues: Sequence[str] = (),
    *,
    by_queue: bool = False,
    now: datetime | None = None,
) -> str:
    """The listing as a table, of all queues or of those named, without the last newline.

    Below the total stand the schedulers that lead and stand by, if any stands by, schedules that
    are not as the code declares them, those whose last run failed and those that cannot be read.
    The latter are named for every choice of queues: which queue was theirs cannot be read either.
    """
    jobs = _chosen(listing, queues)
    if not jobs:
        lines = ["No scheduled jobs"]
    elif by_queue:
        lines = _table_by_queue(jobs)
    else:
        lines = _table([[*_cells(job), one_line(job.queue_name)] for job in jobs])
        lines.append(f"{len(jobs)} scheduled jobs total")
    lines += _schedulers(listing.leadership)
    lines += [line for job in jobs for line in _against_code(job)]
    for tombstone in _chosen_tombstones(listing, queues):
        lines.append(
            f"code     {one_line(tombstone.id)}: deleted by hand, declared at "
            f"{one_line(tombstone.place)}"
        )
    for job in jobs:
        if job.last_error:
            lines.append(f"error    {one_line(job.id)}: {one_line(job.last_error)}")
    for damaged in listing.damaged:
        lines.append(f"damaged  {one_line(damaged.id)}: {one_line(damaged.reason)}")
    updated = (now or datetime.now()).isoformat(" ", "microseconds")
    return "\n".join(line.rstrip() for line in [*lines, "", f"Updated: {updated}"])


def to_json(listing: Listing, queues: Sequence[str] = ()) -> str:
    """The listing as one JSON object on one line, in ASCII.

    `jobs` holds an object with `JSON_FIELDS` and `JSON_OPTIONS` for each schedule, `damaged` one
    with `id` and `reason` for each that cannot be read (whichever queues are asked for), `deleted`
    one with `id`, `application` and `place` for each that was deleted by hand while code declares
    it, `leader` the name of the scheduler that leads or null, `standbys` those that wait to take
    over, `updated` the time. Times are UTC in RQ's format, or null.
    """
    leadership = listing.leadership
    return json.dumps(
        {
            "jobs": [_plain(_facts(job)) for job in _chosen(listing, queues)],
            "damaged": [{"id": each.id, "reason": each.reason} for each in listing.damaged],
            "deleted": [
                {"id": each.id, "application": each.application, "place": each.place}
                for each in _chosen_tombstones(listing, queues)
            ],
            "leader": leadership and leadership.leader and leadership.leader.name,
            "standbys": [each.name for each in leadership.standbys] if leadership else [],
            "updated": utc_text(datetime.now(timezone.utc)),
        }
    )


def one_line(text: str) -> str:
    """The text on one line, with what could steer or disarrange a terminal spelled out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _address(connection: Redis) -> str:
    pool = connection.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        sentinels = ", ".join(_address(s) for s in pool.sentinel_manager.sentinels)
        return f"the master {pool.service_name!r} known to {sentinels}"
    options = pool.connection_kwargs
    if options.get("path"):
        return f"Redis at unix:{options['path']}"
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    return f"Redis at {host}:{port}/{options.get('db') or 0}"


def _clear() -> None:
    """Clear the screen, if it is one: a pipe or a file gets one listing after the other."""
    click.clear()
    _flush()


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _warn(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def printing() -> Iterator[None]:
    """Let stdout print any id, and end without an error where the reader of a pipe goes away.

    Other errors of stdout are raised, once.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # An id that the terminal's encoding lacks shall not end the listing.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        _flush()
    except OSError as error:
        _discard_stdout()
        if not isinstance(error, BrokenPipeError):
            raise


def _discard_stdout() -> None:
    """Send to nowhere what Python would still try to flush, and complain about, when it exits."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _chosen(listing: Listing, queues: Sequence[str]) -> list[RedisCronJob]:
    jobs = (job for job in listing.jobs if not queues or job.queue_name in queues)
    return sorted(jobs, key=lambda job: (job.queue_name, job.id))


def _chosen_tombstones(listing: Listing, queues: Sequence[str]) -> list[Tombstone]:
    return [
        each
        for each in listing.deleted
        if not queues or (each.declared or {}).get("queue_name") in queues
    ]


def _against_code(job: RedisCronJob) -> Iterator[str]:
    """A line for each way in which a schedule is not as code declares it."""
    if job.orphaned_at is not None:
        yield (
            f"code     {one_line(job.id)}: orphan: no longer declared since "
            f"{utc_text(job.orphaned_at)}, then at {one_line(job.place or '')}"
        )
    if job.overrides:
        yield f"code     {one_line(job.id)}: {one_line(describe(job.overrides))}"


def _table_by_queue(jobs: list[RedisCronJob]) -> list[str]:
    lines = []
    groups = 0
    for queue_name, group in groupby(jobs, key=lambda job: job.queue_name):
        groups += 1
        rows = _table([_cells(job) for job in group])
        lines += [f"{one_line(queue_name)}:", *(f"  {row}" for row in rows), ""]
    return [*lines, f"{groups} queues, {len(jobs)} scheduled jobs total"]


def _schedulers(leadership: Leadership | None) -> list[str]:
    """Who leads and who stands by, on one line; nothing where nobody stands by."""
    if leadership is None or not leadership.standbys:
        return []
    leader = leadership.leader
    parts = [f"{one_line(leader.name)} leads" if leader else "nobody leads"]
    parts += [f"{one_line(standby.name)} stands by" for standby in leadership.standbys]
    return [f"Scheduler: {', '.join(parts)}"]


def _cells(job: RedisCronJob) -> list[str]:
    state = "enabled" if job.state == "error" else job.state  # errors stand below the table
    if job.state == "finished":
        next_time = "-"
    elif job.next_enqueue_time is not None:
        next_time = utc_text(job.next_enqueue_time)
    else:
        next_time = "now" if job.enabled else "-"
    return [one_line(job.id), one_line(job.schedule), f"{state:8}", next_time]


def _table(rows: list[list[str]]) -> list[str]:
    """The rows as lines, each column as wide as its widest cell and two blanks apart."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append("  ".join(text + " " * (width - _width(text)) for text, width in cells))
    return lines


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _facts(job: RedisCronJob) -> dict[str, Any]:
    return {
        **{field: getattr(job, field) for field in JSON_FIELDS},
        "overrides": {
            field: {"value": value, "code": code} for field, (value, code) in job.overrides.items()
        },
        **{option: job.job_options.get(option) for option in JSON_OPTIONS},
    }


def _plain(value: Any, depth: int = 100) -> Any:
    """The value in types that every reader of JSON accepts: no NaN, and not nested without end."""
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, Retry):
        return {"max": value.max, "intervals": list(value.intervals)}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (dict, list, tuple)) and depth == 0:
        return "..."
    if isinstance(value, dict):
        return {str(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth - 1) for item in value]
    return value
