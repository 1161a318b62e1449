"""A schedule as the fields of its hash, and back.

The format is that of rq-rediscron 0.1: texts, JSON for args, kwargs and meta, RQ's UTC format for
times, an empty text for none. A missing field has its default, there as well as here.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from ..exceptions import InvalidScheduleError
from ..plain import plain
from ..quoting import quoted
from .definition import Definition, Off
from .options import DEFAULT_RESULT_TTL, JOB_DEFAULTS, NO_OPTIONS, OPTIONS, TIME_DEFAULTS
from .rq_options import dump_webhooks, load_webhooks
from .texts import (
    dump_json,
    load_flag,
    load_json,
    load_next_time,
    load_number,
    load_time,
    number_text,
    time_text,
)

DEFINITION_FIELDS = (
    "func_name",
    "queue_name",
    "args",
    "kwargs",
    "interval",
    "cron",
    "job_timeout",
    "result_ttl",
    "ttl",
    "failure_ttl",
    "meta",
)
"""Fields of the hash that say what to run and when; every schedule has them."""

OPTIONAL_FIELDS = ("name", "webhooks", *OPTIONS)
"""Further fields of the definition, the most interesting ones first."""


LEFT_OUT = {
    "args": "[]",
    "kwargs": "{}",
    "meta": "{}",
    "result_ttl": str(DEFAULT_RESULT_TTL),
    **dict.fromkeys(("interval", "cron", "job_timeout", "ttl", "failure_ttl", *OPTIONS), ""),
}
"""Defaults that are not stored: they would take a fifth of the memory of a small schedule."""

TIME_FIELDS = (
    "latest_enqueue_time",
    "next_enqueue_time",
    "created_at",
    "updated_at",
    "finished_at",
)

EDITABLE_FIELDS = (*DEFINITION_FIELDS, *OPTIONAL_FIELDS, "enabled")
"""Written by people and their programs."""

_BLANK = {name: LEFT_OUT.get(name, "") for name in DEFINITION_FIELDS}
_NUMBERS = {"job_timeout": None, "result_ttl": DEFAULT_RESULT_TTL, "ttl": None, "failure_ttl": None}
_EDITABLE = {field: field for field in EDITABLE_FIELDS}  # one text for the names of all hashes
_NEEDED = frozenset(("id", "revision", "runs", *EDITABLE_FIELDS, *TIME_FIELDS))


def dump(job: Definition) -> dict[str, Any]:
    """All fields of the hash but those of its origin; numbers as integers."""
    fields: dict[str, Any] = {"id": job.id, **dump_definition(job)}
    if job.interval is not None:
        fields["interval"] = job.interval
    for option in ("job_timeout", "result_ttl", "ttl", "failure_ttl"):
        if job.job_options.get(option) is not None:
            fields[option] = job.job_options[option]
    for field in ("latest_enqueue_time", "next_enqueue_time", "created_at", "updated_at"):
        fields[field] = time_text(getattr(job, field))
    fields["enabled"] = int(job.enabled)
    if not job.enabled:
        fields |= job.off.fields()
    fields["revision"] = job.revision
    if job.max_runs is not None:
        fields["max_runs"] = job.max_runs
        fields["runs"] = job.runs
    if job.finished_at is not None:
        fields["finished_at"] = time_text(job.finished_at)
    if job.last_error is not None:
        fields["last_error"] = job.last_error
        fields["last_error_at"] = time_text(job.last_error_at)
    return fields


def dump_definition(job: Definition) -> dict[str, str]:
    """The hash fields that say what to run and when."""
    fields = {**_BLANK, **dump_without_options(job)}
    if job.has_no_options:
        return fields
    for values in (job.time_options, job.job_options):
        for name in values.keys() & OPTIONS.keys():
            text = OPTIONS[name].text(values[name])
            if text is not None:
                fields[name] = text
    return fields


def dump_without_options(job: Definition) -> dict[str, str]:
    """Those of them that are stored, apart from options."""
    options = job.job_options
    fields = {
        "func_name": job.func_name,
        "queue_name": job.queue_name,
    }
    result_ttl = options.get("result_ttl")
    if result_ttl != DEFAULT_RESULT_TTL:
        fields["result_ttl"] = number_text(result_ttl)
    if job.args:
        fields["args"] = dump_json(list(job.args))
    if job.kwargs:
        fields["kwargs"] = dump_json(job.kwargs)
    if job.interval is not None:
        fields["interval"] = str(job.interval)
    if job.cron:
        fields["cron"] = job.cron
    for name in ("job_timeout", "ttl", "failure_ttl"):
        if options.get(name) is not None:
            fields[name] = str(options[name])
    if options.get("meta"):
        fields["meta"] = dump_json(options["meta"])
    if job.name != job.id:
        fields["name"] = job.name
    if options.get("webhooks"):
        fields["webhooks"] = dump_webhooks(options["webhooks"])
    return fields


def load(job: Definition, data: Mapping[str, str]) -> None:
    """Set all attributes of a job from a hash. Raises `InvalidScheduleError` for invalid fields."""
    for field in ("id", "func_name", "queue_name"):
        if not data.get(field):
            raise InvalidScheduleError(f"field {quoted(field)} is missing or empty")
    job.id = data["id"]
    job.func_name = data["func_name"]
    job.queue_name = data["queue_name"]
    job.name = data.get("name") or job.id
    # Thousands are listed at once, and most hashes lack most fields.
    job.args = tuple(load_json(data, "args", list)) if "args" in data else ()
    job.kwargs = load_json(data, "kwargs", dict) if "kwargs" in data else {}
    job.interval = load_number(data, "interval")
    job.cron = data.get("cron") or None
    job.job_options = {
        **{
            name: load_number(data, name) if name in data else default
            for name, default in _NUMBERS.items()
        },
        "meta": (load_json(data, "meta", dict) or None) if "meta" in data else None,
        "webhooks": load_webhooks(data["webhooks"]) if "webhooks" in data else None,
    }
    job.time_options = NO_OPTIONS
    if not OPTIONS.keys().isdisjoint(data):
        said = {name: OPTIONS[name].value(data[name]) for name in data if _is_said(name, data)}
        job.time_options = {name: said[name] for name in said if name in TIME_DEFAULTS}
        job.job_options.update({name: said[name] for name in said if name in JOB_DEFAULTS})
    job.enabled = load_flag(data, "enabled", True)
    if not job.enabled and "disabled_at" in data:
        job.off = Off.of(data)
    job.revision = (load_number(data, "revision") or 0) if "revision" in data else 0
    job.runs = (load_number(data, "runs") or 0) if "runs" in data else 0
    job.last_error = data.get("last_error") or None
    job.last_error_at = None
    if data.get("last_error_at"):
        with suppress(InvalidScheduleError):  # only for display
            job.last_error_at = load_time(data, "last_error_at")
    for field in TIME_FIELDS:
        load_it = load_next_time if field == "next_enqueue_time" else load_time
        setattr(job, field, load_it(data, field) if field in data else None)
    if job.updated_at is None:
        job.updated_at = job.created_at


def _is_said(name: str, data: Mapping[str, str]) -> bool:
    return name in OPTIONS and bool(data[name])


def editable(data: Mapping[str, str]) -> dict[str, str]:
    """The fields of a hash that people and their programs write."""
    return {_EDITABLE[field]: text for field, text in data.items() if field in _EDITABLE}


def as_texts(raw: Mapping[Any, Any]) -> dict[str, str]:
    """A hash as texts. Raises `InvalidScheduleError` if a field that runs depend on is not UTF-8.

    In other fields, those of the origin and of other programs, such bytes are replaced.
    """
    texts = {}
    for field, value in raw.items():
        name = _name(field)
        if name is None:
            continue  # not ours
        try:
            text = value.decode() if isinstance(value, bytes) else str(plain(value))
            if not text.isascii():
                text.encode()  # bytes that were escaped on the way here do not encode
        except UnicodeError:
            if name in _NEEDED:
                reason = f"field {quoted(name)} holds bytes that are not UTF-8"
                raise InvalidScheduleError(reason) from None
            escaped = value if isinstance(value, bytes) else text.encode(errors="surrogateescape")
            text = escaped.decode(errors="replace")
        texts[name] = text
    return texts


def _name(field: bytes | str) -> str | None:
    """The name of a field; None for bytes that are not UTF-8."""
    try:
        name = field.decode() if isinstance(field, bytes) else field
        name.encode()
    except UnicodeError:
        return None
    return name


def version_of(data: Mapping[str, str]) -> str:
    """The version of a schedule: it changes with each change of the definition."""
    changed_at = data.get("updated_at") or data.get("created_at") or ""
    return _version(data.get("revision") or "0", changed_at)


@lru_cache(maxsize=4096)
def _version(revision: str, changed_at: str) -> str:
    """Schedules that were registered together share it."""
    return f"{revision}/{changed_at}"
