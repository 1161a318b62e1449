"""The cron strings of rq-scheduler, in the grammar of the package crontab."""

from __future__ import annotations

import re
import warnings
from datetime import datetime, timezone
from typing import Any

from .days import both_days
from .found import CannotMoveError


def cron_expression(text: str) -> str:
    """The expression as we write it. Raises `CannotMoveError`."""
    fields = text.split()
    second = [fields.pop(0)] if len(fields) == 7 else []
    if len(fields) == 6 and fields.pop() not in "*?":
        raise CannotMoveError(
            f"the cron string {text!r} names years", "use start_at and end_at here"
        )
    if len(fields) != 5:
        return text  # such as @daily
    minute, hour, day, month, weekday = fields
    try:
        day, weekday = both_days(_days(day), _weekdays(weekday))
    except ValueError as error:
        raise CannotMoveError(
            f"the cron string {text!r}: {error}",
            "schedule it by the day of the month, and let the function check the day of the week",
        ) from None
    return " ".join((minute, hour, day, month, weekday, *(second if second != ["0"] else ())))


def _days(text: str) -> str:
    """`Z3`, three days before the last one, as `L-3`."""
    return ",".join(_before_end(item) for item in text.split(","))


def _before_end(item: str) -> str:
    match = re.fullmatch(r"[zZ](\d)(?:-(\d))?", item)
    if match is None:
        return item
    days = range(int(match[1]), int(match[2] or match[1]) + 1)
    return ",".join(f"L-{day}" if day else "L" for day in days)


def _weekdays(text: str) -> str:
    """`L1-3`, the last Monday, Tuesday and Wednesday, as `L1,L2,L3`."""
    return ",".join(_last(item) for item in text.split(","))


def _last(item: str) -> str:
    match = re.fullmatch(r"[lL](\d)-(\d)", item)
    if match is None:
        return item
    return ",".join(f"L{day}" for day in range(int(match[1]), int(match[2]) + 1))


def next_scheduled_time(utils: Any, text: str, moment: datetime, local: object) -> datetime | None:
    """What rq-scheduler's own function returns at this moment."""

    class At(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(moment.timestamp(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(timezone.utc).replace(tzinfo=None)

    clock = utils.datetime
    utils.datetime = At
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: datetime = utils.get_next_scheduled_time(text, use_local_timezone=local)
            return found
    except AttributeError:  # it never fires again
        return None
    finally:
        utils.datetime = clock
