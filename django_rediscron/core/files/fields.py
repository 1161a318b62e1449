"""The keywords of a schedule in a file: those of `register`, in the order in which they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..dotted_names import is_dotted_name
from ..exceptions import InvalidScheduleError
from ..quoting import quoted
from ..schedule import checks
from ..schedule.definition import Definition
from ..schedule.forms import (
    COUNT,
    DURATION_TEXT,
    FLAG,
    LIST,
    MAPPING,
    MOMENT,
    TEXT,
    Form,
    choice,
    duration,
    duration_text,
    fits,
    mapping,
)
from ..schedule.option_checks import (
    LONGEST_REASON,
    check_description,
    check_moment,
    check_reason,
)
from ..schedule.options import DEFAULT_RESULT_TTL, JOB_OPTIONS, TIME_OPTIONS
from ..schedule.rq_options import load_webhooks
from ..schedule.texts import dump_json
from ..sensitive import mask
from ..timing.cron_times import check_cron
from ..timing.durations import as_seconds


@dataclass(frozen=True)
class Field:
    """A keyword: how its value is written, checked and found in a schedule, and its default."""

    form: Form
    check: Callable[[str, Any], object]
    """Takes what the form makes of the value in a file; raises `InvalidScheduleError`."""
    of: Callable[[Definition], Any]
    default: Any = None
    """It is left out of files; None for values that always stand there."""


def _check_function(name: str, value: object) -> None:
    if not is_dotted_name(value):
        raise InvalidScheduleError(
            f"{name} must be a dotted name such as 'reports.tasks.build', got {quoted(value)}"
        )


_WEBHOOK = {
    "url": TEXT,
    "job_status": choice(["finished", "failed"]),
    "method": choice(["GET", "POST"]),
    "headers": Form({"type": "object", "additionalProperties": {"type": "string"}}).or_null(),
    "timeout": COUNT,
}
_WEBHOOK_DEFAULTS = {"method": "GET", "headers": None, "timeout": 10}


def _webhook_texts(webhooks: list[Any]) -> list[Any]:
    return [
        {k: v for k, v in webhook.to_dict().items() if k == "url" or _WEBHOOK_DEFAULTS.get(k) != v}
        for webhook in webhooks
    ]


def _webhooks(value: list[Any]) -> list[Any]:
    """RQ's objects, which accept more than they should."""
    for webhook in value:
        if not isinstance(webhook, dict) or webhook.keys() - _WEBHOOK:
            raise ValueError(f"must be mappings of {', '.join(_WEBHOOK)} only")
        for key, form in _WEBHOOK.items():
            if key in webhook and not fits(form.schema, webhook[key]):
                raise ValueError(f"must have another kind of value as {key}")
        if not all(isinstance(text, str) for text in (webhook.get("headers") or {}).values()):
            raise ValueError("must have texts as values of headers")
    return load_webhooks(dump_json(value)) or []


def _attribute(name: str) -> Callable[[Definition], Any]:
    return lambda job: getattr(job, name)


def _job_option(name: str, default: Any = None) -> Callable[[Definition], Any]:
    return lambda job: job.job_options.get(name, default)


_INTERVAL = Form(
    {"anyOf": [{"type": "integer", "minimum": 1}, DURATION_TEXT]}, duration_text, as_seconds
)
_SMALLEST = {"job_timeout": -1, "result_ttl": -1, "ttl": 1, "failure_ttl": -1}

NEEDED: dict[str, Field] = {
    "function": Field(TEXT, _check_function, _attribute("func_name")),
    "queue": Field(TEXT, lambda _, value: checks.check_queue_name(value), _attribute("queue_name")),
}

TIMING: dict[str, Field] = {
    "interval": Field(
        _INTERVAL, lambda _, value: checks.check_interval(value), _attribute("interval")
    ),
    "cron": Field(TEXT, lambda _, value: check_cron(value), lambda job: job.cron or None),
}
"""One of them is needed."""

OFF: dict[str, Field] = {
    "disabled_reason": Field(
        Form({"type": "string", "maxLength": LONGEST_REASON}),
        lambda _, value: check_reason(value),
        _attribute("disabled_reason"),
        "",
    ),
    "disabled_until": Field(MOMENT.or_null(), check_moment, _attribute("disabled_until")),
}
"""Only for schedules that the file disables."""

STATE: dict[str, Field] = {
    "enabled": Field(FLAG, lambda *_: None, _attribute("enabled")),
    **OFF,
}
"""What is not part of the definition. `enabled` always stands in the file: a schedule that exists
keeps its state if a file does not say it."""

LOCKED = "locked"
"""Only for files that declare schedules."""

FIELDS: dict[str, Field] = {
    **NEEDED,
    **TIMING,
    "args": Field(
        LIST, lambda _, value: checks.check_arguments(value, {}), lambda job: list(job.args), []
    ),
    "kwargs": Field(
        MAPPING, lambda _, value: checks.check_arguments((), value), _attribute("kwargs"), {}
    ),
    **{
        name: Field(option.form, option.check, _attribute(name), option.default)
        for name, option in TIME_OPTIONS.items()
    },
    **{
        name: Field(option.form, option.check, _job_option(name, option.default), option.default)
        for name, option in JOB_OPTIONS.items()
    },
    **{
        name: Field(
            duration(_SMALLEST[name], whole=True).or_null(),
            check,
            _job_option(name),
            DEFAULT_RESULT_TTL if name == "result_ttl" else None,
        )
        for name, check in checks.SECONDS.items()
    },
    "meta": Field(
        MAPPING,
        lambda _, value: checks.check_meta(value),
        lambda job: job.job_options.get("meta") or {},
        {},
    ),
    "webhooks": Field(
        Form(
            {"type": "array", "items": mapping(_WEBHOOK, ["url", "job_status"]).schema},
            _webhook_texts,
            _webhooks,
        ),
        lambda *_: None,
        lambda job: job.job_options.get("webhooks") or [],
        [],
    ),
    "name": Field(TEXT, check_description, lambda job: job.name if job.name != job.id else None),
    **STATE,
    LOCKED: Field(FLAG, lambda *_: None, lambda job: False, False),
}

MASKED = ("kwargs", "webhooks")
"""Those whose sensitive parts are not shown."""


def described(job: Definition, *, with_secrets: bool = False) -> dict[str, Any]:
    """A schedule as it stands in a file."""
    found: dict[str, Any] = {}
    for name, field in FIELDS.items():
        value = field.of(job)
        if value == field.default and type(value) is type(field.default):
            continue
        value = field.form.plain(value)
        found[name] = mask(value) if name in MASKED and not with_secrets else value
    return found
