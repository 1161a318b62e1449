"""Checks of the values of options.

Each returns the value in the form in which it is kept, or raises `InvalidScheduleError`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from unicodedata import category

from rq import Retry

from ..exceptions import InvalidScheduleError
from ..plain import plain
from ..quoting import cut, quoted
from ..timing.cron_times import FIRST_YEAR, LAST_YEAR, MAX_SECONDS
from ..timing.durations import EXAMPLES, as_seconds, positive_seconds
from ..timing.zones import UTC
from .forms import COUNT, FLAG, Form, duration
from .texts import dump_json, parse_flag

LONGEST_REASON = 200
LONGEST_TAG, MOST_TAGS = 50, 20
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of characters that one line of text cannot have."""

TAG = re.compile(r"[\w.:/-]{1,50}")

CatchUp = Literal["latest", "all", "skip"]
Overlap = Literal["allow", "skip", "queue_one"]

MAX_RUNS = 2**53

MAX_CATCH_UP = 10_000
"""Occurrences: more at once would overload the workers."""


def check_moment(name: str, value: object) -> datetime | None:
    """An aware datetime within the permitted years."""
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidScheduleError(
            f"{name} must be an aware datetime, got {quoted(value)}; use datetime(..., tzinfo=...)"
        )
    try:
        year = value.astimezone(UTC).year
    except OverflowError:
        year = value.year
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidScheduleError(
            f"{name} must be of the years {FIRST_YEAR} to {LAST_YEAR}, got {value.isoformat()}; "
            f"leave it out where none is meant"
        )
    return value


def check_reason(value: object) -> str:
    """Why a schedule is disabled: one short line, which may be empty."""
    is_short = isinstance(value, str) and len(value) <= LONGEST_REASON
    if is_short and _UNPRINTABLE.isdisjoint(map(category, text := str(value))):
        return text.strip()
    raise InvalidScheduleError(
        f"reason must be one line of at most {LONGEST_REASON} characters, got {quoted(value)}"
    )


def check_end(name: str, value: Any, moment: datetime) -> datetime | None:
    """A time after this moment, from an aware datetime or a duration; None for no end."""
    if value is None or isinstance(value, datetime):
        end = check_moment(name, value)
    else:
        try:
            end = moment + timedelta(seconds=positive_seconds(name, value, MAX_SECONDS))
        except ValueError as error:
            raise InvalidScheduleError(
                f"{name} must be an aware datetime or a duration, got {quoted(value)}; {EXAMPLES}"
            ) from error
    if end is not None and end <= moment:
        raise InvalidScheduleError(f"{name} must be in the future, got {end.isoformat()}")
    return end


def check_count(name: str, value: object) -> int | None:
    """A positive whole number, or None for no limit."""
    if value is None:
        return None
    if type(value) is not int or not 0 < value <= MAX_RUNS:
        raise InvalidScheduleError(
            f"{name} must be a positive whole number, or None for no limit, got {quoted(value)}"
        )
    return value


def check_catch_up_limit(name: str, value: object) -> int:
    """The maximum number of missed occurrences that run."""
    if type(value) is not int or not 0 < value <= MAX_CATCH_UP:
        raise InvalidScheduleError(
            f"{name} must be a whole number from 1 to {MAX_CATCH_UP}, got {quoted(value)}; "
            f"to run none of the missed occurrences use catch_up='skip'"
        )
    return value


def check_jitter(name: str, value: Any) -> float:
    """Seconds, zero for none."""
    if value is None:
        return 0
    value = as_seconds(value)
    if not _is_number(value) or not 0 <= value <= MAX_SECONDS:
        raise InvalidScheduleError(
            f"{name} must be a number of seconds from 0 (none) to {MAX_SECONDS}, "
            f"got {quoted(value)}; {EXAMPLES}"
        )
    return _shortest(value)


def check_limit(name: str, value: Any) -> float | None:
    """Seconds, None for no limit."""
    if value is None:
        return None
    value = as_seconds(value)
    if not _is_number(value) or not 0 < value <= MAX_SECONDS:
        raise InvalidScheduleError(
            f"{name} must be a positive number of seconds up to {MAX_SECONDS}, or None for no "
            f"limit, got {quoted(value)}; {EXAMPLES}"
        )
    return _shortest(value)


