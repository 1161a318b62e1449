"""What cron expressions match: the rules of docs/cron.md, and an expansion of the test's own."""

from __future__ import annotations

import re
from calendar import monthrange
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from itertools import islice, product
from pathlib import Path

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from django_rediscron.core.exceptions import InvalidScheduleError
from django_rediscron.core.timing.cron_fields import (
    ALIASES,
    DAY,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    WEEKDAY,
    numbers_of,
    weekdays_of,
)
from django_rediscron.core.timing.cron_times import check_cron, next_cron_time
from django_rediscron.core.timing.portable import portable_cron

UTC = timezone.utc
PAGE = Path(__file__).parent.parent / "docs" / "cron.md"
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
RANGES = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "weekday": (0, 6),
    "second": (0, 59),
}


def numbers(kind: str, text: str) -> set[int]:
    """A part of a field without special letters: its values are written down, and stepped over."""
    low, high = RANGES[kind]
    span, _, step = text.partition("/")
    first, _, last = (number(word) for word in span.partition("-"))
    if kind == "weekday" and first == "7" and last != "7":
        first = "0"  # Sunday, at the beginning
    if span == "*":
        row = [*range(low, high + 1)]
    elif not last:
        row = [*range(int(first), high + 1)] if step else [int(first)]
    elif int(first) <= int(last):
        row = [*range(int(first), int(last) + 1)]
    else:
        row = [*range(int(first), high + 1), *range(low, int(last) + 1)]
    return {value % 7 if kind == "weekday" else value for value in row[:: int(step or 1)]}


def number(word: str) -> str:
    for names, start in ((MONTHS, 1), (WEEKDAYS, 0)):
        if word.upper() in names:
            return str(names.index(word.upper()) + start)
    return word


def day_matches(part: str, day: date) -> bool:
    last = monthrange(day.year, day.month)[1]
    if part == "L":
        return day.day == last
    if part.startswith("L-"):
        return day.day == last - int(part[2:])
    if part.endswith("W"):
        wished = last if part == "LW" else min(int(part[:-1]), last)
        working = [n for n in range(1, last + 1) if day.replace(day=n).weekday() < 5]
        # Of Friday and Monday, Friday is nearer to a Saturday, and Monday to a Sunday.
        return day.day == min(working, key=lambda n: abs(n - wished))
    return day.day in numbers("day", part.replace("-L", "-31"))


def weekday_matches(part: str, day: date) -> bool:
    weekday = day.isoweekday() % 7
    if "#" in part:
        days, _, nth = part.partition("#")
        same = [n for n in range(1, day.day + 1) if (day.day - n) % 7 == 0]
        return weekday in numbers("weekday", days) and len(same) == int(nth)
    if part.endswith("L"):
        return weekday in numbers("weekday", part[:-1]) and (day + timedelta(7)).month != day.month
    return weekday in numbers("weekday", part)


def times(expression: str, begin: date, days: int) -> list[datetime]:
    """The first matching wall times of each of so many days."""
    minute, hour, day, month, weekday, *second = expression.replace("?", "*").split()
    parts = {
        kind: set.union(*(numbers(kind, part) for part in text.split(",")))
        for kind, text in (("minute", minute), ("hour", hour), ("month", month))
    }
    seconds = set.union(*(numbers("second", part) for part in "".join(second or "0").split(",")))
    both = day.startswith("*") or weekday.startswith("*")
    found = []
    for passed in range(days):
        each = begin + timedelta(passed)
        by_day = any(day_matches(part, each) for part in day.split(","))
        by_weekday = any(weekday_matches(part, each) for part in weekday.split(","))
        if each.month in parts["month"] and (
            by_day and by_weekday if both else by_day or by_weekday
        ):
            day_times = product(*map(sorted, (parts["hour"], parts["minute"], seconds)))
            midnight = datetime(each.year, each.month, each.day, tzinfo=UTC)
            for hours, minutes, rest in islice(day_times, 3):
                found.append(midnight.replace(hour=hours, minute=minutes, second=rest))
    return found


def spans(kind: str, names: list[str] | None = None) -> st.SearchStrategy[str]:
    low, high = RANGES[kind]
    value = st.integers(low, 7 if kind == "weekday" else high).map(str)
    if names:
        value |= st.sampled_from([*names, *map(str.lower, names)])
    step = st.integers(1, high + 3).map("/{}".format)
    span = st.tuples(value, value).map("-".join)
    return value | span | st.tuples(st.just("*") | value | span, step).map("".join)


