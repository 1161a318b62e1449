"""What a schedule may say beyond what to run and how often: one place for each option."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, Generic, TypedDict, TypeVar, cast, get_args

from rq import Callback, Retry

from ..exceptions import InvalidScheduleError
from ..quoting import cut, quoted
from ..timing.cron_times import utc_text
from ..timing.durations import Duration
from ..timing.zones import check_timezone
from .forms import COUNT, FLAG, MOMENT, RETRY, TEXT, Form, choice, duration, either, mapping, words
from .option_checks import (
    MOST_TAGS,
    NOTIFY,
    TAG,
    CatchUp,
    Overlap,
    check_catch_up_limit,
    check_count,
    check_description,
    check_flag,
    check_jitter,
    check_limit,
    check_moment,
    check_notify,
    check_retry,
    check_tags,
    dump_notify,
    dump_retry,
    load_notify,
    one_of,
)
from .rq_options import CALLBACKS, check_callback
from .texts import dump_number, parse_flag, parse_number, parse_time

DEFAULT_RESULT_TTL = 500
"""Seconds; RQ's own default."""


class ScheduleOptions(TypedDict, total=False):
    """The options that all ways to make a schedule take, by keyword only.

    `timezone`: IANA name or `ZoneInfo` in which a cron expression is read; by default the process's
    local zone. `start_at`, `end_at` (aware datetimes): no occurrence before the one or after the
    other; an interval counts from `start_at`. `max_runs`: maximum number of jobs.

    Durations are numbers of seconds, timedeltas, or texts such as `"10m"`.

    `jitter` (a duration, 0): longest delay of an occurrence; it is the same in every process.
    `catch_up`: what to do about missed occurrences: one run for all of them (`latest`, the
    default), a run for each (`all`, at most the newest `catch_up_limit`, 100), or none (`skip`).
    `misfire_grace` (a duration): an occurrence that is later than that never runs. `overlap`:
    whether a run may be enqueued while an earlier one has not ended: `allow` (the default), not at
    all (`skip`), or only while none is queued (`queue_one`).

    `max_failures`: the schedule is disabled after so many failed runs in a row; retries do not
    count, and enabling it begins the count anew. `max_runtime` (a duration): a run that lasts
    longer from its start is logged as a warning once, and shown as too long; it is not stopped.

    `notify`: whether receivers of alarms are told of it (True, the default), or a dict of what they
    are told: `failures` (1), in a row, from which a failed run is told; `late_after` (a duration;
    the scheduler's by default), after which a run counts as late; `margin` (a duration), by which
    a run may be late for monitors elsewhere; `by_hand` (False), whether runs by hand are told.

    `retry`: RQ's `Retry`, or the maximum number of retries. `on_success`, `on_failure`,
    `on_stopped`: dotted name of a callback, a function, or RQ's `Callback`. `at_front`: whether
    jobs go to the front of their queue. `description`: RQ's description of each job.
    `tags`: words by which people find the schedule.
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
    max_failures: int | None
    max_runtime: Duration | None
    notify: bool | Mapping[str, Any]
    retry: Retry | int | None
    on_success: str | Callable[..., Any] | Callback | None
    on_failure: str | Callable[..., Any] | Callback | None
    on_stopped: str | Callable[..., Any] | Callback | None
    at_front: bool
    description: str | None
    tags: Sequence[str]


class ScheduleArguments(ScheduleOptions, total=False):
    """All that `register` takes beside the function, its queue and the id.

    `args`, `kwargs`: what the function is called with, JSON values. `interval` or `cron`: when; an
    expression is read in `timezone`. `job_timeout`, `result_ttl` (500 seconds), `ttl`,
    `failure_ttl`, `meta`, `webhooks`: options of its RQ jobs. `enabled`: whether it runs, by
    default; a stored schedule keeps its state if this is None. `name`: RQ's name of a cron job,
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


_T = TypeVar("_T")


class Option(Generic[_T]):
    """An option: its default, its check, and its text in the hash, where defaults are left out.

    `check(name, value)` returns a value in the form in which it is kept, or raises
    `InvalidScheduleError`. `load` raises ValueError for an invalid text. `form`: how it is
    written in files. `one_step`: whether the next occurrence still follows from the due one alone.

    As an attribute of a schedule it takes memory only if it is not the default: there may be a
    hundred thousand schedules.
    """

    def __init__(
        self,
        name: str,
        default: _T,
        check: Callable[[str, Any], Any],
        dump: Callable[[Any], str] = str,
        load: Callable[[str], Any] = str,
        *,
        form: Form = TEXT,
        one_step: bool = True,
    ) -> None:
        self.name, self.default, self.check = name, default, check
        self.dump, self.load, self.one_step = dump, load, one_step
        self.form = form.or_null() if default is None else form

    def __get__(self, job: Any, owner: type[Any]) -> _T:
        if job is None:
            return self.default
        value: _T = job.time_options.get(self.name, self.default)
        return value

    def __set__(self, job: Any, value: _T) -> None:
        job.time_options = {**job.time_options, self.name: value}

    def text(self, value: Any) -> str | None:
        """The text of a value, None for the default."""
        return None if value == self.default else self.dump(value)

    def value(self, text: str) -> Any:
        """The value of a text. Raises `InvalidScheduleError`."""
        try:
            loaded = self.load(text)
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidScheduleError(
                f"field {self.name!r} cannot be read: {cut(error)}: {quoted(text)}"
            ) from None
        return self.check(self.name, loaded)


