"""How values are written in files: what a JSON Schema says of them, and the way there and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..quoting import quoted
from ..timing.cron_times import utc_text
from ..timing.durations import UNITS

Schema = Mapping[str, Any]


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Form:
    """A value in a file; what is accepted meets the schema, which may allow a little more."""

    schema: Schema
    plain: Callable[[Any], Any] = _as_it_is
    """A value as it is kept -> the JSON value in a file."""
    value: Callable[[Any], Any] = _as_it_is
    """A JSON value of one of the types of the schema -> what the check takes, or ValueError with
    what it must be."""

    def or_null(self) -> Form:
        """The same, with null for none."""
        schema = {"anyOf": [self.schema, {"type": "null"}]}
        return Form(schema, _unless_none(self.plain), _unless_none(self.value))


def _unless_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def duration_text(seconds: Any) -> Any:
    """A duration as people write it, `10m`, if that is exact; else the number of seconds."""
    if type(seconds) is not int or seconds <= 0:
        return seconds
    unit = next(unit for unit in reversed(UNITS) if seconds % UNITS[unit] == 0)
    return f"{seconds // UNITS[unit]}{unit}"


def _moment_text(moment: datetime) -> str:
    return utc_text(moment).replace(".000000Z", "Z")


def _moment(text: str) -> datetime:
    iso = f"{text[:-1]}+00:00" if text.endswith(("Z", "z")) else text
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        moment = datetime.min
    if moment.utcoffset() is None:
        raise ValueError(
            f"must be a time with its offset from UTC, such as 2026-06-03T05:40:00Z, "
            f"got {quoted(text)}"
        )
    return moment


DURATION_TEXT: Schema = {
    "type": "string",
    "pattern": r"^[ \t]*-?[0-9]{1,20}(\.[0-9]{1,9})?[ \t]*[smhdwSMHDW]?[ \t]*$",
    "examples": ["90s", "10m", "1h", "1d", "1w"],
}

TEXT = Form({"type": "string"})
COUNT = Form({"type": "integer", "minimum": 1})
FLAG = Form({"type": "boolean"})
LIST = Form({"type": "array"}, list)
MAPPING = Form({"type": "object"})
MOMENT = Form({"type": "string", "format": "date-time"}, _moment_text, _moment)


def choice(words: Sequence[str]) -> Form:
    """One of these words."""
    return Form({"type": "string", "enum": list(words)})


def duration(minimum: int, *, whole: bool = False) -> Form:
    """A duration: a number of seconds from `minimum`, or a text."""
    number = {"type": "integer" if whole else "number", "minimum": minimum}
    return Form({"anyOf": [number, DURATION_TEXT]}, duration_text)


def words(pattern: str, most: int) -> Form:
    """A list of words."""
    item = {"type": "string", "pattern": f"^{pattern}$"}
    return Form({"type": "array", "items": item, "maxItems": most}, list)


def mapping(forms: Mapping[str, Form], needed: Sequence[str] = ()) -> Form:
    """An object with these keys only."""
    schema = {
        "type": "object",
        "properties": {key: form.schema for key, form in forms.items()},
        "required": list(needed),
        "additionalProperties": False,
    }
    return Form(schema, lambda value: {key: forms[key].plain(value[key]) for key in value})


def either(*forms: Form) -> Form:
    """A value of one of these forms, told apart by the type."""

    def form_of(value: Any) -> Form:
        return next(form for form in forms if fits(form.schema, value))

    return Form(
        {"anyOf": [form.schema for form in forms]},
        lambda value: form_of(value).plain(value),
        lambda value: form_of(value).value(value),
    )


def _retry_plain(retry: Any) -> Any:
    intervals = [duration_text(seconds) for seconds in retry.intervals]
    at_front = getattr(retry, "enqueue_at_front", False)
    if intervals == [0] and not at_front:
        return retry.max
    said: dict[str, Any] = {"max": retry.max}
    if intervals != [0]:
        said["intervals"] = intervals
    return {**said, "enqueue_at_front": True} if at_front else said


def _retry_value(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("intervals"), dict):
        raise ValueError("must have a list of durations as intervals, got a mapping")
    return value


_WAIT = duration(0, whole=True).schema
RETRY = Form(
    {
        "anyOf": [
            COUNT.schema,
            mapping(
                {
                    "max": COUNT,
                    "intervals": Form(
                        {"anyOf": [*_WAIT["anyOf"], {"type": "array", "items": _WAIT}]}
                    ),
                    "enqueue_at_front": FLAG,
                },
                ["max"],
            ).schema,
        ]
    },
    _retry_plain,
    _retry_value,
)
"""RQ's `Retry`."""


def types_of(schema: Schema) -> list[str]:
    """The types of JSON that a schema allows."""
    if "anyOf" in schema:
        return [each for part in schema["anyOf"] for each in types_of(part)]
    return [schema["type"]]


def fits(schema: Schema, value: object) -> bool:
    """Whether a value is of one of the types of a schema."""
    return any(_TYPES[each](value) for each in types_of(schema))


_TYPES: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}
