"""What is done to many schedules at once: to each of them, and what became of each is told."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
from redis import Redis
from redis.exceptions import ResponseError

from ...core.job import RedisCronJob
from ...core.quoting import LONGEST_MESSAGE, cut
from ...core.store import Damaged
from ...terminal import columns, confirm, fitted, one_line
from ..options import json_option
from ..selection import Selection, read_selected, selecting
from ..story.changes import field_line
from ..verb import REFUSALS, Verb, tell_server

Changes = Mapping[str, tuple[str, str]]
"""Field of a hash -> its text before and after."""


@dataclass(frozen=True)
class Operation:
    """What is done to each schedule."""

    done: str
    """The word for a schedule to which it was done."""
    do: Callable[[Any, Redis], str]
    """Does it; returns what else there is to tell. What it raises of `REFUSALS` is told."""
    foresee: Callable[[RedisCronJob, Redis], Changes | None] = lambda job, connection: {}
    """Fields that it would change and that are to be shown; None if there is nothing to do. It may
    raise what `do` does."""
    undone: str = ""
    """The word for a schedule to which there was nothing to do."""
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
    changes: Changes = field(default_factory=dict)


_COMMON = """

An ID may be a pattern such as 'billing:*', and '*' means all; with several options, all of them
must be met. A line for each schedule says what became of it.

With --json, "action" is the verb, "dry_run" true or false, and "schedules" holds an object for
each schedule with id, outcome (as in the line), done (true if it was done now) and error (or
null){more}.

Exit status: 0; 1 when Redis cannot be used, there is no such ID, or it could not be done to one of
the schedules; 2 for wrong usage; 130 after Ctrl-C.
"""

_YES = click.Option(["--yes", "-y"], is_flag=True, help="Do not ask for confirmation.")

_SELECTING = selecting()

_Factory = Callable[..., Operation]


def operating(
    name: str,
    *,
    asks: bool = False,
    facts: Callable[[Result], Mapping[str, Any]] = lambda result: {},
    more: str = "",
    select: Callable[[Callable[..., None]], Callable[..., None]] = _SELECTING,
) -> Callable[[_Factory], click.Command]:
    """The verb of the operation that a function returns for the verb's own options.

    `asks`: it is confirmed for more than one schedule. `facts`: what else is told of each in JSON,
    as the help says with `more`. `select`: gives it its arguments.
    """

    def make(operation: _Factory) -> click.Command:
        @select
        @click.option("--dry-run", is_flag=True, help="Only print what would be done.")
        @json_option
        def call(
            connection: Redis,
            selection: Selection,
            dry_run: bool,
            as_json: bool,
            yes: bool = True,
            **options: Any,
        ) -> None:
            if not selection:
                raise click.UsageError(f"name the schedules to {name}; '*' means all")
            steps = operation(**options)
            ids = selection.ids(connection)
            if asks and len(ids) > 1 and not (yes or dry_run):
                confirm(f"{name.capitalize()} {len(ids)} schedules?")

            def tell(results: Sequence[Result]) -> None:
                if as_json:
                    told = [{**_facts(result, steps), **facts(result)} for result in results]
                    click.echo(json.dumps({"action": name, "dry_run": dry_run, "schedules": told}))
                elif results or not ids:
                    _print(results)

            _do_to_all(steps, ids, connection, dry_run, tell)

        verb = click.command(name, cls=Verb)(call)
        verb.help = inspect.cleandoc(operation.__doc__ or "") + _COMMON.replace("{more}", more)
        verb.params[:0] = reversed(getattr(operation, "__click_params__", ()))
        if asks:
            verb.params.append(_YES)
        return verb

    return make


def _do_to_all(
    operation: Operation,
    ids: Sequence[str],
    connection: Redis,
    dry_run: bool,
    tell: Callable[[Sequence[Result]], None],
) -> None:
    """Do it, tell what became of each, and end with status 1 if it could not be done to one."""
    results: list[Result] = []
    try:
        for result in carry_out(operation, ids, connection, dry_run):
            results.append(result)
    finally:  # also if Redis goes away meanwhile
        tell(results)
    if any(result.failed for result in results):
        sys.exit(1)


def carry_out(
    operation: Operation, ids: Sequence[str], connection: Redis, dry_run: bool = False
) -> Iterator[Result]:
    """Do it to each of these schedules, and tell what became of it."""
    for id, job in read_selected(ids, connection):
        try:
            yield _result(operation, id, job, connection, dry_run)
        except (*REFUSALS, ResponseError) as error:
            yield _failure(operation, id, cut(error, LONGEST_MESSAGE))


def _result(
    operation: Operation,
    id: str,
    job: RedisCronJob | Damaged | None,
    connection: Redis,
    dry_run: bool,
) -> Result:
    if job is None:
        return _failure(operation, id, "it does not exist, or was deleted")
    changes: Changes | None = {}
    if isinstance(job, RedisCronJob):
        changes = operation.foresee(job, connection)
    elif not operation.takes_damaged:
        return _failure(operation, id, f"it cannot be read: {job.reason}")
    if changes is None:
        return Result(id, operation.undone)
    if dry_run:
        if isinstance(job, RedisCronJob) and job.locked and not operation.takes_locked:
            return _failure(operation, id, f"it is locked by the code: {job.place}")
        return Result(id, f"would be {operation.done}", changes=changes)
    return Result(id, operation.done, operation.do(job, connection), changes=changes)


def _failure(operation: Operation, id: str, reason: str) -> Result:
    return Result(id, f"not {operation.done}", reason, failed=True)


def _print(results: Sequence[Result]) -> None:
    if not results:
        click.echo("No schedules match")
        tell_server()
        return
    rows = [[one_line(result.id), result.outcome, one_line(result.note)] for result in results]
    for line, result in zip(columns(rows), results, strict=True):
        click.echo(fitted(line))
        for name, (before, after) in sorted(result.changes.items()):
            click.echo(fitted("    " + field_line(name, before, after)))


def _facts(result: Result, operation: Operation) -> dict[str, Any]:
    return {
        "id": result.id,
        "outcome": result.outcome,
        "done": result.outcome == operation.done,
        "error": result.note if result.failed else None,
    }
