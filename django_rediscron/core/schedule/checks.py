"""Checks of schedules; each raises `InvalidScheduleError` with the value and a remedy."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ..exceptions import InvalidScheduleError
from ..plain import PLAIN, plain
from ..quoting import LONGEST_ID, quoted, quoted_id
from ..timing.cron_times import MAX_SECONDS, check_cron
from ..timing.durations import EXAMPLES, as_seconds
from ..timing.recurrence import MAX_INTERVAL, MAX_WAIT
from .codec import dump_definition
from .definition import Definition
from .option_checks import check_moment
from .options import JOB_DEFAULTS, OPTIONS, TIME_DEFAULTS
from .rq_options import dump_webhooks
from .texts import check_json, is_proper_text

NO_ADDRESS = (".", "..")
"""Ids that no URL can contain: browsers remove them from a path, however quoted."""

HISTORY_SUFFIX = ":jobs"
"""The suffix of the key of a schedule for RQ's history of it."""

MAX_BYTES = 2 * 1024 * 1024
"""Of all values in a schedule's hash, apart from the field `declared`. Each of its runs holds the
arguments once more."""

ADVICE = "keep the data elsewhere and pass its key or its path"


def check_schedule(job: Definition) -> None:
    """Check everything that needs neither the function nor Redis.

    Brings all values into the form in which they are kept.
    """
    _make_plain(job)
    check_id(job.id)
    check_queue_name(job.queue_name)
    if type(job.interval) is not int:
        job.interval = as_seconds(job.interval)
    check_timing(job.interval, job.cron)
    check_arguments(job.args, job.kwargs)
    job.args = tuple(job.args)
    options = job.job_options
    for name, check in SECONDS.items():
        if options.get(name) is not None:
            options[name] = check(name, options[name])
    check_meta(options.get("meta"))
    if options.get("webhooks") is not None:
        dump_webhooks(options["webhooks"])
    check_options(job)
    if type(job.enabled) is not bool:
        raise InvalidScheduleError(f"enabled must be True or False, got {quoted(job.enabled)}")
    if job.name is not job.id and (not isinstance(job.name, str) or not is_proper_text(job.name)):
        raise InvalidScheduleError(f"name must be a string, got {quoted(job.name)}")
    check_times(job)
    check_size(job)


_PLAIN_ATTRIBUTES = ("id", "queue_name", "_func_name", "name", "interval", "cron", "enabled")
"""Apart from options. `func_name` is not among them because its setter forgets the function."""


def _make_plain(job: Definition) -> None:
    """Convert all values of a schedule to plain ones; nearly always they already are."""
    options = job.job_options
    said = (job.id, job.queue_name, job.func_name, job.name, job.interval, job.cron, job.enabled)
    if not job.time_options and PLAIN.issuperset(map(type, (*said, *options.values()))):
        return
    for name in _PLAIN_ATTRIBUTES:
        setattr(job, name, plain(getattr(job, name)))
    job.job_options = {name: plain(value) for name, value in options.items()}
    job.time_options = {name: plain(value) for name, value in job.time_options.items()}


def check_size(job: Definition) -> None:
    """The size of the definition in its hash."""
    values = (job.args, job.kwargs, job.name, job.queue_name, *job.job_options.values())
    # A character takes up to twelve bytes as JSON.
    if sum(len(repr(value)) for value in values if value) > MAX_BYTES / 12:
        size = sum(len(text.encode()) for text in dump_definition(job).values())
        if size > MAX_BYTES:
            raise InvalidScheduleError(
                f"arguments and options must take at most {MAX_BYTES:,} bytes together as JSON, "
                f"got {size:,}; {ADVICE}"
            )


def check_times(job: Definition) -> None:
    """The times of its latest and next occurrence, and of its changes."""
    times = job.latest_enqueue_time, job.next_enqueue_time, job.created_at, job.updated_at
    if times != _NO_TIMES:
        for field, time in zip(_TIMES, times, strict=True):
            if time is not None:
                check_moment(field, time)
    if job.next_enqueue_time is not None and job.next_enqueue_time != job._loaded_times[1]:
        wait = (job.next_enqueue_time - datetime.now(timezone.utc)).total_seconds()
        if wait > MAX_WAIT:
            raise InvalidScheduleError(
                f"next_enqueue_time must be at most 200 years away, got {job.next_enqueue_time!r}"
            )


def check_id(id: object) -> None:
    """Any text that can be part of a Redis key, a URL and a line of output."""
    if not isinstance(id, str) or not id:
        raise InvalidScheduleError(f"id must be a non-empty string, got {quoted_id(id)}")
    if len(id) > LONGEST_ID:
        raise InvalidScheduleError(
            f"id must have at most {LONGEST_ID} characters, got {quoted(id)}"
        )
    # What is printable holds none; of the rest, spaces for instance are all right.
    if not id.isprintable() and any(unicodedata.category(each) in ("Cc", "Cs") for each in id):
        raise InvalidScheduleError(f"id must not contain control characters, got {quoted_id(id)}")
    if id in NO_ADDRESS:
        raise InvalidScheduleError(
            f"id must not be '.' or '..', which no web address can contain, got {id!r}; choose "
            f"another one"
        )
    if id.endswith(HISTORY_SUFFIX):
        raise InvalidScheduleError(
            f"id must not end in {HISTORY_SUFFIX!r}, which is RQ's name for a history, "
            f"got {quoted_id(id)}"
        )


