"""Schedules in plain English, for people who do not read cron expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cron_descriptor import (
    CasingTypeEnum,
    ExpressionDescriptor,
    FormatException,
    MissingFieldException,
    Options,
    WrongArgumentException,
)

from .cron_fields import split

if TYPE_CHECKING:
    from .definition import Definition

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_SPECIAL = (FormatException, MissingFieldException, WrongArgumentException, ValueError, KeyError)


def describe(job: Definition) -> str:
    """When it runs: `Every 90 seconds`, `At 09:00, Monday to Friday (Europe/Paris)`."""
    if not job.cron:
        return _describe_interval(job.interval or 0)
    text = _describe_cron(job.cron)
    return f"{text} ({job.timezone})" if job.timezone else text


def _describe_interval(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"Every {unit}" if count == 1 else f"Every {count} {unit}s"


def _describe_cron(expression: str) -> str:
    """The library's words; the expression itself where it has none."""
    minute, hour, day, month, weekday, *seconds = split(expression)
    fields = [*seconds, minute, hour, day, month, weekday]  # the library has seconds first
    options = Options()
    options.casing_type = CasingTypeEnum.Sentence
    options.use_24hour_time_format = True
    options.locale_code = "en_US"  # not that of the process: log lines and texts shall not differ
    try:
        text = str(ExpressionDescriptor(" ".join(fields), options).get_full_description())
    except _SPECIAL:
        return expression
    return text.replace(" through ", " to ")
