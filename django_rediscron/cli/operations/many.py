"""`rqrcron enable`, `disable`, `run` and `delete`: what is done to many schedules at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import click
from redis import Redis
from redis.exceptions import ResponseError
from rq.exceptions import NoSuchJobError

from ...core.exceptions import InvalidScheduleError
from ...core.job import RedisCronJob
from ...core.quoting import LONGEST_REASON, cut
from ...core.schedule.option_checks import check_end, check_reason
from ...core.store import Damaged, fetch_many
from ...core.store.saving import delete_schedules
from ...terminal import columns, confirm, fitted, one_line, with_progress
from ..options import json_option, moment_in
from ..selection import Selection, selecting
from ..verb import REFUSALS, Verb

PAGE = 200
"""Schedules that are read in one round trip."""


@dataclass(frozen=True)
class Operation:
    """What is done to each schedule."""

    name: str
    done: str
    """The word for a schedule to which it was done."""
    do: Callable[[Any, Redis], str]
    """Does it; returns what else there is to tell. What it raises of `REFUSALS` is told."""
    is_done: Callable[[RedisCronJob], bool] = lambda job: False
    """Whether there is nothing to do."""
    asks: bool = False
    """Whether it is confirmed for more than one schedule."""
    takes_damaged: bool = False
    """Whether it is done to what cannot be read, too."""
    takes_locked: bool = False
    """Whether it is done to what is locked by the code, too."""


@dataclass(frozen=True)
class Result:
    """What became of a schedule."""

    id: str
    outcome: str
    note: str = ""
    failed: bool = False


def _enable(job: RedisCronJob, _: Redis) -> str:
    job.enable()
    return ""


def _disable(job: RedisCronJob, _: Redis) -> str:
    job.disable()
    return ""


def disabling(reason: str, until: datetime | None) -> Operation:
    """As `DISABLE`, for this reason and until then, also of what is disabled for another one."""

    def do(job: RedisCronJob, _: Redis) -> str:
        job.disable(reason=reason, until=until)
        return ""

    def is_done(job: RedisCronJob) -> bool:
        return not job.enabled and (job.disabled_reason, job.disabled_until) == (reason, until)

    return replace(DISABLE, do=do, is_done=is_done)


def _enqueue(job: RedisCronJob, connection: Redis) -> str:
    return job.enqueue(connection).id


def _delete(job: RedisCronJob | Damaged, connection: Redis) -> str:
    if not delete_schedules([job.id], connection):
        raise NoSuchJobError("it was deleted meanwhile")
    return ""


ENABLE = Operation("enable", "enabled", _enable, is_done=lambda job: job.enabled)
DISABLE = Operation("disable", "disabled", _disable, is_done=lambda job: not job.enabled)
RUN = Operation("run", "enqueued", _enqueue, asks=True, takes_locked=True)
DELETE = Operation("delete", "deleted", _delete, asks=True, takes_damaged=True)


_COMMON = """
An ID may be a pattern such as 'billing:*', and '*' means all; with several options, all of them
must be met. A line for each schedule says what became of it.

With --json, "action" is the verb, "dry_run" true or false, and "schedules" holds an object for each
schedule with id, outcome (as in the line), done (true if it was done now) and error (or null); of
run, also job_id.

