"""Days that must match both the day of the month and the day of the week, as some systems want."""

from __future__ import annotations

from ..core.timing.cron_fields import Days, days_of, weekdays_of

_WEEKS = (range(1, 8), range(8, 15), range(15, 22), range(22, 29), range(29, 32))


def both_days(day: str, weekday: str) -> tuple[str, str]:
    """The two fields as they must be here, where one of them is enough if neither begins with `*`.

    Raises ValueError for fields that are invalid, or that cannot be written so that both count.
    """
    days, weekdays = days_of(day), weekdays_of(weekday)
    if days == Days(frozenset(range(1, 32))) or _is_whole(weekdays.numbers):
        return ("*" if len(days.numbers) == 31 else day), (
            "*" if _is_whole(weekdays.numbers) else weekday
        )
    if day[0] in "*?" or weekday[0] in "*?":
        return day, weekday
    weeks = [number for number, week in enumerate(_WEEKS, 1) if days.numbers.issuperset(week)]
    whole = {each for number in weeks for each in _WEEKS[number - 1]}
    if days.numbers == whole and not (days.before_end or days.nearest or weekdays.nth):
        return "*", ",".join(f"{each}#{n}" for n in weeks for each in sorted(weekdays.numbers))
    if 1 in days.numbers:
        return f"*/31,{day}", weekday  # the same days, and it begins with *
    if 0 in weekdays.numbers:
        return day, f"*/7,{weekday}"  # likewise: every seventh day from Sunday
    raise ValueError(
        f"both the day of the month ({day}) and the day of the week ({weekday}) must match there, "
        f"and here one of them is enough"
    )


def _is_whole(numbers: frozenset[int]) -> bool:
    return len(numbers) == 7
