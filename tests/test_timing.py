"""When schedules run: wall time, daylight saving, grids."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from django_rediscron.core.exceptions import InvalidScheduleError
from django_rediscron.core.timing import (
    around_cron,
    around_interval,
    check_cron,
    next_cron_time,
)

UTC = timezone.utc


def oracle(expression: str, middle: datetime, zone: ZoneInfo) -> list[datetime]:
    """cron(8)'s rule applied to each real minute of four days in turn, with nothing clever."""
    minute, hour = expression.split()[:2]
    minutes, hours = values(minute, 60), values(hour, 24)
    follows_clock = minute.startswith("*") or hour.startswith("*")
    fired: set[datetime] = set()
    occurrences = []
    begin = int(middle.timestamp()) // 60 * 60 - 2 * 86400
    previous = wall_time(begin - 60, zone)
    for instant in range(begin, begin + 4 * 86400, 60):
        wall = wall_time(instant, zone)
        passed = [wall]
        if not follows_clock:
            while previous + timedelta(minutes=1) < wall:  # skipped times of day are made up for
                previous += timedelta(minutes=1)
                passed.append(previous)
        hit = False
        for time_of_day in passed:
            if time_of_day.minute in minutes and time_of_day.hour in hours:
                hit = hit or follows_clock or time_of_day not in fired
                fired.add(time_of_day)
        if hit:
            occurrences.append(datetime.fromtimestamp(instant, UTC))
        previous = max(previous, wall)
    return occurrences


def wall_time(instant: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)


def values(field: str, limit: int) -> set[int]:
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        if span == "*":
            low, high = "0", str(limit - 1)
        found |= set(range(int(low), int(high or low) + 1, int(step or 1)))
    return found


TRANSITIONS = [
    ("Europe/Paris", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Paris", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 4, 5, 3, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 9, 6, 4, tzinfo=UTC)),
    ("Asia/Tokyo", datetime(2026, 6, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize(("zone", "middle"), TRANSITIONS)
@pytest.mark.parametrize(
    "expression",
    ["*/15 * * * *", "30 1 * * *", "30 2 * * *", "0,30 2 * * *", "*/7 2 * * *", "15 */2 * * *"]
    + ["0 0 * * *", "45 23,0-3 * * *", "10 * * * *", "5 3 * * *"],
)
def test_next_times_follow_cron8_through_daylight_saving(
    zone: str, middle: datetime, expression: str
) -> None:
    occurrences = oracle(expression, middle, ZoneInfo(zone))
    for minutes in range(-150, 151, 5):
        after = middle + timedelta(minutes=minutes, seconds=minutes % 7)
        expected = next(time for time in occurrences if time > after)
        assert next_cron_time(expression, after, ZoneInfo(zone)) == expected, after


def test_without_a_zone_the_process_local_zone_counts() -> None:
    script = (
        "from datetime import datetime, timezone\n"
        "from django_rediscron.core.timing import next_cron_time\n"
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
