"""Schedules in plain English, for people who do not read cron expressions.

A sentence describes what the expression matches, not how it is written. If there is no short and
exact sentence, the expression itself is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from .cron_expression import Expression, parse
from .cron_fields import LAST

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_NAMED = 6
"""The maximum number of times, days or months that a sentence lists."""

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NTH = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", LAST: "last"}


class _NoWords(Exception):
    """There is no short and exact sentence."""


def describe(
    interval: int | None, cron: str | None, timezone: str | None, max_runs: int | None
) -> str:
    """When it runs: `Every 90 seconds`, `At 09:00, Monday to Friday (Europe/Paris)`."""
    if cron:
        text = _describe_cron(cron) + _limit(max_runs)
        return f"{text} ({timezone})" if timezone else text
    if max_runs == 1:
        return "Once"
    return _describe_interval(interval or 0) + _limit(max_runs)


def _limit(max_runs: int | None) -> str:
    if max_runs is None:
        return ""
    return ", once" if max_runs == 1 else f", at most {max_runs} times"


def _describe_interval(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return _every(seconds // size, unit)


def _describe_cron(text: str) -> str:
    expression = parse(text)
    try:
        parts = _times(expression), _days(expression), _months(expression.months)
    except _NoWords:
        return text
    return ", ".join(filter(None, parts))


def _times(expression: Expression) -> str:
    hours, minutes, seconds = expression.hours, expression.minutes, expression.seconds
    if len(hours) * len(minutes) * len(seconds) <= _NAMED:
        return f"At {_list(_clock(*time) for time in product(hours, minutes, seconds))}"
    if seconds == (0,) and len(minutes) == 1:
        return _hourly(hours, minutes[0])
    if seconds == (0,):
        text = _within("minute", "hour", minutes)
    elif len(minutes) == 60:
        text = _within("second", "minute", seconds)
    else:
        raise _NoWords
    if len(hours) == 24:
        return text
    first, last = _run(hours, 24)
    return f"{text}, between {_clock(first, 0)} and {_clock(last, 59)}"


def _hourly(hours: Sequence[int], minute: int) -> str:
    """Once in each of these hours."""
    step = _step(hours, 24)
    if step == 1 and minute:
        return f"At {_count(minute, 'minute')} past the hour"
    if step:
        begin = f", starting at {_clock(hours[0], minute)}" if hours[0] or minute else ""
        return _every(step, "hour") + begin
    first, last = _run(hours, 24)
    return f"Every hour from {_clock(first, minute)} to {_clock(last, minute)}"


def _within(unit: str, whole: str, values: Sequence[int]) -> str:
    """Some minutes of the hour, or seconds of the minute."""
    step = _step(values, 60)
    if step and not values[0]:
        return _every(step, unit)
    if len(values) <= _NAMED:
        return f"At {_list(map(str, values))} {unit}s past the {whole}"
    if step:
        return f"{_every(step, unit)}, starting at {_count(values[0], unit)} past the {whole}"
    first, last = _run(values, 60)
    return f"{unit.capitalize()}s {first} to {last} past the {whole}"


def _days(expression: Expression) -> str:
    every_day = len(expression.days.numbers) == 31
    every_weekday = len(expression.weekdays.numbers) == 7
    if (every_day and every_weekday) or (expression.either and (every_day or every_weekday)):
        return ""
    if every_day:
        return _weekdays(expression, "only on")
    if every_weekday:
        return _days_of_month(expression)
    if not expression.either:
        raise _NoWords
    return f"{_days_of_month(expression)}, or {_weekdays(expression, 'on')}"


def _days_of_month(expression: Expression) -> str:
    days, phrases = expression.days, []
    if days.numbers:
        numbers = sorted(days.numbers)
        several = "day" if len(numbers) == 1 else "days"
        phrases.append(f"on {several} {_few(numbers, [*map(str, range(32))], 31)} of the month")
    for before in sorted(days.before_end, reverse=True):
        ahead = f"{_count(before, 'day')} before" if before else "on"
        phrases.append(f"{ahead} the last day of the month")
    for day in sorted(days.nearest):
        which = "last weekday" if day == 31 else f"weekday nearest day {day}"
        phrases.append(f"on the {which} of the month")
    return _both(phrases)


def _weekdays(expression: Expression, on: str) -> str:
    weekdays, phrases = expression.weekdays, []
    if weekdays.numbers:
        names = _few(sorted(weekdays.numbers, key=lambda number: number or 7), _WEEKDAYS, 7)
        on = "on every" if weekdays.nth else on
        phrases.append(names if " to " in names else f"{on} {names}")
    for nth, name in _NTH.items():
        for weekday in range(7):
            if (weekday, nth) in weekdays.nth and weekday not in weekdays.numbers:
                phrases.append(f"on the {name} {_WEEKDAYS[weekday]} of the month")
    return _both(phrases)


def _months(months: Sequence[int]) -> str:
    if len(months) == 12:
        return ""
    names = _few(months, ("", *_MONTHS), 12)
    return names if " to " in names else f"only in {names}"


def _few(values: Sequence[int], names: Sequence[str], whole: int) -> str:
    """`Monday to Friday`, `January and June`."""
    if len(values) > 2:
        try:
            first, last = _run(values, whole)
        except _NoWords:
            pass
        else:
            return f"{names[first]} to {names[last]}"
    if len(values) > _NAMED:
        raise _NoWords
    return _list(names[value] for value in values)


def _run(values: Sequence[int], whole: int) -> tuple[int, int]:
    """The first and the last of consecutive values, which may wrap around."""
    ordered = sorted(values)
    gaps = [n for n, value in enumerate(ordered) if (value - ordered[n - 1]) % whole != 1]
    if len(values) > 1 and len(gaps) != 1:
        raise _NoWords
    begin = gaps[0] if gaps else 0
    return ordered[begin], ordered[begin - 1]


def _step(values: Sequence[int], whole: int) -> int:
    """The distance between values that are evenly spread over the whole hour or day, or 0."""
    step = whole // len(values)
    even = list(values) == [*range(values[0], whole, step)] and whole % len(values) == 0
    return step if even and len(values) > 1 else 0


def _both(phrases: Sequence[str]) -> str:
    if len(phrases) > 3:
        raise _NoWords
    return " and ".join(phrases)


def _list(texts: Iterable[str]) -> str:
    *others, last = texts
    return f"{', '.join(others)} and {last}" if others else last


def _every(count: int, unit: str) -> str:
    return f"Every {unit}" if count == 1 else f"Every {count} {unit}s"


def _count(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _clock(hour: int, minute: int, second: int = 0) -> str:
    return f"{hour:02}:{minute:02}:{second:02}" if second else f"{hour:02}:{minute:02}"
