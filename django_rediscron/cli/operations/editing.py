"""`rqrcron edit`: fields of schedules, changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click
from redis import Redis

from ...core.exceptions import InvalidScheduleError
from ...core.files.editing import edit_of, value_of, write
from ...core.job import RedisCronJob
from ..selection import ids_argument, selecting
from .many import Changes, Operation, Result, operating

ASSIGNMENT = re.compile(r"(\w+)=(.*)", re.DOTALL)


def _facts(result: Result) -> Mapping[str, Any]:
    return {"changes": {name: list(both) for name, both in sorted(result.changes.items())}}


@operating(
    "edit",
    facts=_facts,
    more=", and changes: field of its hash -> its text before and after",
    select=selecting(ids_argument("[ID]... FIELD=VALUE..."), words=ASSIGNMENT),
)
def edit(words: Sequence[str]) -> Operation:
    """Change fields of schedules, such as interval=10m.

    The fields are function, queue, interval, cron, args, kwargs, timezone, start_at, end_at,
    max_runs, jitter, misfire_grace, catch_up, catch_up_limit, overlap, max_failures, max_runtime,
    notify, tags, retry, on_success, on_failure, on_stopped, at_front, description, job_timeout,
    ttl, result_ttl, failure_ttl, meta, webhooks, name and enabled.

    Durations are 90, 10m, 2h; numbers, true and false, lists and mappings are in JSON, tags also
    in the form of ops,money; start_at and end_at are times with their offset from UTC. A FIELD
    without a VALUE gets its default. An interval takes the place of a cron expression, and a cron
    expression that of an interval. What is not named stays as it is, and so do other changes that
    are made at the same time. An ID that looks like FIELD=VALUE is given as a pattern, with [=].

    The lines below each schedule tell the fields that changed, before and after. Values of
    sensitive keyword arguments are shown as ********, which as a value stands for the stored one.
    """
    values = _values(words)

    def foresee(job: RedisCronJob, connection: Redis) -> Changes | None:
        step = edit_of(job, values, connection)
        return step.changes if step.change else None

    def do(job: RedisCronJob, connection: Redis) -> str:
        write(edit_of(job, values, connection), connection)
        return ""

    return Operation("updated", do, foresee, undone="unchanged")


def _values(words: Sequence[str]) -> dict[str, Any]:
    """Raises `click.UsageError`."""
    if not words:
        raise click.UsageError("say what to change, such as interval=10m")
    values: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name in values:
            raise click.UsageError(f"{name} is given twice")
        try:
            values[name] = value_of(name, text)
        except InvalidScheduleError as error:
            raise click.UsageError(str(error)) from None
    return values
