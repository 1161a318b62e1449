"""What a schedule may say beyond what to run and how often: options, their defaults and checks.

Each check returns the value in the form in which it is kept, or raises `InvalidScheduleError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, TypeVar, get_args
from zoneinfo import ZoneInfo

from rq import Callback, Retry

from .exceptions import InvalidScheduleError
from .imports import function_name, is_dotted_name, resolve_function

if TYPE_CHECKING:
    from .job import RedisCronJob

CatchUp = Literal["latest", "all", "skip"]
Overlap = Literal["allow", "skip", "queue_one"]

MAX_SECONDS = 2**31 - 1
"""Seconds of the options, 68 years: what alarm(2) and Redis can count."""

MAX_RUNS = 2**53
MAX_CATCH_UP = 10_000
"""Occurrences: more of them at once would rather drown the workers than help anybody."""

DEFAULT_CATCH_UP_LIMIT = 100


class ScheduleOptions(TypedDict, total=False):
    """The options that all ways to make a schedule take, by keyword only.

    `timezone`: IANA name or `ZoneInfo` in which a cron expression is read; by default the process's
    local zone. `start_at`, `end_at` (aware datetimes): no occurrence before the one or after the
    other; an interval counts from `start_at`. `max_runs`: how many jobs it enqueues at the most.

    `jitter` (seconds, 0): longest delay of an occurrence, which is the same in every process.
    `catch_up`: what to do about occurrences that were missed: one run for all of them (`latest`,
    the default), a run for each (`all`, at most the newest `catch_up_limit`, 100), or none
    (`skip`). `misfire_grace` (seconds): an occurrence that is later than that never runs.
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
    jitter: float
    misfire_grace: float | None
    catch_up: CatchUp
    catch_up_limit: int
    overlap: Overlap
    retry: Retry | int | None
    on_success: str | Callable[..., Any] | Callback | None
    on_failure: str | Callable[..., Any] | Callback | None
    on_stopped: str | Callable[..., Any] | Callback | None
    at_front: bool
    description: str | None


CALLBACKS = ("on_success", "on_failure", "on_stopped")

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

    def __get__(self, job: RedisCronJob | None, owner: type[RedisCronJob]) -> _T:
        if job is None:
            return self.default
        value: _T = job.time_options.get(self.name, self.default)
        return value

    def __set__(self, job: RedisCronJob, value: _T) -> None:
        job.time_options = {**job.time_options, self.name: value}


def set_options(job: RedisCronJob, options: ScheduleOptions) -> None:
    """Give a new job these options. Raises TypeError for unknown ones."""
    unknown = options.keys() - TIME_DEFAULTS.keys() - JOB_DEFAULTS.keys()
    if unknown:
        known = ", ".join((*TIME_DEFAULTS, *JOB_DEFAULTS))
        raise TypeError(
            f"unknown options of a schedule: {', '.join(map(repr, sorted(unknown)))}; "
            f"there are {known}"
        )
    job.time_options = {name: value for name, value in options.items() if name in TIME_DEFAULTS}
    job.job_options.update({name: value for name, value in options.items() if name in JOB_DEFAULTS})


def has_no_options(job: RedisCronJob) -> bool:
    """Whether all are defaults, as of most schedules; asked of thousands at once."""
    return not job.time_options and JOB_DEFAULTS.keys().isdisjoint(job.job_options)


def check_options(job: RedisCronJob) -> None:
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


