"""Some keywords of a schedule that exists, changed to what texts say, as on a command line."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from redis import Redis

from ..exceptions import InvalidScheduleError
from ..quoting import quoted
from ..schedule.forms import fits, types_of
from ..schedule.record import Record
from ..store.saving import save_changes
from .fields import FIELDS, LOCKED, STATE, TIMING, described
from .importing import Step, step_of
from .json_nodes import json_node
from .nodes import Place, WrongFileError
from .reading import Entry, faults_of

EDITABLE = [name for name in FIELDS if name != LOCKED and (name not in STATE or name == "enabled")]

DEFAULT = object()
"""The value of an empty text."""

_HERE = Place(1, 1)

_EXAMPLES = {("array",): '[1, "two"]', ("object",): '{"country": "FR"}'}


def value_of(keyword: str, text: str) -> Any:
    """What a text says, as it would stand in a file; `DEFAULT` if it is empty.

    Numbers, lists and mappings are in JSON, lists of words also with commas between them. Raises
    `InvalidScheduleError` for an unknown keyword, and for what is not in JSON but must be.
    """
    if keyword not in EDITABLE:
        alike = get_close_matches(keyword, EDITABLE, n=1)
        remedy = f"did you mean {alike[0]}?" if alike else f"there are {', '.join(EDITABLE)}"
        raise InvalidScheduleError(f"unknown field {quoted(keyword)}; {remedy}")
    schema = FIELDS[keyword].form.schema
    types = tuple(types_of(schema))
    if not text:
        return DEFAULT
    if {*types} <= {"string", "null"}:
        return text
    try:
        value = json_node(text).plain()
    except (WrongFileError, RecursionError):
        value = text
    if fits(schema, value):
        return value
    if schema.get("items", {}).get("type") == "string":
        return [word.strip() for word in text.split(",")]
    if value == text and types in _EXAMPLES:
        raise InvalidScheduleError(f"{keyword} must be in JSON, such as '{_EXAMPLES[types]}'")
    return text if "string" in types else value


def edit_of(stored: Record, values: Mapping[str, Any], connection: Redis) -> Step:
    """What it takes to give a schedule these values, checked like a file.

    Written by `write`, it changes nothing else: what others change meanwhile stays. Raises
    `InvalidScheduleError`.
    """
    if values.get("enabled") is stored.enabled:
        values = {name: value for name, value in values.items() if name != "enabled"}
    kept = described(stored, with_secrets=True)
    retimed = any(values.get(name, DEFAULT) is not DEFAULT for name in TIMING)
    for name in (*STATE, *(TIMING if retimed else ())):  # a state that is not given stays
        kept.pop(name, None)
    merged = {**kept, **values}
    entry = Entry(stored.id, _HERE, {n: v for n, v in merged.items() if v is not DEFAULT}, {})
    wrong = [text for _, text in faults_of(entry)]
    if wrong:
        raise InvalidScheduleError("; ".join(wrong))
    try:
        return step_of(entry, stored, connection, merged=True)
    except WrongFileError as error:
        raise InvalidScheduleError(str(error)) from None


def write(step: Step, connection: Redis) -> None:
    """Raises `InvalidScheduleError`, `NoSuchJobError` or `ScheduleLockedError`."""
    if step.change is not None:
        save_changes([step.change], connection)
