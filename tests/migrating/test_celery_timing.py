"""Schedules of Celery, run by run, as Celery's own code computes them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.schedules import crontab, schedule, solar
from django_celery_beat.tzcrontab import TzAwareCrontab
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_rediscron.migrating.celery.timing import next_times, timing_of
from django_rediscron.migrating.found import CannotMoveError, Found

from .moving import AUTUMN, BERLIN, MONTH, SPRING, month

CHANGES = {
    BERLIN: {SPRING: datetime(2027, 3, 28, 1), AUTUMN: datetime(2027, 10, 31, 1)},
    "America/New_York": {
        datetime(2027, 3, 1, tzinfo=timezone.utc): datetime(2027, 3, 14, 7),
        datetime(2027, 10, 20, tzinfo=timezone.utc): datetime(2027, 11, 7, 6),
    },
    "Australia/Lord_Howe": {
        datetime(2027, 9, 20, tzinfo=timezone.utc): datetime(2027, 10, 2, 15, 30)
    },
    "Asia/Kolkata": {AUTUMN: datetime(1970, 1, 1)},
}
"""Zone -> the beginning of a month -> when the clocks are changed in it, in UTC."""

NEAR = timedelta(hours=3)


def beat(when: Any, zone: str = BERLIN) -> Found:
    """What this schedule becomes, in an app in this zone."""
    app = Celery(set_as_current=False)
    app.conf.timezone = zone
    when.app = app
    timing, _ = timing_of(when)
    options = {"func": "tests.tasks.echo", "queue_name": "default", **timing}
    return Found("beat", "beat", options, [], next_times(when, app.timezone))


def field(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    """A field of a crontab in any of its forms."""
    number = st.integers(low, high)
    item = st.one_of(
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{pair[0]}-{pair[1]}"),  # may wrap around
        st.tuples(number, number, st.integers(1, 40)).map(lambda t: f"{t[0]}-{t[1]}/{t[2]}"),
        st.integers(1, 40).map(lambda step: f"*/{step}"),
        *([st.sampled_from(names)] if names else []),
    )
    return st.one_of(
        st.just("*"),
        number,
        st.sets(number, min_size=1, max_size=5),
        st.lists(number, min_size=1, max_size=5),
        st.lists(item, min_size=1, max_size=3).map(",".join),
        st.lists(item, min_size=1, max_size=3).map(", ".join),
    )


CRONTABS = st.fixed_dictionaries(
    {
        # Few times a day: Celery takes a millisecond for each.
        "minute": st.one_of(
            st.integers(0, 59).map(str), st.sets(st.integers(0, 59), min_size=1, max_size=2)
        ),
        "hour": st.one_of(
            st.sets(st.integers(0, 23), min_size=1, max_size=3),
            st.sampled_from(["*/8", "22-2", "1-3"]),
        ),
        "day_of_month": field(1, 31),
        "month_of_year": st.one_of(st.just("*"), field(1, 12, ("jan", "mar-october", "November"))),
        "day_of_week": field(0, 6, ("mon", "monday-fri", "SUN", "fri-tue")),
    }
)


@given(
    st.sampled_from([(zone, begin) for zone, begins in CHANGES.items() for begin in begins]),
    CRONTABS,
    st.booleans(),
)
@example((BERLIN, AUTUMN), {"minute": "*/15"}, False)
@example((BERLIN, SPRING), {"day_of_month": "1-7", "day_of_week": "mon", "hour": 4}, False)
@example((BERLIN, SPRING), {"day_of_month": "*/2", "day_of_week": "mon,tue", "hour": 4}, True)
@example((BERLIN, SPRING), {"day_of_month": "1-31", "day_of_week": "2", "minute": 0}, False)
@example((BERLIN, SPRING), {"day_of_month": "5", "day_of_week": "0-6", "minute": 0}, False)
@example((BERLIN, SPRING), {"day_of_month": "1,20", "day_of_week": "2", "minute": 0}, False)
@example((BERLIN, SPRING), {"day_of_month": "20", "day_of_week": "0,6", "minute": 0}, False)
@settings(max_examples=80, deadline=None)
def test_random_crontabs_have_the_same_times_in_a_month(
    when: tuple[str, datetime], fields: dict[str, Any], has_zone: bool
) -> None:
    zone, begin = when
    try:
        made = TzAwareCrontab(**fields, tz=ZoneInfo(zone)) if has_zone else crontab(**fields)
    except ValueError:  # it never fires
        return
    try:
        found = beat(made, "Asia/Tokyo" if has_zone else zone)
    except CannotMoveError:
        assert 1 not in made.day_of_month
        assert 0 not in made.day_of_week
        return
    both = month(found, begin, may_be_empty=True)
    change = CHANGES[zone][begin].replace(tzinfo=timezone.utc)
    far = [[t for t in times if abs(t - change) > NEAR] for times in (both.there, both.here)]
    assert far[0] == far[1]


@pytest.mark.parametrize(
    ("fields", "begin", "only_there", "only_here"),
    [
        # Celery leaves the repeated hour out; here it is an hour like others.
        ({"minute": "*/30"}, AUTUMN, [], ["31 01:00", "31 01:30"]),
        ({"minute": "0,30", "hour": "0-23"}, AUTUMN, [], []),
        ({"minute": "30", "hour": "2"}, AUTUMN, [], []),
        # A time that is skipped is an hour later there, here when the clock has changed.
        ({"minute": "30", "hour": "2"}, SPRING, ["28 01:30"], ["28 01:00"]),
        ({"minute": "*/30"}, SPRING, [], []),
        ({"minute": "0", "hour": "*/2"}, SPRING, ["28 01:00"], []),
    ],
)
def test_when_the_clocks_change(
    fields: dict[str, Any], begin: datetime, only_there: list[str], only_here: list[str]
) -> None:
    both = month(beat(crontab(**fields)), begin)
    assert [f"{time:%d %R}" for time in both.only_there] == only_there
    assert [f"{time:%d %R}" for time in both.only_here] == only_here


def test_expressions_are_written_as_people_do() -> None:
    def text(**fields: Any) -> str:
        return str(timing_of(crontab(app=Celery(set_as_current=False), **fields))[0]["cron"])

    assert text(minute="*/15", hour="8-18", day_of_week="mon-fri") == "*/15 8-18 * * mon-fri"
    assert text(minute={0, 1, 2, 30}, hour=[4]) == "0-2,30 4 * * *"
    assert text(minute=0, hour=7, day_of_month="1-7", day_of_week="mon") == "0 7 * * 1#1"
    assert text(minute=0, hour=7, day_of_month="1, 15") == "0 7 1,15 * *"
    assert text(minute=0, hour=7, day_of_month="1-31", day_of_week=1) == "0 7 * * 1"


def test_intervals() -> None:
    assert timing_of(schedule(timedelta(minutes=90)))[0] == {"interval": 5400}
    found = beat(schedule(7))
    assert found.times is not None
    assert found.times(SPRING, 3) == [SPRING + timedelta(seconds=7 * n) for n in (1, 2, 3)]
    with pytest.raises(CannotMoveError, match=r"0\.5 seconds"):
        timing_of(schedule(0.5))


@pytest.mark.parametrize("begin", [SPRING, AUTUMN])
@pytest.mark.parametrize("every", [timedelta(hours=1), timedelta(days=1)])
def test_what_is_relative_is_rounded(every: timedelta, begin: datetime) -> None:
    both = month(beat(schedule(every, relative=True)), begin)
    assert len(both.there) >= MONTH / every - 1
    assert both.is_same


def test_what_is_relative_and_longer_is_told() -> None:
    timing, (note,) = timing_of(schedule(7200, relative=True))
    assert timing == {"interval": 7200}
    assert note.text.startswith("relative")


def test_what_only_celery_knows_is_told_by_name() -> None:
    sunset = solar.__new__(solar)  # without the package that knows where the sun is
    sunset.event = "sunset"
    with pytest.raises(CannotMoveError, match=r"solar schedule \(sunset\)"):
        timing_of(sunset)

    class EverySecondFriday(crontab):  # type: ignore[misc]
        pass

    with pytest.raises(CannotMoveError, match="EverySecondFriday"):
        timing_of(EverySecondFriday())
