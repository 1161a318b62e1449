"""What the fields of a cron expression match, by the rules of docs/cron.md.

The names of months and days are croniter's. Its parser is not used: it differs from release to
release, and some results are not what users mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from croniter.croniter import DOW_ALPHAS, M_ALPHAS

from ..quoting import quoted

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

MAX_LENGTH = 1000
"""Characters of an expression: more than all values of all fields need."""

LAST = -1
"""In place of the n of `FRI#n`: the last one of the month."""

_ITEM = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", re.ASCII)
_NTH = re.compile(r"(\w+(?:-\w+)?)#(\w*)", re.ASCII)
_LAST_DAY = re.compile(r"L(?:-(\d+))?", re.ASCII)
_NEAREST = re.compile(r"(\d+|L)W", re.ASCII)
_LAST_WEEKDAY = re.compile(r"(\w+)L|L(\d)", re.ASCII)
_RANDOM = re.compile(r"[RH](?:\(.*\))?(?:/.*)?")


@dataclass(frozen=True, eq=False)
class Field:
    """The numbers and names of one field."""

    name: str
    low: int
    high: int
    range: str
    names: tuple[tuple[str, int], ...] = ()

    def number(self, text: str) -> int:
        number = dict(self.names).get(text)
        if number is None and text.isdigit():
            number = int(text)
        if number is None or not self.low <= number <= self.high:
            raise ValueError(f"{self.name} must be {self.range}, got {quoted(text)}")
        return number


def _names(numbers: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple((name.upper(), int(number)) for name, number in numbers.items())


MINUTE = Field("minute", 0, 59, "0-59")
HOUR = Field("hour", 0, 23, "0-23")
DAY = Field("day of the month", 1, 31, "1-31")
MONTH = Field("month", 1, 12, "1-12 or JAN-DEC", _names(M_ALPHAS))
WEEKDAY = Field("day of the week", 0, 7, "0-7 or SUN-SAT (0 and 7 are Sunday)", _names(DOW_ALPHAS))
SECOND = Field("second", 0, 59, "0-59 (it is the last of six fields)")


@dataclass(frozen=True)
class Days:
    """Days of the month."""

    numbers: frozenset[int] = frozenset()
    before_end: frozenset[int] = frozenset()
    """Days counted back from the last one: 0 is the last day itself."""
    nearest: frozenset[int] = frozenset()
    """The weekdays, Monday to Friday, that are nearest to these days; 31 stands for the last."""


@dataclass(frozen=True)
class Weekdays:
    """Days of the week: Sunday is 0."""

    numbers: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()
    """A day of the week, and which one of the month: 1 to 5, or `LAST`."""


def split(text: str) -> list[str]:
    """Its fields, in the order minute, hour, day, month, weekday, and, if given, second."""
    return ALIASES.get(text.strip().lower(), text).split()


@lru_cache(maxsize=4096)
def numbers_of(field: Field, text: str) -> tuple[int, ...]:
    """What a field of times or months matches, ascending. Raises ValueError."""
    found = set[int]()
    for item in _items(field, text):
        found.update(_range(field, item))
    return tuple(sorted(found))


@lru_cache(maxsize=4096)
def days_of(text: str) -> Days:
    """What the day field matches. Raises ValueError."""
    numbers, before_end, nearest = set[int](), set[int](), set[int]()
    for item in _items(DAY, text):
        if match := _LAST_DAY.fullmatch(item):
            before_end.add(_days_before_end(item, match[1]))
        elif match := _NEAREST.fullmatch(item):
            nearest.add(31 if match[1] == "L" else DAY.number(match[1]))
        elif "W" in item:
            raise ValueError(
                f"{DAY.name}: {quoted(item)} is not known; write one day before W, such as 15W "
                f"(several as 1W,15W), or LW for the last weekday of the month"
            )
        else:
            numbers.update(_range(DAY, _end_of_month(item)))
    return Days(frozenset(numbers), frozenset(before_end), frozenset(nearest))


@lru_cache(maxsize=4096)
def weekdays_of(text: str) -> Weekdays:
    """What the weekday field matches. Raises ValueError."""
    numbers, nth = set[int](), set[tuple[int, int]]()
    for item in _items(WEEKDAY, text):
        if "#" in item:
            nth.update(_nth(item))
        elif item == "L":
            raise ValueError(
                f"{WEEKDAY.name}: 'L' needs a day; write SATL for the last Saturday of the month, "
                f"or SAT for every Saturday"
            )
        elif match := _LAST_WEEKDAY.fullmatch(item):
            nth.add((WEEKDAY.number(match[1] or match[2]) % 7, LAST))
        else:
            numbers.update(_range(WEEKDAY, item))
    return Weekdays(frozenset(numbers), frozenset(nth))


def _items(field: Field, text: str) -> list[str]:
    """The parts between commas, in upper case."""
    if text == "?" and field in (DAY, WEEKDAY):
        return ["*"]
    items = (text.upper() if text.isascii() else text).split(",")
    if "" in items:
        raise ValueError(f"{field.name} has an empty value, got {quoted(text)}; take out the comma")
    for item in items:
        if "?" in item:
            seconds = " (the second is the last of six fields)" if field is SECOND else ""
            raise ValueError(
                f"{field.name}: '?' can only be a whole field, of the days of the month or of the "
                f"week, got {quoted(text)}; write *{seconds}"
            )
        if _RANDOM.fullmatch(item) or "~" in item:
            raise ValueError(
                f"{field.name} must name its times, got {quoted(item)}: random values (R, H, ~) "
                f"would differ from process to process; write a number, and use jitter"
            )
    return items


def _range(field: Field, item: str) -> list[int]:
    """`*`, `a`, `a-b`, each optionally with `/step`; a range may wrap around."""
    match = _ITEM.fullmatch(item)
    if match is None or (match[1] == "*" and match[2]):
        raise ValueError(
            f"{field.name}: {quoted(item)} is not known; write *, a number, a range such as "
            f"{field.low}-{field.low + 5}, or one of these with a step, such as */5"
        )
    first, last, step = match.groups()
    whole = 7 if field is WEEKDAY else field.high - field.low + 1
    low = field.low if first == "*" else field.number(first)
    if last:
        length = field.number(last) - low
        length += whole if length < 0 else 0
    else:  # to the end of the field
        length = (field.low + whole - 1 - low) % whole if step or first == "*" else 0
    if step and int(step) == 0:
        raise ValueError(f"{field.name} must have a step from 1, got {quoted(item)}")
    return [
        field.low + (low - field.low + passed) % whole
        for passed in range(0, length + 1, int(step or 1))
    ]


def _days_before_end(item: str, count: str | None) -> int:
    if count is not None and not 1 <= int(count) <= 30:
        raise ValueError(f"{DAY.name} must be L (the last one) or L-1 to L-30, got {quoted(item)}")
    return int(count or 0)


def _end_of_month(item: str) -> str:
    """`15-L` as `15-31`: days that a month does not have never match."""
    first, dash, rest = item.partition("-")
    last, slash, step = rest.partition("/")
    if last != "L":
        return item
    return f"{first}{dash}31{slash}{step}"


def _nth(item: str) -> list[tuple[int, int]]:
    match = _NTH.fullmatch(item)
    if match is None or match[2] not in ("1", "2", "3", "4", "5"):
        raise ValueError(
            f"{WEEKDAY.name}: {quoted(item)} is not known; write a day and which one of the month, "
            f"1 to 5, such as FRI#3, or FRIL for the last Friday"
        )
    return [(number, int(match[2])) for number in _range(WEEKDAY, match[1])]