def check_timezone(name: str, value: object) -> str | None:
    """The IANA name of a zone that this system knows."""
    if value is None or value == "":
        return None
    key = getattr(value, "key", None) if isinstance(value, tzinfo) else value
    if not isinstance(key, str):
        raise InvalidScheduleError(
            f"{name} must be the IANA name of a time zone such as 'Europe/Paris', or a ZoneInfo "
            f"that has one, got {value!r}"
        )
    find_zone(key)
    return key


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo:
    """The zone of that name. Raises `InvalidScheduleError` where this system has none."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise InvalidScheduleError(
            f"timezone must be the IANA name of a time zone such as 'Europe/Paris', got {name!r}; "
            f"correct it, or install the package tzdata where the system has no time zones"
        ) from None


def check_moment(name: str, value: object) -> datetime | None:
    """A datetime that says which zone it is in."""
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidScheduleError(
            f"{name} must be an aware datetime, got {value!r}; give it a tzinfo"
        )
    return value


def check_count(name: str, value: object) -> int | None:
    """A positive whole number, or None for no limit."""
    if value is None:
        return None
    if type(value) is not int or not 0 < value <= MAX_RUNS:
        raise InvalidScheduleError(
            f"{name} must be a positive whole number, or None for no limit, got {value!r}"
        )
    return value


def check_catch_up_limit(name: str, value: object) -> int:
    """How many missed occurrences run at the most."""
    if type(value) is not int or not 0 < value <= MAX_CATCH_UP:
        raise InvalidScheduleError(
            f"{name} must be a whole number from 1 to {MAX_CATCH_UP}, got {value!r}; "
            f"to run none of the missed occurrences use catch_up='skip'"
        )
    return value


def check_jitter(name: str, value: Any) -> float:
    """Seconds, zero for none."""
    if value is None:
        return 0
    if not _is_number(value) or not 0 <= value <= MAX_SECONDS:
        raise InvalidScheduleError(
            f"{name} must be a number of seconds from 0 (none) to {MAX_SECONDS}, got {value!r}"
        )
    return _shortest(value)


def check_grace(name: str, value: Any) -> float | None:
    """Seconds, None for no limit."""
    if value is None:
        return None
    if not _is_number(value) or not 0 < value <= MAX_SECONDS:
        raise InvalidScheduleError(
            f"{name} must be a positive number of seconds up to {MAX_SECONDS}, or None for no "
            f"limit, got {value!r}"
        )
    return _shortest(value)


def check_retry(name: str, value: object) -> Retry | None:
    """RQ's `Retry`, made of a number or of a mapping of `max` and `intervals` where it is one."""
    if value is None:
        return None
    given = value
    if type(given) is int:
        given = {"max": given}
    if isinstance(given, Mapping):
        unknown = set(given) - {"max", "intervals", "enqueue_at_front"}
        greatest, intervals = given.get("max"), given.get("intervals", [0])
        at_front: object = given.get("enqueue_at_front", False)
    elif isinstance(given, Retry):
        unknown = set()
        greatest, intervals = given.max, given.intervals
        at_front = getattr(given, "enqueue_at_front", False)
    else:
        raise InvalidScheduleError(
            f"{name} must be an rq.Retry or a number of attempts, got {value!r}"
        )
    if unknown:
        raise InvalidScheduleError(
            f"{name} must have max, intervals and enqueue_at_front only, got {value!r}"
        )
    if type(greatest) is not int or not 0 < greatest <= MAX_SECONDS:
        raise InvalidScheduleError(
            f"{name} must have a positive whole number of attempts, got {greatest!r}; "
            f"leave it out for none"
        )
    if type(intervals) is int:
        intervals = [intervals]
    if not isinstance(intervals, Iterable) or isinstance(intervals, (str, bytes)):
        raise InvalidScheduleError(
            f"{name} must have whole numbers of seconds as intervals, got {intervals!r}"
        )
    intervals = list(intervals)
    if not intervals or not all(type(s) is int and 0 <= s <= MAX_SECONDS for s in intervals):
        raise InvalidScheduleError(
            f"{name} must have whole numbers of seconds as intervals, from 0, got {intervals!r}"
        )
    if type(at_front) is not bool:
        raise InvalidScheduleError(
            f"{name} must have True or False as enqueue_at_front, got {at_front!r}"
        )
    if not at_front:
        return Retry(greatest, intervals)
    return Retry(greatest, intervals, enqueue_at_front=True)


def check_callback(name: str, value: Any) -> str | None:
    """The dotted name of a callback, and behind it its time-out in seconds if not RQ's own."""
    if value is None or value == "":
        return None
    func: Any
    timeout: Any
    if isinstance(value, Callback):
        func, timeout = value.func, value.timeout
    elif isinstance(value, str):
        func, _, rest = value.strip().partition(" ")
        if rest and not (rest.isascii() and rest.isdigit() and 0 < int(rest) <= MAX_SECONDS):
            raise InvalidScheduleError(
                f"{name} must be a dotted name such as 'reports.tasks.done', and behind it, if "
                f"wanted, a time-out in seconds, got {value!r}"
            )
        timeout = int(rest) if rest else _RQ_TIMEOUT
    else:
        func, timeout = value, _RQ_TIMEOUT
    if type(timeout) is not int or not 0 < timeout <= MAX_SECONDS:
        raise InvalidScheduleError(
            f"{name} must have a positive whole number of seconds as time-out, got {timeout!r}"
        )
    if isinstance(func, str):
        dotted = func
        if not is_dotted_name(dotted):
            raise InvalidScheduleError(
                f"{name} must be a dotted name such as 'reports.tasks.done', got {value!r}"
            )
    elif callable(func):
        dotted = function_name(func, name)
    else:
        raise InvalidScheduleError(
            f"{name} must be a function, its dotted name or an rq.Callback, got {value!r}"
        )
    return dotted if timeout == _RQ_TIMEOUT else f"{dotted} {timeout}"


def make_callback(text: str | None, name: str = "callback") -> Callback | None:
    """RQ's callback of a text that `check_callback` returned.

    Raises `InvalidScheduleError` where no worker could import it.
    """
    if not text:
        return None
    dotted, _, timeout = text.partition(" ")
    resolve_function(dotted, name)
    return Callback(dotted, timeout=int(timeout) if timeout else None)


def check_flag(name: str, value: object) -> bool:
    if type(value) is not bool:
        raise InvalidScheduleError(f"{name} must be True or False, got {value!r}")
    return value


def check_description(name: str, value: object) -> str | None:
    """Any text."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            value.encode()
            return value
    except UnicodeError:
        pass
    raise InvalidScheduleError(f"{name} must be a string, got {value!r}")


def _one_of(choices: Sequence[str]) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise InvalidScheduleError(
                f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}"
            )
        return value

    return check


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _shortest(seconds: Any) -> float:
    """Whole numbers as integers, so that equal values are equal texts."""
    return int(seconds) if seconds == int(seconds) else seconds


_RQ_TIMEOUT = Callback("builtins.print").timeout

CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "timezone": check_timezone,
    "start_at": check_moment,
    "end_at": check_moment,
    "max_runs": check_count,
    "jitter": check_jitter,
    "misfire_grace": check_grace,
    "catch_up": _one_of(get_args(CatchUp)),
    "catch_up_limit": check_catch_up_limit,
    "overlap": _one_of(get_args(Overlap)),
    "retry": check_retry,
    **dict.fromkeys(CALLBACKS, check_callback),
    "at_front": check_flag,
    "description": check_description,
}