def lists(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(part, min_size=1, max_size=3).map(",".join)


DAYS = st.one_of(
    spans("day"),
    st.just("L"),
    st.just("LW"),
    st.integers(1, 30).map("L-{}".format),
    st.integers(1, 31).map("{}W".format),
    st.integers(1, 31).map("{}-L".format),
)
ONE_WEEKDAY = st.sampled_from([*WEEKDAYS, *"01234567"])
SPECIAL_WEEKDAYS = st.one_of(
    ONE_WEEKDAY.map("{}L".format),
    st.tuples(ONE_WEEKDAY, st.integers(1, 5)).map("{0[0]}#{0[1]}".format),
    st.tuples(ONE_WEEKDAY, ONE_WEEKDAY, st.integers(1, 5)).map("{0[0]}-{0[1]}#{0[2]}".format),
)
EXPRESSIONS = st.tuples(
    lists(spans("minute")),
    lists(spans("hour")),
    st.sampled_from("*?") | lists(DAYS),
    st.just("*") | lists(spans("month", MONTHS)),
    st.sampled_from("*?") | lists(spans("weekday", WEEKDAYS) | SPECIAL_WEEKDAYS),
    st.just("") | lists(spans("second")),
).map(lambda fields: " ".join(fields).strip())


@pytest.mark.slow
@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(EXPRESSIONS, st.dates(date(2023, 1, 1), date(2031, 12, 31)))
def test_expressions_match_what_the_rules_say(expression: str, begin: date) -> None:
    expected = times(expression, begin, 100)
    moment = datetime(begin.year, begin.month, begin.day, tzinfo=UTC) - timedelta(seconds=1)
    end = moment + timedelta(days=100)
    for position, time in enumerate(expected[:40]):
        if position and time.date() != expected[position - 1].date():
            moment = datetime(time.year, time.month, time.day, tzinfo=UTC) - timedelta(seconds=1)
        assert next_cron_time(expression, moment, UTC) == time
        moment = time
    if not expected:
        with suppress(LookupError):
            assert next_cron_time(expression, moment, UTC) > end


def test_every_range_of_hours_with_every_step_is_walked_around_midnight() -> None:
    for first, last, step in product(range(24), range(24), range(1, 24)):
        text = f"{first}-{last}/{step}"
        assert set(numbers_of(HOUR, text)) == numbers("hour", text), text


def test_every_part_of_weekdays_is_walked_around_sunday() -> None:
    for first, last, step in product(range(8), ["", *range(8)], ["", *range(1, 9)]):
        text = f"{first}-{last}".rstrip("-") + f"/{step}".rstrip("/")
        assert weekdays_of(text).numbers == numbers("weekday", text), text


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("0 23-5/2 * * *", "08-01 01:00, 08-01 03:00, 08-01 05:00, 08-01 23:00, 08-02 01:00"),
        ("59/15 * * * *", "08-01 00:59, 08-01 01:59"),
        ("40/15 0 * * *", "08-01 00:40, 08-01 00:55, 08-02 00:40"),
        ("0 8 * * mon-1", "08-02 08:00, 08-09 08:00"),
        ("0 8 1 4-apr *", "04-01 08:00"),
        ("0 8 * * 0-7", "08-01 08:00, 08-02 08:00, 08-03 08:00"),
        ("0 8 * * 7-7", "08-01 08:00, 08-08 08:00"),
        ("0 8 * * FRI-MON", "08-01 08:00, 08-02 08:00, 08-06 08:00, 08-07 08:00"),
        ("0 8 * * 1#1,1", "08-02 08:00, 08-09 08:00, 08-16 08:00"),
        ("0 8 * * 1#1,3#2", "08-02 08:00, 08-11 08:00, 09-06 08:00"),
        ("0 8 * * MON-WED#5", "08-30 08:00, 08-31 08:00, 09-29 08:00"),
        ("0 8 * * 5L", "08-27 08:00, 09-24 08:00"),
        ("0 8 * * friL", "08-27 08:00, 09-24 08:00"),
        ("0 8 * * L5", "08-27 08:00, 09-24 08:00"),
        ("0 8 15W * *", "08-16 08:00, 09-15 08:00, 10-15 08:00"),
        ("0 8 1W * *", "08-02 08:00, 09-01 08:00, 10-01 08:00"),
        ("0 8 1W 1,5 *", "05-03 08:00"),  # Saturday the first
        ("0 8 lw * *", "08-31 08:00, 09-30 08:00, 10-29 08:00"),
        ("0 8 31W 2,10 *", "10-29 08:00, 02-29 08:00"),
        ("0 8 L * ?", "08-31 08:00, 09-30 08:00"),
        ("0 8 L-3 * *", "08-28 08:00, 09-27 08:00"),
        ("0 8 1,L * *", "08-01 08:00, 08-31 08:00, 09-01 08:00"),
        ("0 8 ? * 1", "08-02 08:00, 08-09 08:00"),
        ("0 8 L * MON#2", "08-09 08:00, 08-31 08:00, 09-13 08:00"),
        ("0 0 28-2/2 * *", "08-01 00:00, 08-28 00:00, 08-30 00:00, 09-01 00:00"),
        ("0 8 * NOV-FEB/2 *", "11-01 08:00, 11-02 08:00"),
    ],
)
def test_expressions_mean_what_is_written(expression: str, matches: str) -> None:
    moment = datetime(2027, 7, 31, 23, 59, tzinfo=UTC)
    if expression.endswith(("4-apr *", "1,5 *")):
        moment = datetime(2027, 1, 2, 23, 59, tzinfo=UTC)
        if expression.startswith("0 8 1W"):
            moment = datetime(2027, 1, 4, tzinfo=UTC)
    for expected in matches.split(", "):
        moment = next_cron_time(expression, moment, UTC)
        assert f"{moment:%m-%d %H:%M}" == expected