def check_retry(name: str, value: object) -> Retry | None:
    """RQ's `Retry`, also from a number or from a mapping of `max` and `intervals`."""
    if value is None:
        return None
    given = plain(value)
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
            f"{name} must be an rq.Retry or a number of attempts, got {quoted(value)}"
        )
    if unknown:
        raise InvalidScheduleError(
            f"{name} must have max, intervals and enqueue_at_front only, got {quoted(value)}"
        )
    greatest, intervals = plain(greatest), as_seconds(plain(intervals))
    if type(greatest) is not int or not 0 < greatest <= MAX_SECONDS:
        raise InvalidScheduleError(
            f"{name} must have a positive whole number of attempts, got {quoted(greatest)}; "
            f"leave it out for none"
        )
    if type(intervals) is int:
        intervals = [intervals]
    if not isinstance(intervals, Iterable) or isinstance(intervals, (str, bytes)):
        raise InvalidScheduleError(
            f"{name} must have whole numbers of seconds as intervals, got {quoted(intervals)}"
        )
    intervals = [as_seconds(plain(seconds)) for seconds in intervals]
    if not intervals or not all(type(s) is int and 0 <= s <= MAX_SECONDS for s in intervals):
        raise InvalidScheduleError(
            f"{name} must have whole numbers of seconds as intervals, from 0, "
            f"got {quoted(intervals)}"
        )
    if type(at_front) is not bool:
        raise InvalidScheduleError(
            f"{name} must have True or False as enqueue_at_front, got {quoted(at_front)}"
        )
    if not at_front:
        return Retry(greatest, intervals)
    return Retry(greatest, intervals, enqueue_at_front=True)


def dump_retry(retry: Retry) -> str:
    """As text of the hash."""
    told: dict[str, Any] = {"max": retry.max, "intervals": retry.intervals}
    if getattr(retry, "enqueue_at_front", False):
        told["enqueue_at_front"] = True
    return dump_json(told)


def check_flag(name: str, value: object) -> bool:
    if type(value) is not bool:
        raise InvalidScheduleError(f"{name} must be True or False, got {quoted(value)}")
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
    raise InvalidScheduleError(f"{name} must be a string, got {quoted(value)}")


def check_notify(name: str, value: object) -> bool | dict[str, Any]:
    """True, False, or which alarms are wanted: the keys of `NOTIFY`, those without defaults."""
    if type(value) is bool:
        return value
    if not isinstance(value, Mapping):
        raise InvalidScheduleError(
            f"{name} must be True, False or a dict of {', '.join(NOTIFY)}, got {quoted(value)}"
        )
    unknown = [key for key in value if key not in NOTIFY]
    if unknown:
        raise InvalidScheduleError(
            f"{name} has unknown keys: {cut(', '.join(map(quoted, unknown)))}; "
            f"there are {', '.join(NOTIFY)}"
        )
    said = {
        key: check(f"{name}[{key!r}]", plain(value[key]))
        for key, (_, check, _) in NOTIFY.items()
        if value.get(key) is not None
    }
    return {key: each for key, each in said.items() if each != NOTIFY[key][0]} or True


def check_tags(name: str, value: object) -> tuple[str, ...]:
    """Words, sorted, each once."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidScheduleError(f"{name} must be a list of words, got {quoted(value)}")
    words = [plain(word) for word in value]
    for word in words:
        if not isinstance(word, str) or not TAG.fullmatch(word):
            raise InvalidScheduleError(
                f"{name} must be words of at most {LONGEST_TAG} letters, digits and -_.:/, "
                f"got {quoted(word)}"
            )
    if len(words) > MOST_TAGS:
        raise InvalidScheduleError(f"{name} must be at most {MOST_TAGS} words, got {len(words)}")
    return tuple(sorted(set(words)))


def _check_failures(name: str, value: object) -> int:
    if type(value) is not int or not 0 < value <= MAX_RUNS:
        raise InvalidScheduleError(f"{name} must be a whole number from 1, got {quoted(value)}")
    return value


def _check_duration(name: str, value: object) -> float:
    try:
        return _shortest(positive_seconds(name, value, MAX_SECONDS))
    except ValueError as error:
        raise InvalidScheduleError(str(error)) from None


NOTIFY: dict[str, tuple[Any, Callable[[str, Any], Any], Form]] = {
    "failures": (1, _check_failures, COUNT),
    "late_after": (None, _check_duration, duration(0)),
    "margin": (None, _check_duration, duration(0)),
    "by_hand": (False, check_flag, FLAG),
}
"""Key of the option `notify` -> its default, its check, and how it is written in files."""


def dump_notify(value: bool | dict[str, Any]) -> str:
    """As text of the hash."""
    return str(int(value)) if isinstance(value, bool) else dump_json(value)


def load_notify(text: str) -> Any:
    """The value of such a text. Raises ValueError."""
    return json.loads(text) if text.startswith("{") else parse_flag(text)


def one_of(choices: Sequence[str]) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise InvalidScheduleError(
                f"{name} must be one of {', '.join(map(repr, choices))}, got {quoted(value)}"
            )
        return value

    return check


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _shortest(seconds: Any) -> float:
    """Whole numbers as integers, so that equal values are equal texts."""
    return int(seconds) if seconds == int(seconds) else seconds
