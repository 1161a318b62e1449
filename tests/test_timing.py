"""When schedules run: wall time, daylight saving, grids."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import pairwise
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_rediscron.core.exceptions import InvalidScheduleError
from django_rediscron.core.timing.cron_times import (
    around_cron,
    around_interval,
    check_cron,
    count_cron_times,
    last_cron_time,
    next_cron_time,
)

UTC = timezone.utc


NAMES = {
    name: str(number)
    for start, names in (
        (1, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"),
        (0, "SUN MON TUE WED THU FRI SAT"),
    )
    for number, name in enumerate(names.split(), start)
}
DAYS = 2
"""Walked by the oracle on either side of a transition; a matching time that comes first in the
second pass of a repeated stretch would need an earlier start."""


def oracle(expression: str, middle: datetime, zone: ZoneInfo) -> list[datetime]:
    """cron(8)'s rule applied to each real minute in turn, with nothing clever."""
    minute, hour, day, month, weekday = expression.split()
    minutes, hours = values(minute, 0, 59), values(hour, 0, 23)
    days, months = values(day, 1, 31), values(month, 1, 12)
    weekdays = {number % 7 for number in values(weekday, 0, 7)}
    both = day.startswith("*") or weekday.startswith("*")
    follows_clock = minute.startswith("*") or hour.startswith("*")

    def matches(wall: datetime) -> bool:
        by_day, by_weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
        return (
            wall.minute in minutes
            and wall.hour in hours
            and wall.month in months
            and (by_day and by_weekday if both else by_day or by_weekday)
        )

    fired: set[datetime] = set()
    occurrences = []
    previous, *walls = walls_around(middle, zone)
    for number, wall in enumerate(walls):
        passed = [wall]
        if not follows_clock:
            while previous + timedelta(minutes=1) < wall:  # skipped times of day are made up for
                previous += timedelta(minutes=1)
                passed.append(previous)
        hit = False
        for time_of_day in passed:
            if matches(time_of_day):
                hit = hit or follows_clock or time_of_day not in fired
                fired.add(time_of_day)
        if hit:
            occurrences.append(begin_of(middle) + timedelta(minutes=number))
        previous = max(previous, wall)
    return occurrences


def begin_of(middle: datetime) -> datetime:
    return middle.replace(second=0) - timedelta(days=DAYS)


@lru_cache
def walls_around(middle: datetime, zone: ZoneInfo) -> list[datetime]:
    """Wall times of the minute before the first, and of all minutes to walk."""
    begin = begin_of(middle) - timedelta(minutes=1)
    count = 2 * DAYS * 1440 + 1
    return [wall_time(begin + timedelta(minutes=number), zone) for number in range(count)]