@pytest.mark.parametrize(
    ("expression", "reason", "remedy"),
    [
        ("61 * * * *", "minute must be 0-59, got '61'", ""),
        ("0 24 * * *", "hour must be 0-23, got '24'", ""),
        ("0 0 0 * *", "day of the month must be 1-31, got '0'", ""),
        ("0 0 1 0 *", "month must be 1-12 or JAN-DEC, got '0'", ""),
        ("0 0 * * 8", "day of the week must be 0-7 or SUN-SAT", "0 and 7 are Sunday"),
        ("0 0 * * MONDAY", "got 'MONDAY'", "SUN-SAT"),
        ("0 0 * 1-FOO *", "got 'FOO'", "JAN-DEC"),
        ("MON * * * *", "minute must be 0-59, got 'MON'", ""),
        ("*/0 * * * *", "minute must have a step from 1, got '*/0'", ""),
        ("5- * * * *", "'5-' is not known", "a range such as 0-5"),
        ("-5 * * * *", "'-5' is not known", "a range such as 0-5"),
        ("*-5 * * * *", "'*-5' is not known", "a range such as 0-5"),
        ("1,,2 * * * *", "minute has an empty value, got '1,,2'", "take out the comma"),
        ("٣ * * * *", "'٣' is not known", "a number"),
        ("? * * * *", "minute: '?' can only be a whole field", "write *"),
        ("0 0 ?,3 * *", "'?' can only be a whole field", "write *"),
        ("0 0 8 * * ?", "second: '?' can only be a whole field", "the second is the last"),
        ("0 0 W15 * *", "'W15' is not known", "15W"),
        ("0 0 1-5W * *", "'1-5W' is not known", "1W,15W"),
        ("0 0 32W * *", "day of the month must be 1-31, got '32'", ""),
        ("0 0 L-3W * *", "'L-3W' is not known", "LW"),
        ("0 0 L-31 * *", "got 'L-31'", "L-1 to L-30"),
        ("0 0 L/2 * *", "day of the month must be 1-31, got 'L'", ""),
        ("0 0 * * L", "'L' needs a day", "SATL"),
        ("0 0 * * LFRI", "got 'LFRI'", "SUN-SAT"),
        ("0 0 * * 5#6", "'5#6' is not known", "FRI#3"),
        ("0 0 * * *#2", "'*#2' is not known", "FRI#3"),
        ("0 0 * * 5#L", "'5#L' is not known", "FRIL"),
        ("H * * * *", "random", "write a number"),
        ("0 R(1-5)/2 * * *", "random", "use jitter"),
        ("0~30 * * * *", "random", "use jitter"),
        ("0 0 12 ? * WED", "got 'WED'", "the last of six fields"),
        ("@reboot", "five fields", "@hourly"),
        ("@every 5m", "five fields", "interval='5m'"),
        ("@daily *", "five fields", "@hourly"),
        ("0 0 1 1 * 0 2030", "five fields", "start_at and end_at"),
        ("0 3 *\n* *", "a line break U+000A", "write '0 3 * * *'"),
        ("0 3 * * *\r\n", "a line break U+000D", "write '0 3 * * *'"),
        ("0 3 *\x1c* *", "a line break U+001C", "write '0 3 * * *'"),
        ("0 3 *\x1f* *", "the character U+001F", "write '0 3 * * *'"),
        ("0 3 *\x85* *", "a line break U+0085", "write '0 3 * * *'"),
        ("0\xa03 * * *", "the character U+00A0", "write '0 3 * * *'"),
        ("@daily\u3000", "the character U+3000", "write '@daily'"),
        ("0 0 30 2 *", "never fires", "correct the day or the month"),
        ("0 0 L-30 2 *", "never fires", "correct the day or the month"),
        ("0 0 * 2 1#5,0#7", "'0#7' is not known", "FRI#3"),
    ],
)
def test_what_is_not_on_the_page_is_refused_with_what_to_write(
    expression: str, reason: str, remedy: str
) -> None:
    with pytest.raises(InvalidScheduleError) as refused:
        check_cron(expression)
    assert repr(expression) in str(refused.value)
    assert reason in str(refused.value)
    assert remedy in str(refused.value)


