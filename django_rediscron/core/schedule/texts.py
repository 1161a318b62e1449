"""Values as the texts of a hash, and back: JSON, numbers, flags, and times in RQ's UTC format."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from rq.utils import utcparse

from ..exceptions import InvalidScheduleError
from ..quoting import cut, quoted
from ..timing.cron_times import FIRST_YEAR, LAST_YEAR, utc_text

_UTC_TEXT_LENGTH = len("2026-06-03T05:40:00.000000Z")
_EARLIEST, _TOO_LATE = str(FIRST_YEAR), str(LAST_YEAR + 1)
_ENCODER = json.JSONEncoder(separators=(",", ":"))

MAX_DEPTH = 100
"""Levels of lists and dicts in arguments: pickle has a recursion limit, too."""

MAX_BITS = 10_000
"""Of an integer in arguments: Python itself refuses to parse much longer ones."""

_EMPTY_JSON: dict[type, str] = {list: "[]", dict: "{}"}


def dump_json(value: object) -> str:
    """JSON in a single form, so that equal values are equal texts."""
    empty = _EMPTY_JSON.get(type(value)) if not value else None
    return empty or _ENCODER.encode(value)


def number_text(value: int | None) -> str:
    return "" if value is None else str(value)


def dump_number(value: float) -> str:
    return repr(value)


def time_text(time: datetime | None) -> str:
    return "" if time is None else utc_text(time)


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime:
    """RQ's UTC format, much faster than RQ's parser; many schedules share a time.

    Raises ValueError, also outside the permitted years.
    """
    if not _EARLIEST <= text < _TOO_LATE:
        raise ValueError(f"it must be a UTC time of the years {FIRST_YEAR} to {LAST_YEAR}")
    if len(text) == _UTC_TEXT_LENGTH and text[-1] == "Z":
        return datetime.fromisoformat(f"{text[:-1]}+00:00")
    return utcparse(text)


def parse_number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)


def parse_flag(text: str) -> bool:
    return bool(("0", "1").index(text))


def load_json(
    data: Mapping[str, str], field: str, kind: type[list[Any]] | type[dict[str, Any]]
) -> Any:
    text = data.get(field, "")
    if not text or text == _EMPTY_JSON[kind]:
        return kind()
    try:
        value = json.loads(text)
    except ValueError as error:
        # The text may contain secrets, and this is logged.
        raise InvalidScheduleError(f"field {field!r} is not JSON: {error}") from None
    except RecursionError:
        raise _too_deep(field) from None
    if not isinstance(value, kind):
        raise InvalidScheduleError(
            f"field {field!r} is not a JSON {kind.__name__}, but {type(value).__name__}"
        )
    if len(text) > MAX_DEPTH and _is_deep(text, value):
        raise _too_deep(field)
    if "\\u" in text and not _is_proper(text, value):
        raise InvalidScheduleError(f"field {field!r} must be proper Unicode, and holds surrogates")
    return value


def _too_deep(field: str) -> InvalidScheduleError:
    return InvalidScheduleError(f"field {field!r} must be nested at most {MAX_DEPTH} deep")


def _is_deep(text: str, value: Any) -> bool:
    """Whether lists and dicts are nested more deeply than permitted."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH + 2):
        inside = [each for each in level if isinstance(each, (list, dict))]
        if not inside:
            return False
        level = [x for each in inside for x in (each if isinstance(each, list) else each.values())]
    return True


def _is_proper(text: str, value: Any) -> bool:
    """Whether it is proper Unicode: JSON can contain halves of surrogate pairs."""
    if "\\ud" not in text and "\\uD" not in text:
        return True
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def check_json(value: Any, where: str, depth: int = 0) -> None:
    """JSON would turn tuples into lists and keys into strings; refuse what it does not preserve.

    Messages say where, but not what the value is: arguments may contain secrets.
    """
    kind = type(value)
    if value is None or kind is bool:
        return
    if depth > MAX_DEPTH:
        raise InvalidScheduleError(f"{cut(where)} must be nested at most {MAX_DEPTH} deep")
    if kind is int:
        if value.bit_length() > MAX_BITS:
            raise InvalidScheduleError(
                f"{cut(where)} must be an integer of at most {MAX_BITS} bits, "
                f"got one of {value.bit_length()}; pass it as a string"
            )
    elif kind is str:
        if not is_proper_text(value):
            raise InvalidScheduleError(f"{cut(where)} must be proper Unicode, and holds surrogates")
    elif kind is float:
        if not math.isfinite(value):
            raise InvalidScheduleError(f"{cut(where)} must be a finite number, got {quoted(value)}")
    elif kind is list:
        for position, item in enumerate(value):
            check_json(item, f"{where}[{position}]", depth + 1)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                kind = type(key)
                raise InvalidScheduleError(
                    f"{cut(where)} must have strings as keys, got {kind.__name__} {quoted(key)}; "
                    f"pass it as a plain string, for instance with str()"
                )
            if not is_proper_text(key):
                raise InvalidScheduleError(
                    f"{cut(where)} must have proper Unicode as keys, got {quoted(key)}"
                )
            check_json(item, f"{where}[{key[:40]!r}]", depth + 1)
    else:
        raise InvalidScheduleError(
            f"{cut(where)} must be JSON (null, booleans, numbers, strings, lists, dicts), "
            f"got {kind.__name__}; pass it in another form, for instance as a string"
        )


def is_proper_text(text: str) -> bool:
    """Whether it can be written as UTF-8: it holds no surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def load_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object in a text; None for anything else, and for what would not be written."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or _is_deep(text, found) or not _is_proper(text, found):
        return None
    return found


def lossy_text(value: bytes | str) -> str:
    """As text, with `\\xff` for bytes that are not UTF-8."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


def load_number(data: Mapping[str, str], field: str, default: int | None = None) -> int | None:
    text = data.get(field)
    if text is None:
        return default
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise InvalidScheduleError(
            f"field {field!r} must be a whole number, got {quoted(text)}"
        ) from None


def load_time(data: Mapping[str, str], field: str) -> datetime | None:
    text = data.get(field)
    if not text:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise InvalidScheduleError(
            f"field {field!r} must be a UTC time such as 2026-06-03T05:40:00.000000Z, of the "
            f"years {FIRST_YEAR} to {LAST_YEAR}, got {quoted(text)}"
        ) from None


def load_next_time(data: Mapping[str, str], field: str) -> datetime | None:
    """The same; None for an impossible time, which is recomputed."""
    text = data.get(field, "")
    if text[:4].isdigit() and not _EARLIEST <= text < _TOO_LATE:
        return None
    return load_time(data, field)


def load_flag(data: Mapping[str, str], field: str, default: bool) -> bool:
    text = data.get(field)
    if text is None:
        return default
    if text not in ("0", "1"):
        raise InvalidScheduleError(f"field {field!r} must be 0 or 1, got {quoted(text)}")
    return text == "1"