class TimeOptions:
    """The options that are attributes of a schedule: when it runs, what is too much, its tags."""

    timezone = Option["str | None"]("timezone", None, check_timezone)
    start_at = Option["datetime | None"](
        "start_at", None, check_moment, utc_text, parse_time, form=MOMENT
    )
    end_at = Option["datetime | None"](
        "end_at", None, check_moment, utc_text, parse_time, form=MOMENT, one_step=False
    )
    max_runs = Option["int | None"](
        "max_runs", None, check_count, str, int, form=COUNT, one_step=False
    )
    jitter = Option[float](
        "jitter", 0, check_jitter, dump_number, parse_number, form=duration(0), one_step=False
    )
    misfire_grace = Option["float | None"](
        "misfire_grace",
        None,
        check_limit,
        dump_number,
        parse_number,
        form=duration(0),
        one_step=False,
    )
    catch_up = Option[CatchUp](
        "catch_up",
        "latest",
        one_of(get_args(CatchUp)),
        form=choice(get_args(CatchUp)),
        one_step=False,
    )
    catch_up_limit = Option[int]("catch_up_limit", 100, check_catch_up_limit, str, int, form=COUNT)
    overlap = Option[Overlap](
        "overlap",
        "allow",
        one_of(get_args(Overlap)),
        form=choice(get_args(Overlap)),
        one_step=False,
    )
    max_failures = Option["int | None"]("max_failures", None, check_count, str, int, form=COUNT)
    max_runtime = Option["float | None"](
        "max_runtime", None, check_limit, dump_number, parse_number, form=duration(0)
    )
    notify = Option["bool | dict[str, Any]"](
        "notify",
        True,
        check_notify,
        dump_notify,
        load_notify,
        form=either(FLAG, mapping({key: form.or_null() for key, (_, _, form) in NOTIFY.items()})),
    )
    tags = Option["tuple[str, ...]"](
        "tags", (), check_tags, " ".join, str.split, form=words(TAG.pattern, MOST_TAGS)
    )

    time_options: dict[str, Any]
    """Those of them that are not defaults."""


TIME_OPTIONS: dict[str, Option[Any]] = {
    name: option for name, option in vars(TimeOptions).items() if isinstance(option, Option)
}

_JOB_OPTIONS: list[Option[Any]] = [
    Option("retry", None, check_retry, dump_retry, json.loads, form=RETRY),
    *(Option(name, None, check_callback) for name in CALLBACKS),
    Option("at_front", False, check_flag, lambda value: str(int(value)), parse_flag, form=FLAG),
    Option("description", None, check_description),
]

JOB_OPTIONS: dict[str, Option[Any]] = {option.name: option for option in _JOB_OPTIONS}
"""Options that are passed to RQ with each job; they are in the schedule's `job_options`."""

OPTIONS = {**TIME_OPTIONS, **JOB_OPTIONS}

TIME_DEFAULTS: dict[str, Any] = {name: option.default for name, option in TIME_OPTIONS.items()}
JOB_DEFAULTS: dict[str, Any] = {name: option.default for name, option in JOB_OPTIONS.items()}

POLICIES = frozenset(name for name, option in OPTIONS.items() if not option.one_step)
"""Options that take more than one step from the due occurrence to the next one."""

_POSITIONAL = (
    *("args", "kwargs", "interval", "cron", "job_timeout", "result_ttl", "ttl", "failure_ttl"),
    *("meta", "enabled"),
)
"""Arguments that `register` also takes by position, after the id."""

_ARGUMENTS = (*_POSITIONAL, "webhooks", "name")
"""Other arguments of `register`, beside the function, the queue and the id."""

NO_OPTIONS: dict[str, Any] = {}
"""Shared by most schedules and never changed: each change of options makes a new dict."""


def by_name(positional: Sequence[Any], arguments: ScheduleArguments) -> ScheduleArguments:
    """The arguments of `register`, with those by position. Raises TypeError as Python does."""
    if len(positional) > len(_POSITIONAL):
        raise TypeError(
            f"register() takes from 3 to {3 + len(_POSITIONAL)} positional arguments but "
            f"{3 + len(positional)} were given"
        )
    given = dict(zip(_POSITIONAL, positional, strict=False))
    for name in given.keys() & arguments.keys():
        raise TypeError(f"register() got multiple values for argument {name!r}")
    return cast(ScheduleArguments, {**given, **arguments})


def refuse_unknown(options: Mapping[str, Any], *others: str) -> None:
    """Raise TypeError for unknown options; `others`: further arguments of this call."""
    unknown = options.keys() - TIME_DEFAULTS.keys() - JOB_DEFAULTS.keys() - {*_ARGUMENTS}
    if unknown:
        known = ", ".join((*_ARGUMENTS, *TIME_DEFAULTS, *JOB_DEFAULTS, *others))
        raise TypeError(
            f"unknown options of a schedule: {', '.join(map(repr, sorted(unknown)))}; "
            f"there are {known}"
        )