def check_queue_name(queue_name: object) -> None:
    """A name that RQ accepts for a queue."""
    if not isinstance(queue_name, str) or not queue_name:
        raise InvalidScheduleError(
            f"queue_name must be a non-empty string, got {quoted(queue_name)}"
        )
    if not is_proper_text(queue_name):
        raise InvalidScheduleError(f"queue_name must be proper Unicode, got {quoted(queue_name)}")


def check_timing(interval: object, cron: object, *, stored: bool = False) -> None:
    """Exactly one of interval and cron, and a valid one."""
    if interval is not None and cron:
        raise InvalidScheduleError(
            f"interval and cron are mutually exclusive, got interval={quoted(interval)} and "
            f"cron={quoted(cron)}; give one of them"
        )
    if interval is not None:
        check_interval(interval)
    elif cron:
        check_cron(cron, stored=stored)
    else:
        raise InvalidScheduleError(
            "either interval (seconds) or cron (an expression) is needed, got neither"
        )


def check_when(job: Definition) -> None:
    """The timing of a schedule, which may have been changed to anything since it was loaded."""
    check_timing(job.interval, job.cron, stored=True)
    check_options(job)
    check_times(job)


def check_interval(interval: object) -> None:
    """Whole seconds: fractions would not stay exact in RQ's history and the index."""
    if type(interval) is not int or interval <= 0:
        raise InvalidScheduleError(
            f"interval must be a positive whole number of seconds, got {quoted(interval)}; "
            f"{EXAMPLES}"
        )
    if interval > MAX_INTERVAL:
        raise InvalidScheduleError(
            f"interval must be at most {MAX_INTERVAL} seconds (100 years), got {quoted(interval)}"
        )


def check_arguments(args: object, kwargs: object) -> None:
    """Arguments that JSON preserves exactly."""
    if not isinstance(args, (tuple, list)):
        raise InvalidScheduleError(
            f"args must be a tuple, got {quoted(args)}; for one argument write ({quoted(args)},)"
        )
    if args:
        check_json(list(args), "args")
    if not isinstance(kwargs, dict):
        raise InvalidScheduleError(f"kwargs must be a dict, got {_kind(kwargs)}")
    if kwargs:
        check_json(kwargs, "kwargs")


def check_meta(meta: object) -> None:
    """None, or a dict that JSON preserves exactly."""
    if meta is None:
        return
    if not isinstance(meta, dict):
        raise InvalidScheduleError(f"meta must be a dict, got {_kind(meta)}")
    check_json(meta, "meta")


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def check_job_timeout(name: str, value: object) -> int | None:
    """Seconds, -1 for no limit, or None for the queue's default."""
    seconds = _seconds(name, value)
    if seconds is not None and seconds != -1 and seconds <= 0:
        raise InvalidScheduleError(
            f"{name} must be positive, or -1 for no limit, got {quoted(value)}"
        )
    return seconds


def check_ttl(name: str, value: object) -> int | None:
    """Seconds that a job may wait in its queue, or None for ever."""
    seconds = _seconds(name, value)
    if seconds is not None and seconds <= 0:
        raise InvalidScheduleError(
            f"{name} must be a positive number of seconds, or None for no limit, "
            f"got {quoted(value)}"
        )
    return seconds


def check_keep(name: str, value: object) -> int | None:
    """Seconds to keep a result or a failure: 0 not at all, -1 for ever, None for RQ's default."""
    seconds = _seconds(name, value)
    if seconds is not None and seconds < -1:
        raise InvalidScheduleError(
            f"{name} must be a number of seconds, 0 for not at all or -1 for ever, "
            f"got {quoted(value)}"
        )
    return seconds


SECONDS: dict[str, Callable[[str, object], int | None]] = {
    "job_timeout": check_job_timeout,
    "ttl": check_ttl,
    "result_ttl": check_keep,
    "failure_ttl": check_keep,
}
_TIMES = ("latest_enqueue_time", "next_enqueue_time", "created_at", "updated_at")
_NO_TIMES = (None,) * len(_TIMES)


def _seconds(name: str, value: object) -> int | None:
    seconds = as_seconds(value)
    if seconds is None:
        return None
    if type(seconds) is int:
        if seconds > MAX_SECONDS:
            raise InvalidScheduleError(
                f"{name} must be at most {MAX_SECONDS} seconds (68 years), got {quoted(value)}"
            )
        return seconds
    raise InvalidScheduleError(
        f"{name} must be a whole number of seconds or a text such as '10m', got {quoted(value)}; "
        f"{EXAMPLES}"
    )


def check_options(job: Definition) -> None:
    """All options of a job, brought into the form in which they are kept."""
    if job.has_no_options:
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
        name: value if value is defaults[name] else OPTIONS[name].check(name, value)
        for name, value in values.items()
    }
    return {name: value for name, value in checked.items() if value != defaults[name]}
