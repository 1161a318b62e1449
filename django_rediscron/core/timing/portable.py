"""Cron expressions and local zones in the words of services that watch schedules.

Sentry and Healthchecks read expressions with cronsim, which follows Debian's cron as this package
does, but knows fewer forms. What it reads differently is written out here.
"""

from __future__ import annotations

from collections.abc import Iterable

from .clock_rules import LOCAL_NAME, rules_of
from .cron_expression import Expression, parse
from .cron_fields import LAST, split


def portable_cron(text: str) -> str | None:
    """Five fields that cronsim reads as this package reads `text`; None if there are none.

    Without the seconds: the result matches each minute in which `text` fires at least once.
    Raises ValueError for an invalid expression.
    """
    expression, fields = parse(text), split(text)
    minute, hour, day, month, weekday = fields[:5]
    if expression.days.nearest or expression.days.before_end - {0}:
        return None
    if len(fields) > 5 and minute[0] != "*" and hour[0] != "*":
        # It is silent in a skipped hour and fires twice in a repeated one; five fields do not.
        return None
    last = ["L"] if expression.days.before_end else []
    return " ".join(
        (
            _field(minute, expression.minutes),
            _field(hour, expression.hours),
            _field(day.replace("?", "*"), expression.days.numbers, last),
            _field(month, expression.months),
            _field(weekday.replace("?", "*"), expression.weekdays.numbers, _nth(expression)),
        )
    )


def zone_name(timezone: str | None) -> str | None:
    """The IANA name of a zone, None for the local one; None if that has no name."""
    return timezone or rules_of("")[LOCAL_NAME] or None


def ranges(numbers: Iterable[int]) -> list[str]:
    """The items of a field: `[0, 1, 2, 5]` as `0-2` and `5`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def _field(text: str, numbers: Iterable[int], special: Iterable[str] = ()) -> str:
    """A field that begins with `*` keeps that: it decides about daylight saving and days."""
    first, comma, _ = text.partition(",")
    if first == "*" or (first[0] == "*" and not comma):
        return first
    return ",".join(([first] if first[0] == "*" else []) + ranges(numbers) + [*special])


def _nth(expression: Expression) -> list[str]:
    return [
        f"{weekday}L" if which == LAST else f"{weekday}#{which}"
        for weekday, which in sorted(expression.weekdays.nth)
    ]
