"""What a schedule may say beyond what to run and how often: its options and their defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Literal, TypedDict, cast

from rq import Callback, Retry

from ..timing.durations import Duration
from .rq_options import CALLBACKS

CatchUp = Literal["latest", "all", "skip"]
Overlap = Literal["allow", "skip", "queue_one"]

DEFAULT_CATCH_UP_LIMIT = 100

DEFAULT_RESULT_TTL = 500
"""Seconds; RQ's own default."""


class ScheduleOptions(TypedDict, total=False):
    """The options that all ways to make a schedule take, by keyword only.

    `timezone`: IANA name or `ZoneInfo` in which a cron expression is read; by default the process's
    local zone. `start_at`, `end_at` (aware datetimes): no occurrence before the one or after the
    other; an interval counts from `start_at`. `max_runs`: how many jobs it enqueues at the most.

    Durations are numbers of seconds, timedeltas, or texts such as `"10m"`.

    `jitter` (a duration, 0): longest delay of an occurrence, which is the same in every process.
    `catch_up`: what to do about occurrences that were missed: one run for all of them (`latest`,
    the default), a run for each (`all`, at most the newest `catch_up_limit`, 100), or none
    (`skip`). `misfire_grace` (a duration): an occurrence that is later than that never runs.
    `overlap`: whether a run may be enqueued while an earlier one has not ended: `allow` (the
    default), not at all (`skip`), or only while none waits (`queue_one`).

    `retry`: RQ's `Retry`, or the greatest number of further attempts. `on_success`, `on_failure`,
    `on_stopped`: dotted name of a callback, a function, or RQ's `Callback`. `at_front`: whether
    jobs go to the front of their queue. `description`: RQ's description of each job.
    """

    timezone: str | tzinfo | None
    start_at: datetime | None
    end_at: datetime | None
    max_runs: int | None
    jitter: Duration
    misfire_grace: Duration | None
    catch_up: CatchUp
    catch_up_limit: int
    overlap: Overlap
    retry: Retry | int | None
    on_success: str | Callable[..., Any] | Callback | None
    on_failure: str | Callable[..., Any] | Callback | None
    on_stopped: str | Callable[..., Any] | Callback | None
    at_front: bool
    description: str | None


class ScheduleArguments(ScheduleOptions, total=False):
    """All that `register` takes beside the function, its queue and the id.

    `args`, `kwargs`: what the function is called with, JSON values. `interval` or `cron`: when; an
    expression is read in `timezone`. `job_timeout`, `result_ttl` (500 seconds), `ttl`,
    `failure_ttl`, `meta`, `webhooks`: what RQ is told of each job. `enabled`: whether it runs, by
    default; one that is stored keeps its state where this is None. `name`: RQ's name of a cron job,
    here only a label.
    """

    args: tuple[Any, ...] | None
    kwargs: dict[str, Any] | None
    interval: Duration | None
    cron: str | None
    job_timeout: Duration | None
    result_ttl: Duration | None
    ttl: Duration | None
    failure_ttl: Duration | None
    meta: dict[str, Any] | None
    enabled: bool | None
    webhooks: Sequence[Any] | None
    name: str


TIME_DEFAULTS: dict[str, Any] = {
    "timezone": None,
    "start_at": None,
    "end_at": None,
    "max_runs": None,
    "jitter": 0,
    "misfire_grace": None,
    "catch_up": "latest",
    "catch_up_limit": DEFAULT_CATCH_UP_LIMIT,
    "overlap": "allow",
}
"""Options that are attributes of a schedule."""

JOB_DEFAULTS: dict[str, Any] = {
    "retry": None,
    **dict.fromkeys(CALLBACKS),
    "at_front": False,
    "description": None,
}
"""Options that RQ is told of each job; they stand in the schedule's `job_options`."""


_POSITIONAL = (
    *("args", "kwargs", "interval", "cron", "job_timeout", "result_ttl", "ttl", "failure_ttl"),
    *("meta", "enabled"),
)
"""What `register` also takes by position, behind the id."""

_ARGUMENTS = (*_POSITIONAL, "webhooks", "name")
"""What else all ways to make a schedule take, beside what it runs, its queue and its id."""

NO_OPTIONS: dict[str, Any] = {}
"""What most schedules share; it is never changed, for each change of options makes a new dict."""


def by_name(positional: Sequence[Any], arguments: ScheduleArguments) -> ScheduleArguments:
    """The arguments of `register`, with those by position. Raises TypeError as Python does."""
    if len(positional) > len(_POSITIONAL):
        raise TypeError(f"register() takes at most {3 + len(_POSITIONAL)} positional arguments")
    given = dict(zip(_POSITIONAL, positional, strict=False))
    for name in given.keys() & arguments.keys():
        raise TypeError(f"register() got multiple values for argument {name!r}")
    return cast(ScheduleArguments, {**given, **arguments})


def refuse_unknown(options: Mapping[str, Any], *others: str) -> None:
    """Raise TypeError for options that there are not; `others`: what else this call takes."""
    unknown = options.keys() - TIME_DEFAULTS.keys() - JOB_DEFAULTS.keys() - {*_ARGUMENTS}
    if unknown:
        known = ", ".join((*_ARGUMENTS, *TIME_DEFAULTS, *JOB_DEFAULTS, *others))
        raise TypeError(
            f"unknown options of a schedule: {', '.join(map(repr, sorted(unknown)))}; "
            f"there are {known}"
        )
