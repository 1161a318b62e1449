"""The lines of crontabs, as crontab(5) of Debian describes them, with cronie's `CRON_TZ`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..core.timing.cron_fields import ALIASES, MONTH, WEEKDAY

_VARIABLE = re.compile(r"""(?:"([^"]*)"|'([^']*)'|([^\s="']+))\s*=\s*(.*)""")
_FIELDS = 5
_NAME = "[A-Za-z]{3}"
_ITEM = re.compile(rf"(\*|(?:\d+|{_NAME})-(?:\d+|{_NAME}))(?:/\d+)?|\d+|{_NAME}")
_START = re.compile(rf"(\d+|{_NAME})/\d+")


@dataclass(frozen=True)
class Line:
    """A line that says when to run what."""

    number: int
    text: str
    when: str = ""
    """Five fields, or a short form such as `@daily`."""
    rest: str = ""
    """What follows: the command, in system crontabs behind the name of a user."""
    variables: Mapping[str, str] | None = None
    """Those that were set above it."""
    fault: str = ""
    """Why cron, or this package, would not take it."""
    remedy: str = ""


def lines_of(text: str) -> Iterator[Line]:
    """The lines that are neither blank, nor comments, nor variables."""
    variables: dict[str, str] = {}
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if match := _VARIABLE.fullmatch(line):
            name = match[1] or match[2] or match[3]
            variables[name] = _unquoted(match[4])
        else:
            yield _line(number, line, dict(variables))


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def _line(number: int, text: str, variables: dict[str, str]) -> Line:
    if text.startswith("@"):
        when, rest = (*text.split(None, 1), "")[:2]
        fault, remedy = _short_form_fault(when)
    else:
        # A minus sign before the minute keeps cronie from logging.
        parts = text.removeprefix("-").split(None, _FIELDS)
        when, rest = " ".join(parts[:_FIELDS]), "".join(parts[_FIELDS:])
        fault, remedy = _fields_fault(parts[:_FIELDS])
    if not fault and not rest.strip():
        fault = "it has no command"
    return Line(number, text, when, rest.strip(), variables, fault, remedy)


def _short_form_fault(when: str) -> tuple[str, str]:
    if when == "@reboot":
        return (
            "@reboot is no time",
            "start it with the machine in another way, such as a unit of systemd",
        )
    if when not in ALIASES:
        return f"{when} is not known; there are {', '.join(ALIASES)}", ""
    return "", ""


def _fields_fault(fields: list[str]) -> tuple[str, str]:
    if len(fields) < _FIELDS:
        return "it is neither a variable nor five fields and a command", ""
    for field in fields:
        for item in field.split(","):
            if _START.fullmatch(item):
                first = item.partition("/")[0]
                return (
                    f"{item}: crons differ in what a step without a range means",
                    f"write {first}, or a range such as {first}-59/5",
                )
            if "~" in item:
                return (
                    f"{item}: random times are not supported",
                    "write the earliest time, and use jitter",
                )
            if not _ITEM.fullmatch(item):
                return f"{item!r} is none of cron's forms", ""
            if _is_backwards(item):
                return f"{item}: the range ends before it begins, which cron refuses", ""
    return "", ""


def _is_backwards(item: str) -> bool:
    match = re.fullmatch(rf"(\d+|{_NAME})-(\d+|{_NAME})(?:/\d+)?", item)
    return match is not None and _number(match[1]) > _number(match[2])


def _number(text: str) -> int:
    """As cron reads it: Sunday is 0, and never 7, if it is a name."""
    names = dict((*MONTH.names, *WEEKDAY.names))
    return int(text) if text.isdigit() else names.get(text.upper(), 0)


def command_and_input(text: str) -> tuple[str, str | None]:
    """A command, and what it gets on its standard input.

    The first `%` ends the command, and those after it end lines of the input; `\\%` is a percent
    sign.
    """
    command, *lines = (part.replace("\\%", "%") for part in re.split(r"(?<!\\)%", text))
    return command.strip(), "".join(f"{line}\n" for line in lines) if lines else None