def test_what_other_programs_stored_with_line_breaks_goes_on() -> None:
    check_cron("0 3 *\n* *", stored=True)
    moment = datetime(2027, 1, 1, tzinfo=UTC)
    assert next_cron_time("0 3 *\n* *", moment, UTC) == next_cron_time("0 3 * * *", moment, UTC)


def parts_of(kind: str, names: list[str] | None = None) -> st.SearchStrategy[str]:
    """Parts that croniter's releases and the page read alike: those that the page does not name."""
    low, high = RANGES[kind]
    value = st.integers(low, high).map(lambda n: names[n - low] if names and n % 2 else str(n))
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).filter(lambda p: p[0] < p[1])
    span = pair.map(lambda pair: f"{pair[0]}-{pair[1]}")
    step = st.integers(1, high).map("/{}".format)
    stepped = st.just("*") | span
    if kind != "weekday":
        stepped |= st.integers(low, high - 1).map(str)
    return value | span | st.tuples(stepped, step).map("".join)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    st.tuples(
        lists(parts_of("minute")),
        lists(parts_of("hour")),
        lists(parts_of("day")),
        lists(parts_of("month", MONTHS)),
        lists(parts_of("weekday", WEEKDAYS)),
        lists(parts_of("second")),
    )
)
def test_croniter_expands_alike_what_the_page_names_no_difference_for(
    fields: tuple[str, ...],
) -> None:
    expanded, _ = croniter.expand(" ".join(fields))
    kinds = (MINUTE, HOUR, DAY, MONTH, WEEKDAY, SECOND)
    for field, text, theirs in zip(kinds, fields, expanded, strict=True):
        meant = numbers_of(field, "*") if theirs == ["*"] else theirs
        assert set(numbers_of(field, text)) == {n % 7 if field is WEEKDAY else n for n in meant}


@pytest.mark.parametrize("alias", ALIASES)
def test_croniter_knows_the_same_short_forms(alias: str) -> None:
    assert croniter.expand(alias) == croniter.expand(ALIASES[alias])


def test_the_page_tells_no_lie() -> None:
    """Its table of examples is computed; its list of refusals is refused."""
    rows = re.findall(r"^\| `([^`]+)` \| (2027[^|]+) \|", PAGE.read_text(), re.MULTILINE)
    assert len(rows) > 10
    for expression, shown in rows:
        moment = datetime(2027, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
        for expected in shown.strip().split(", "):
            moment = next_cron_time(expression, moment, UTC)
            assert f"{moment:%Y-%m-%d %H:%M}" == expected, expression
    refused = PAGE.read_text().partition("## What is refused")[2]
    texts = re.findall(r"^\| `([^`]+)` \| [^|]* \|$", refused, re.MULTILINE)
    assert len(texts) > 5
    for text in texts:
        with pytest.raises(InvalidScheduleError):
            check_cron(text)


def test_the_longest_expression_that_anybody_needs_is_accepted() -> None:
    sixty = ",".join(map(str, range(60)))
    names = ",".join(MONTHS), ",".join(WEEKDAYS)
    fields = (sixty, ",".join(map(str, range(24))), ",".join(map(str, range(1, 32))), *names, sixty)
    check_cron(" ".join(fields))


@pytest.mark.parametrize(
    ("expression", "portable"),
    [
        ("*/20 * * * *", "*/20 * * * *"),
        ("59/15 22-3 * * *", "59 0-3,22-23 * * *"),
        ("0 8 ? JAN-mar MON-5", "0 8 * 1-3 1-5"),
        ("@midnight", "0 0 * * *"),
        ("0 0 */2 * FRI", "0 0 */2 * 5"),
        ("0 8 1,15-L * 7", "0 8 1,15-31 * 0"),
        ("0 8 L * *", "0 8 L * *"),
        ("0 8 * * 5L,MON-TUE#1", "0 8 * * 1#1,2#1,5L"),
        ("*/30,7 5 * * *", "*/30,0,7,30 5 * * *"),
        ("* * * * * */10", "* * * * *"),
        ("0 * * * * 30", "0 * * * *"),
        # In the nights when clocks change, five fields would not match the same.
        ("0 2 * * * 30", None),
        ("0 8 15W * *", None),
        ("0 8 L-3 * *", None),
    ],
)
def test_other_programs_are_given_expressions_that_they_read_alike(
    expression: str, portable: str | None
) -> None:
    assert portable_cron(expression) == portable
