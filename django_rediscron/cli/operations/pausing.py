"""`rqrcron pause` and `rqrcron resume`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click
from redis import Redis

from ...core.exceptions import UnknownQueueError
from ...core.quoting import quoted
from ...core.store.connections import own_client
from ...core.store.pauses import MISSED, Missed, Pause, read_pauses
from ...core.store.pauses import pause as pause_now
from ...core.store.pauses import resume as resume_now
from ...core.store.rq_queues import known_queues
from ...core.store.search import read_names
from ...terminal import one_line
from ..completion import complete_queue
from ..listing.as_json import pause_facts
from ..listing.choice import NAMED
from ..options import json_option
from ..story.history import short_time
from ..verb import ConnectionOptions, Verb
from .enabling import reason_option, until_option

queue_option = click.option(
    "--queue",
    metavar="NAME",
    help="Only this queue (default: all).",
    shell_complete=complete_queue,
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would happen.")


@click.command(cls=Verb)
@queue_option
@reason_option("Why, for those who find everything paused.")
@until_option("When it ends by itself (UTC): 2026-06-03T05:40, or 2h, 1d from now.")
@click.option(
    "--missed",
    type=click.Choice(MISSED),
    default="skip",
    show_default=True,
    help="What becomes of runs that come due meanwhile.",
)
@dry_run_option
@json_option
@click.pass_obj
def pause(
    chosen: ConnectionOptions,
    connection: Redis,
    queue: str | None,
    reason: str,
    until: datetime | None,
    missed: Missed,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Enqueue nothing, of all queues or of one, until it is resumed.

    Once this returns, no schedule is enqueued; schedules are not changed. Jobs that are in their
    queues already, and runs by hand, are not affected. What comes due meanwhile is skipped; with
    --missed catch_up it runs afterwards, as each schedule's catch_up, misfire_grace and overlap
    say. What is paused already is so for this reason and until then from now on.

    With --json, "paused" is an object with queue (null: all of them), at, by, reason, until and
    missed for each pause that there is then.

    Exit status: 0; 1 when Redis cannot be used, or there is no such queue; 2 for wrong usage; 130
    after Ctrl-C.
    """
    if queue is not None:
        _check_queue(queue, chosen, connection)
    before = read_pauses(connection)
    if not dry_run:
        pause_now(connection, queue, reason=reason, until=until, missed=missed)
    elif not as_json:
        again = any(each.queue == queue for each in before)
        click.echo(f"{_what(queue)}: would be paused{' anew' if again else ''}")
    _tell(connection, as_json)


@click.command(cls=Verb)
@queue_option
@dry_run_option
@json_option
def resume(connection: Redis, queue: str | None, dry_run: bool, as_json: bool) -> None:
    """End the pause of all queues, or of one.

    A queue that is paused by itself stays so when all are resumed.

    With --json, "resumed" is the pause that has ended, or null, and "paused" holds those that there
    are still, as in pause.

    Exit status: 0, also if it was not paused; 1 when Redis cannot be used; 2 for wrong usage; 130
    after Ctrl-C.
    """
    ended: Pause | None
    if dry_run:
        ended = next((each for each in read_pauses(connection) if each.queue == queue), None)
    else:
        ended = resume_now(connection, queue)
    if not as_json and ended is None:
        click.echo(f"{_what(queue)}: not paused")
    elif not as_json:
        click.echo(f"{_what(queue)}: {'would be ' if dry_run else ''}resumed")
    _tell(connection, as_json, resumed=ended and pause_facts(ended))


def _tell(connection: Redis, as_json: bool, **facts: Any) -> None:
    """What is paused now."""
    pauses = read_pauses(connection)
    if as_json:
        click.echo(json.dumps({**facts, "paused": [pause_facts(each) for each in pauses]}))
        return
    for each in pauses:
        click.echo(one_line(f"{_what(each.queue)}: paused {each.describe(short_time)}"))


def _what(queue: str | None) -> str:
    return "everything" if queue is None else f"queue {quoted(queue)}"


def _check_queue(name: str, chosen: ConnectionOptions, connection: Redis) -> None:
    """A misspelt name would pause nothing."""
    known = known_queues(own_client(connection))
    found = sorted({*known, *chosen.queues(connection), *read_names(connection).queues})
    if name not in found:
        names = ", ".join(map(repr, found[:NAMED])) + (", ..." if found[NAMED:] else "")
        raise UnknownQueueError(f"there is no queue {quoted(name)}; the queues are {names}")