def wall_time(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def values(field: str, lowest: int, highest: int) -> set[int]:
    found = set()
    for part in field.upper().split(","):
        span, _, step = part.partition("/")
        low, _, high = (NAMES.get(word, word) for word in span.partition("-"))
        if span == "*":
            low, high = str(lowest), str(highest)
        found |= set(range(int(low), int(high or low) + 1, int(step or 1)))
    return found


TRANSITIONS = [
    ("Europe/Paris", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Paris", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 4, 5, 3, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 9, 6, 4, tzinfo=UTC)),
    # at midnight, so that a day begins at one o'clock, or begins twice
    ("America/Havana", datetime(2026, 3, 8, 5, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2026, 3, 28, 22, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2026, 10, 24, 21, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 10, 29, 21, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 3, 14, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 11, 7, 6, tzinfo=UTC)),
    ("Asia/Tokyo", datetime(2026, 6, 1, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 2, 28, 18, 15, tzinfo=UTC)),
    ("UTC", datetime(2028, 2, 29, tzinfo=UTC)),
]


FIXED = ["*/15 * * * *", "30 1 * * *", "30 2 * * *", "0,30 2 * * *", "*/7 2 * * *"]
FIXED += ["15 */2 * * *", "0 0 * * *", "45 23,0-3 * * *", "10 * * * *", "5 3 * * *"]
FIXED += ["0-59 * * * *", "0-59 0-23 * * *", "0 0 1-31 * MON", "30 2 * * 0-6"]


def field(lowest: int, highest: int, names: list[str] | None = None) -> st.SearchStrategy[str]:
    numbers = st.integers(lowest, highest)
    spans = st.tuples(numbers, numbers).map(sorted)
    steps = st.integers(1, highest)
    plain = [
        st.just("*"),
        steps.map("*/{}".format),
        numbers.map(str),
        spans.map(lambda span: f"{span[0]}-{span[1]}"),
        st.tuples(spans, steps).map(lambda part: f"{part[0][0]}-{part[0][1]}/{part[1]}"),
        st.lists(numbers.map(str), min_size=2, max_size=4).map(",".join),
    ]
    if names:
        plain += [st.sampled_from(names), st.just(f"{names[1]}-{names[4]}")]
    return st.one_of(plain)


WEEKDAYS = ["SUN", "mon", "TUE", "WED", "Thu", "FRI", "SAT"]
MONTHS = ["JAN", "feb", "MAR", "APR", "MAY", "JUN", "SEP", "OCT", "nov"]
EXPRESSIONS = st.one_of(
    st.tuples(
        field(0, 59),
        field(0, 5),  # transitions are at night
        st.just("*") | field(1, 31),
        st.just("*") | field(1, 12, MONTHS),
        st.just("*") | field(0, 7, WEEKDAYS),
    ).map(" ".join),
    st.tuples(field(0, 59), field(0, 23)).map(lambda fields: " ".join((*fields, "* * *"))),
    st.sampled_from(FIXED),
)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, derandomize=True, database=None)
@given(EXPRESSIONS, st.sampled_from(TRANSITIONS), st.integers(-90_000, 90_000))
def test_next_times_follow_cron8_through_daylight_saving(
    expression: str, transition: tuple[str, datetime], seconds: int
) -> None:
    zone, middle = ZoneInfo(transition[0]), transition[1]
    occurrences = oracle(expression, middle, zone)
    inside = [time for time in occurrences if abs(time - middle) <= timedelta(days=1.2)]
    after = middle + timedelta(seconds=seconds)
    for expected in [time for time in inside if time > after][:40]:
        assert next_cron_time(expression, after, zone) == expected, after
        after = expected
    if inside:
        now = max(inside[0], middle + timedelta(seconds=seconds))
        until = max(time for time in occurrences if time <= now)
        assert last_cron_time(expression, now, zone) == until
        for first in inside[:: max(1, len(inside) // 5)]:
            count = sum(first < time <= inside[-1] for time in inside)
            assert count_cron_times(expression, first, inside[-1], zone) == count


@pytest.mark.parametrize(("zone", "middle"), TRANSITIONS)
def test_with_seconds_every_matching_real_second_fires(zone: str, middle: datetime) -> None:
    info = ZoneInfo(zone)
    expression = "*/15 1-3,23,0 * * * 0,59"
    begin = middle - timedelta(hours=3)
    expected = []
    for second in range(1, 6 * 3600 + 1):
        moment = begin + timedelta(seconds=second)
        wall = wall_time(moment, info)
        if wall.minute % 15 == 0 and wall.hour in (1, 2, 3, 23, 0) and wall.second in (0, 59):
            expected.append(moment)
    found = [begin]
    while len(found) <= len(expected):
        found.append(next_cron_time(expression, found[-1], info))
    assert found[1:] == expected
    end = middle + timedelta(hours=3)
    assert count_cron_times(expression, begin, end, info) == sum(t <= end for t in expected)


@pytest.mark.parametrize("alias", ["@hourly", "@daily", "@midnight", "@weekly", "@monthly"])
def test_aliases_mean_what_cron_says(alias: str) -> None:
    meant = {
        "@hourly": "0 * * * *",
        "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *",
    }.get(alias, "0 0 * * *")
    after = datetime(2026, 2, 27, 23, 30, tzinfo=UTC)
    zone = ZoneInfo("Asia/Tokyo")
    for _ in range(30):
        found = next_cron_time(alias, after, zone)
        assert found == next_cron_time(meant, after, zone)
        after = found


def test_the_rarest_expression_is_found_and_the_impossible_one_is_not() -> None:
    rare = next_cron_time("0 0 29 2 *", datetime(2096, 3, 1, tzinfo=UTC), ZoneInfo("UTC"))
    assert rare == datetime(2104, 2, 29, tzinfo=UTC)
    check_cron("0 0 29 2 *")
    for never in ("0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 JUN *"):
        with pytest.raises(InvalidScheduleError, match="never fires"):
            check_cron(never)


def test_a_year_of_minutes_is_counted_and_passed_over_in_no_time() -> None:
    zone = ZoneInfo("Europe/Paris")
    due, now = datetime(2025, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, 0, 0, 30, tzinfo=UTC)
    begin = process_time()
    assert around_cron("* * * * *", due, now, zone)[0] == now - timedelta(seconds=30)
    assert count_cron_times("* * * * *", due, now, zone) == 365 * 1440
    assert process_time() - begin < 2  # walked one by one they would take seconds


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Santiago", "Africa/Casablanca", "UTC"])
@pytest.mark.parametrize(
    "expression", ["*/20 2 * * *", "30 2 29 2,3,10 *", "0 3 LW * MON#1", "0 0,23 13 * FRI"]
)
def test_centuries_are_counted_as_their_years_are(expression: str, zone: str) -> None:
    info = ZoneInfo(zone)
    years = [datetime(year, 6, 1, 12, tzinfo=UTC) for year in range(1990, 2290)]
    each = sum(count_cron_times(expression, *year, info) for year in pairwise(years))
    assert count_cron_times(expression, years[0], years[-1], info) == each


def test_without_a_zone_the_process_local_zone_counts() -> None:
    script = (
        "from datetime import datetime, timezone\n"
        "from django_rediscron.core.timing.cron_times import next_cron_time\n"
        "after = datetime(2026, 10, 25, 0, 20, tzinfo=timezone.utc)\n"  # 02:20, to be repeated
        "for _ in range(3):\n"
        "    after = next_cron_time('*/30 * * * *', after)\n"
        "    print(after.strftime('%H:%M'))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TZ": "Europe/Paris"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["00:30", "01:00", "01:30"]


def test_days_follow_the_or_rule_of_cron() -> None:
    sunday = datetime(2026, 11, 1, 12, tzinfo=UTC)
    either = next_cron_time("0 0 13 * FRI", sunday, ZoneInfo("UTC"))
    both = next_cron_time("0 0 */2 * FRI", sunday, ZoneInfo("UTC"))
    assert either == datetime(2026, 11, 6, tzinfo=UTC)
    assert both == datetime(2026, 11, 13, tzinfo=UTC)


def test_six_fields_have_seconds_last() -> None:
    after = datetime(2026, 1, 1, 0, 0, 9, 500_000, tzinfo=UTC)
    assert next_cron_time("* * * * * */10", after) == datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 0 30 2 *", "never fires"),
        ("61 * * * *", "not valid"),
        ("* * * *", "five fields"),
        ("* * * * * * 2030", "five fields"),
        ("R * * * *", "random"),
        ("", "five fields"),
        (b"* * * * *", "must be a string"),
    ],
)
def test_expressions_that_cannot_work_are_refused_with_the_value(
    expression: str, reason: str
) -> None:
    with pytest.raises(InvalidScheduleError, match=reason) as refused:
        check_cron(expression)
    assert repr(expression) in str(refused.value)


def test_a_late_run_stands_for_the_latest_occurrence() -> None:
    due = datetime(2026, 1, 1, tzinfo=UTC)
    now = due + timedelta(hours=3, minutes=7)
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    zone = ZoneInfo("UTC")
    assert around_cron("0 * * * *", due, now, zone) == (due + 3 * hour, due + 4 * hour)
    assert around_cron("0 0 * * *", due, now, zone) == (due, due + 24 * hour)
    assert around_cron("* * * * *", due, now, zone) == (now, now + minute)
    assert around_cron("* * * * * *", due, now, zone) == (now, now + timedelta(seconds=1))
    grid = [due + timedelta(seconds=1000 * n) for n in range(13)]
    assert around_interval(1000, due, now) == (grid[11], grid[12])
    assert around_interval(1000, due, due) == (grid[0], grid[1])
