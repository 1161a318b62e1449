"""What `rqrcron info` and `manage.py rqrcron_info` print: all schedules, as a table or as JSON."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import click
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from ...core.declared.tombstones import read_tombstones
from ...core.job import RedisCronJob
from ...core.monitoring.leadership import read_leadership
from ...core.store import Listing, list_schedules
from ...core.store.connections import own_client
from ...core.store.listing import stream_schedules
from ...core.store.pauses import read_pauses
from ...core.store.rq_queues import known_queues
from ...core.timing.durations import Duration, positive_seconds
from ...terminal import clear, discard_stdout, flush, one_line, with_progress
from ...unreachable import reaching
from ..selection import Selection
from .as_json import json_parts, to_json
from .choice import check_queues, selected_tombstones
from .table import render


def reader(
    connection: Redis,
    queues: Sequence[str] = (),
    known: Iterable[str] = (),
    *,
    selection: Selection | None = None,
    streamed: bool = False,
) -> Callable[[], Listing]:
    """The `read` of `show` for the schedules in this Redis; it raises `UnreachableError` only.

    `queues` are those asked for, `known` those that exist beside the ones that RQ has seen. With
    `selection`, only what it selects is in the listing. With
    `streamed`, schedules are read while they are printed, so that few are in memory at once.
    """

    client = own_client(connection)

    def read() -> Listing:
        with reaching(connection):
            listing: Listing
            among = {*selection.ids(connection)} if selection else None
            if streamed:
                listing = stream_schedules(connection, among=among)
                listing.stream = _reached(listing.stream, connection)
            else:
                listing = list_schedules(connection, among=among, watch=with_progress)
            with suppress(ResponseError):  # a user who may read schedules only
                listing.leadership = read_leadership(client)
            with suppress(ResponseError):
                listing.pauses = read_pauses(connection)
            with suppress(ResponseError):
                listing.deleted = list(read_tombstones(connection).values())
            listing.queues = _queues(listing, known, client) if queues else None
            if selection:
                listing.deleted = selected_tombstones(listing.deleted, selection)
            return listing

    return read


def _reached(jobs: Iterator[RedisCronJob], connection: Redis) -> Iterator[RedisCronJob]:
    with reaching(connection):
        yield from jobs


def _queues(listing: Listing, known: Iterable[str], client: Redis) -> frozenset[str] | None:
    """All that are known, with schedules or without; None if one may not ask for them."""
    try:
        seen = known_queues(client)
    except ResponseError:
        return None
    return frozenset({*known, *seen, *(listing.queues or (job.queue_name for job in listing.jobs))})


def show(
    read: Callable[[], Listing],
    *,
    queues: Sequence[str] = (),
    by_queue: bool = False,
    interval: Duration | None = None,
    as_json: bool = False,
    write: Callable[[str], None],
    write_part: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Print the listing once, or again after each `interval` until Ctrl-C, which then returns.

    `write` gets a whole text without its last newline and adds that; with `write_part`, which adds
    nothing, JSON is written in parts before. A reader of a pipe that goes away ends the listing
    without an error. An error of Redis is raised at the first reading; later ones go to `warn` (by
    default a line on stderr), one line for each, and reading goes on. Raises ValueError for an
    interval that is not a positive duration, and `UnknownQueueError` if one of `queues` is neither
    known nor has schedules.
    """
    pause = None if interval is None else check_interval(interval)
    redraws = pause is not None and not as_json

    def draw(listing: Listing) -> None:
        if as_json:
            _write_json(listing, queues, write, write_part)
        else:
            text = render(listing, queues, by_queue=by_queue)
            if redraws:
                clear()
            write(text)
        flush()

    with _ended_by_reader(redrawn=pause is not None):
        listing = read()
        check_queues(listing, queues)
        draw(listing)
        while pause is not None:
            sleep(pause)
            try:
                draw(read())
            except RedisError as error:
                if redraws:
                    clear()
                (warn or _warn)(one_line(str(error)))


@contextmanager
def _ended_by_reader(*, redrawn: bool) -> Iterator[None]:
    """End quietly at Ctrl-C, if it is redrawn until then, and if the reader of a pipe goes away."""
    try:
        yield
    except KeyboardInterrupt:
        if not redrawn:
            raise
        if sys.stderr is not None and sys.stderr.isatty():
            click.echo(err=True)  # the prompt shall not stand behind the terminal's ^C
    except OSError as error:
        discard_stdout()
        if not isinstance(error, BrokenPipeError):
            raise


def _write_json(
    listing: Listing,
    queues: Sequence[str],
    write: Callable[[str], None],
    write_part: Callable[[str], None] | None,
) -> None:
    if write_part is None:
        write(to_json(listing, queues))
        return
    try:
        for part in json_parts(listing, queues):
            write_part(part)
    finally:  # what was cut off does not stand on the line of the next one
        write("")


def check_interval(interval: Duration) -> float:
    """Its seconds. Raises ValueError unless one can wait for so long."""
    return positive_seconds("interval", interval, most=threading.TIMEOUT_MAX)


def _warn(line: str) -> None:
    click.echo(line, err=True)
