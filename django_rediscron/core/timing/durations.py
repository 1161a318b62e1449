"""Durations: a number of seconds, a `timedelta`, or a text such as `10m`."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any, cast

from ..plain import plain
from ..quoting import quoted

Duration = int | float | str | timedelta

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
"""Seconds in each unit."""

EXAMPLES = "write for instance 300, '5m' or timedelta(minutes=5)"
"""The remedy in messages about invalid durations."""

_TEXT = re.compile(r"(-?[0-9]{1,20}(?:\.[0-9]{1,9})?)[ \t]*([smhdw]?)", re.IGNORECASE)
_SECOND = timedelta(seconds=1)


def as_seconds(value: Any) -> Any:
    """The seconds of a `timedelta` or a text; whole ones are an integer.

    Anything else is returned unchanged, for the check that follows.
    """
    if isinstance(value, timedelta):
        whole, rest = divmod(value, _SECOND)
        return whole + rest / _SECOND if rest else whole
    if isinstance(value, str):
        try:
            return seconds_from_text(value)
        except ValueError:
            return value
    return value


def positive_seconds(name: str, value: object, most: float = math.inf) -> float:
    """The seconds of a duration that is neither zero nor endless. Raises ValueError otherwise.

    `name`: of the option, for the message.
    """
    seconds = as_seconds(plain(value))
    if type(seconds) not in (int, float) or not 0 < seconds <= most or seconds == math.inf:
        raise ValueError(
            f"{name} must be a positive number of seconds, got {quoted(value)}; {EXAMPLES}"
        )
    return cast(float, seconds)


def seconds_from_text(text: str) -> int | float:
    """The seconds of a text such as `90`, `1.5` or `10m`. Raises ValueError for other texts."""
    found = _TEXT.fullmatch(text.strip(" \t"))
    if found is None:
        raise ValueError(f"not a number of seconds, nor one with a unit such as 10m: {text!r:.80}")
    number, unit = found[1], UNITS[found[2].lower() or "s"]
    if "." not in number:
        return int(number) * unit
    seconds = float(number) * unit
    return int(seconds) if seconds == int(seconds) else seconds
