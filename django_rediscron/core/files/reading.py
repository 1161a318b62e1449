"""A file with schedules as entries; every mistake is told with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import fsencode
from pathlib import PurePath
from typing import Any, cast

from ..exceptions import InvalidScheduleError
from ..plain import plain
from ..quoting import quoted
from ..schedule.checks import check_id
from ..schedule.definition import Off
from ..schedule.forms import fits, types_of
from ..schedule.options import ScheduleArguments
from ..schedule.texts import lossy_text
from .fields import FIELDS, LOCKED, NEEDED, OFF, TIMING
from .json_nodes import json_node
from .nodes import Mistake, Node, Place, WrongFileError, wrong
from .schema import VERSION
from .yaml_nodes import yaml_node

_TYPES = {
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


@dataclass(frozen=True)
class Entry:
    """A schedule in a file."""

    id: str
    place: Place
    values: Mapping[str, Any]
    """Keyword -> value in the file."""
    places: Mapping[str, Place]
    """Keyword -> where its value stands."""

    @property
    def function(self) -> str:
        return cast(str, self.values["function"])

    @property
    def queue(self) -> str:
        return cast(str, self.values["queue"])

    @property
    def locked(self) -> bool:
        return bool(self.values.get(LOCKED))

    @property
    def off(self) -> Off:
        """Why, and until when, it is disabled."""
        said = {name: FIELDS[name].form.value(self.values.get(name)) for name in OFF}
        reason = (said["disabled_reason"] or "").strip()
        return Off(reason=reason, until=said["disabled_until"])

    def arguments(self) -> ScheduleArguments:
        """As `register` takes them."""
        said = {
            name: FIELDS[name].form.value(value)
            for name, value in self.values.items()
            if name not in (*NEEDED, *OFF, LOCKED)
        }
        return cast(ScheduleArguments, said)

    def mistake(self, error: object, keyword: str = "") -> Mistake:
        """Something that is wrong with it, or with this keyword."""
        return Mistake(str(error), self.places.get(keyword, self.place), self.id)


@dataclass(frozen=True)
class ScheduleFile:
    """What a file says."""

    name: str
    """By which its schedules are known as those of this file; empty if they are not to be."""
    entries: Mapping[str, Entry]


def read_file(data: bytes, path: str) -> ScheduleFile:
    """The schedules in a file with these contents. Raises `WrongFileError` with all mistakes.

    It is JSON if its name ends in `.json` or it begins with a brace, else YAML, for which
    ValueError is raised if there is no PyYAML.
    """
    try:
        root = _node(_text(data), path)
    except RecursionError:
        raise wrong("it is nested too deeply", Place(1, 1)) from None
    top = _top(root)
    mistakes: list[Mistake] = []
    entries = {}
    _, schedules = top["schedules"]
    for id, (place, node) in schedules.value.items():
        entry, found = _entry(id, place, node)
        mistakes += found
        entries[id] = entry
    if mistakes:
        raise WrongFileError(mistakes)
    name = top["name"][1].value if "name" in top else lossy_text(fsencode(PurePath(path).name))
    return ScheduleFile(name, entries)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(errors="replace")
        line = before.count("\n") + 1
        raise wrong("it is not UTF-8", Place(line, len(before) - before.rfind("\n"))) from None


def _node(text: str, path: str) -> Node:
    is_json = path.endswith(".json") or text.lstrip().startswith("{")
    return json_node(text) if is_json else yaml_node(text)


def _top(root: Node) -> dict[str, tuple[Place, Node]]:
    if not isinstance(root.value, dict):
        raise wrong(f"it must be a mapping with version: {VERSION} and schedules", root.place)
    top: dict[str, tuple[Place, Node]] = root.value
    mistakes = [
        Mistake(f"unknown key {quoted(key)}; there are version, name and schedules", place)
        for key, (place, _) in top.items()
        if key not in ("version", "name", "schedules")
    ]
    for key, what, is_right in (
        ("version", f"{VERSION}, the only version that there is", _is_version),
        ("name", "a text that is not empty", _is_name),
        ("schedules", "a mapping of ids to schedules", lambda value: isinstance(value, dict)),
    ):
        if key in top:
            node = top[key][1]
            if not is_right(node.value):
                text = f"{key} must be {what}, got {quoted(node.plain())}"
                mistakes.append(Mistake(text, node.place))
        elif key != "name":
            mistakes.append(Mistake(f"{key} is missing", root.place))
    if mistakes:
        raise WrongFileError(mistakes)
    return top


def _is_version(value: object) -> bool:
    return type(value) is int and value == VERSION


def _is_name(value: object) -> bool:
    # JSON can have half a character, which Redis cannot.
    return isinstance(value, str) and bool(value) and not re.search("[\ud800-\udfff]", value)


def _entry(id: str, place: Place, node: Node) -> tuple[Entry, list[Mistake]]:
    mapping = node.value if isinstance(node.value, dict) else {}
    entry = Entry(
        id,
        place,
        {name: value.plain() for name, (_, value) in mapping.items() if name in FIELDS},
        {name: value.place for name, (_, value) in mapping.items()},
    )
    mistakes = [entry.mistake(text, keyword) for keyword, text in faults_of(entry)]
    mistakes += [
        Mistake(f"unknown keyword {quoted(name)}; there are {', '.join(FIELDS)}", where, id)
        for name, (where, _) in mapping.items()
        if name not in FIELDS
    ]
    if not isinstance(node.value, dict):
        text = f"a schedule must be a mapping, got {quoted(node.plain())}"
        mistakes = [Mistake(text, node.place, id)]
    return entry, mistakes


def faults_of(entry: Entry) -> Iterator[tuple[str, str]]:
    """The keyword, if it is about one, and what is wrong."""
    try:
        check_id(entry.id)
    except InvalidScheduleError as error:
        yield "", str(error)
    for name in NEEDED:
        if name not in entry.values:
            yield "", f"{name} is missing"
    given = entry.values.keys() & {"interval", "cron"}
    if len(given) != 1:
        yield "", f"either interval or cron is needed, got {'both' if given else 'neither'}"
    for name, value in entry.values.items():
        if fault := _fault(name, value):
            yield name, fault
        elif name in OFF and value and entry.values.get("enabled") is not False:
            yield name, f"{name} is only for schedules with enabled: false"


def _fault(name: str, value: Any) -> str | None:
    field = FIELDS[name]
    if not fits(field.form.schema, value):
        types = " or ".join(dict.fromkeys(_TYPES[each] for each in types_of(field.form.schema)))
        shown = type(value).__name__ if name in ("args", "kwargs", "webhooks") else quoted(value)
        has_default = name not in (*NEEDED, *TIMING)
        remedy = "; leave it out for the default" if value is None and has_default else ""
        return f"{name} must be {types}, got {shown}{remedy}"
    try:
        field.check(name, field.form.value(plain(value)))
    except InvalidScheduleError as error:
        return str(error)
    except ValueError as error:
        return f"{name} {error}"
    return None