Exit status: 0; 1 when Redis cannot be used, there is no such ID, or it could not be done to one of
the schedules; 2 for wrong usage; 130 after Ctrl-C.
"""


def _checked_reason(_context: click.Context, _option: click.Parameter, value: str) -> str:
    try:
        return check_reason(value)
    except InvalidScheduleError as error:
        raise click.BadParameter(str(error)) from None


def _checked_end(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> datetime | None:
    try:
        moment = datetime.now(timezone.utc)
        return check_end("TIME", value and moment_in(value, ahead=True), moment)
    except InvalidScheduleError as error:
        raise click.BadParameter(str(error)) from None


_why = click.option(
    "--reason",
    default="",
    callback=_checked_reason,
    metavar="TEXT",
    help="Why, for those who find them disabled.",
)
_until = click.option(
    "--until",
    callback=_checked_end,
    metavar="TIME",
    help="The scheduler enables them then (UTC): 2026-06-03T05:40, or 2h, 1d from now.",
)


def _verb(operation: Operation, text: str) -> click.Command:
    """The command of an operation; `text`: its help."""

    @selecting
    @click.option("--dry-run", is_flag=True, help="Only print what would be done.")
    @json_option
    def call(
        connection: Redis,
        selection: Selection,
        dry_run: bool,
        as_json: bool,
        yes: bool = True,
        reason: str = "",
        until: datetime | None = None,
    ) -> None:
        if not selection:
            raise click.UsageError(f"name the schedules to {operation.name}; '*' means all")
        what = disabling(reason, until) if reason or until else operation
        ids = selection.ids(connection)
        if operation.asks and len(ids) > 1 and not (yes or dry_run):
            confirm(f"{operation.name.capitalize()} {len(ids)} schedules?")
        results: list[Result] = []
        try:
            steps = carry_out(what, ids, connection, dry_run)
            for result in with_progress(steps, len(ids)):
                results.append(result)
        finally:  # also if Redis goes away meanwhile
            if as_json:
                click.echo(_to_json(operation, results, dry_run=dry_run))
            elif results or not ids:
                _print(results)
        if any(result.failed for result in results):
            sys.exit(1)

    if operation is DISABLE:
        call = _why(_until(call))
    if operation.asks:
        option = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
        call = option(call)
    call.__doc__ = text + _COMMON
    return click.command(operation.name, cls=Verb)(call)


def carry_out(
    operation: Operation, ids: Sequence[str], connection: Redis, dry_run: bool = False
) -> Iterator[Result]:
    """Do it to each of these schedules, and tell what became of it."""
    for at in range(0, len(ids), PAGE):
        page = ids[at : at + PAGE]
        found = fetch_many(page, connection)
        for id in page:
            yield _result(operation, id, found.get(id), connection, dry_run)


def _result(
    operation: Operation,
    id: str,
    job: RedisCronJob | Damaged | None,
    connection: Redis,
    dry_run: bool,
) -> Result:
    refused = f"not {operation.done}"
    if job is None:
        return Result(id, refused, "it does not exist, or was deleted", failed=True)
    if isinstance(job, Damaged):
        if not operation.takes_damaged:
            return Result(id, refused, f"it cannot be read: {job.reason}", failed=True)
    elif operation.is_done(job):
        return Result(id, f"{operation.done} already")
    if dry_run:
        if isinstance(job, RedisCronJob) and job.locked and not operation.takes_locked:
            return Result(id, refused, f"it is locked by the code: {job.place}", failed=True)
        return Result(id, f"would be {operation.done}")
    try:
        return Result(id, operation.done, operation.do(job, connection))
    except (*REFUSALS, ResponseError) as error:
        return Result(id, refused, cut(error, LONGEST_REASON), failed=True)


def _print(results: Sequence[Result]) -> None:
    rows = [[one_line(result.id), result.outcome, one_line(result.note)] for result in results]
    for line in columns(rows) if rows else ["No schedules match"]:
        click.echo(fitted(line))


def _to_json(operation: Operation, results: Sequence[Result], *, dry_run: bool) -> str:
    facts: list[dict[str, Any]] = [
        {
            "id": result.id,
            "outcome": result.outcome,
            "done": result.outcome == operation.done,
            "error": result.note if result.failed else None,
            **({"job_id": result.note} if operation is RUN and not result.failed else {}),
        }
        for result in results
    ]
    return json.dumps({"action": operation.name, "dry_run": dry_run, "schedules": facts})


enable = _verb(
    ENABLE,
    """Let schedules run from now on.

Runs that were missed while they were disabled are not caught up.
""",
)
disable = _verb(
    DISABLE,
    """Keep schedules, but do not run them.

Jobs that are in their queues already run all the same. With a reason or an end, schedules that are
disabled already are so for this reason and until then from now on.
""",
)
run = _verb(
    RUN,
    """Enqueue one job of each schedule now.

Their times are not affected, and it does not matter whether they are enabled. More than one is
confirmed first, or with --yes.
""",
)
delete = _verb(
    DELETE,
    """Delete schedules.

Their jobs stay in their queues, and what is on record of them for a year: revert creates one again.
More than one is confirmed first, or with --yes.
""",
)
