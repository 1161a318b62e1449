"""What a schedule may say beyond what to run and how often: its options and their defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar

from rq import Callback, Retry

from ..exceptions import InvalidScheduleError
from ..timing.durations import Duration
from .option_checks import CHECKS, CatchUp, Overlap
from .rq_options import CALLBACKS

if TYPE_CHECKING:
    from .definition import Definition


DEFAULT_CATCH_UP_LIMIT = 100


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


_ARGUMENTS = (
    *("args", "kwargs", "interval", "cron", "job_timeout", "result_ttl", "ttl", "failure_ttl"),
    *("meta", "enabled", "webhooks", "name"),
)
"""What else all ways to make a schedule take, beside what it runs, its queue and its id."""

_T = TypeVar("_T")

NO_OPTIONS: dict[str, Any] = {}
"""What most schedules share; it is never changed, for each change of options makes a new dict."""


class Option(Generic[_T]):
    """An attribute of a schedule that is an option.

    Only those that are not defaults take memory: there may be a hundred thousand schedules.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.default: _T = TIME_DEFAULTS[name]

    def __get__(self, job: Definition | None, owner: type[Definition]) -> _T:
        if job is None:
            return self.default
        value: _T = job.time_options.get(self.name, self.default)
        return value

    def __set__(self, job: Definition, value: _T) -> None:
        job.time_options = {**job.time_options, self.name: value}


def refuse_unknown(options: Mapping[str, Any], *others: str) -> None:
    """Raise TypeError for options that there are not; `others`: what else this call takes."""
    unknown = options.keys() - TIME_DEFAULTS.keys() - JOB_DEFAULTS.keys()
    if unknown:
        known = ", ".join((*_ARGUMENTS, *TIME_DEFAULTS, *JOB_DEFAULTS, *others))
        raise TypeError(
            f"unknown options of a schedule: {', '.join(map(repr, sorted(unknown)))}; "
            f"there are {known}"
        )


def set_options(job: Definition, options: ScheduleOptions) -> None:
    """Give a new job these options. Raises TypeError for unknown ones."""
    refuse_unknown(options)
    job.time_options = {name: value for name, value in options.items() if name in TIME_DEFAULTS}
    job.job_options.update({name: value for name, value in options.items() if name in JOB_DEFAULTS})


def has_no_options(job: Definition) -> bool:
    """Whether all are defaults, as of most schedules; asked of thousands at once."""
    return not job.time_options and JOB_DEFAULTS.keys().isdisjoint(job.job_options)


def check_options(job: Definition) -> None:
    """All options of a job, brought into the form in which they are kept."""
    if has_no_options(job):
        return
    job.time_options = _checked(job.time_options, TIME_DEFAULTS)
    given = {name: job.job_options[name] for name in job.job_options.keys() & JOB_DEFAULTS.keys()}
    checked = _checked(given, JOB_DEFAULTS)
    for name in given:
        del job.job_options[name]
    job.job_options.update(checked)
    start_at, end_at = job.start_at, job.end_at
    if start_at and end_at and end_at < start_at:
        raise InvalidScheduleError(
            f"end_at must not be before start_at, got end_at={end_at.isoformat()} and "
            f"start_at={start_at.isoformat()}; correct one of them"
        )


def _checked(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Those that are no defaults."""
    checked = {
        name: value if value is defaults[name] else CHECKS[name](name, value)
        for name, value in values.items()
    }
    return {name: value for name, value in checked.items() if value != defaults[name]}
