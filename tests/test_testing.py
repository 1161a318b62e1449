"""The call by which a project tests what it declares."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import SimpleTestCase, override_settings
from redis import Redis

from django_rediscron import current_occurrence, register
from django_rediscron.testing import (
    DeclaredSchedules,
    PlannedRun,
    SchedulesMixin,
    check_declarations,
    occurrences,
    run_until,
)

from .tasks import echo

pytest_plugins = ["django_rediscron.pytest_plugin"]

UTC = timezone.utc


def two(first: int, second: int = 2) -> None:
    """Takes one or two."""


def test_what_can_run_is_no_error(starting: None) -> None:
    register(echo, "default", id="a", interval=5, kwargs={"any": "thing"})
    register("tests.test_testing.two", "reports", id="b", cron="* * * * *", args=(1,))
    register(len, "default", id="c", interval=5, args=([],))
    check_declarations()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"func": "tests.tasks.no_such"}, "'tests.tasks.no_such' cannot be imported"),
        ({"func": "tests.tasks.NOT_A_FUNCTION"}, "must lead to a function"),
        ({"func": "word"}, "must be a dotted name"),
        ({"func": two}, r"\(\) do not fit tests.test_testing.two\(.*missing .* 'first'"),
        ({"func": two, "args": (1, 2, 3)}, r"\(1, 2, 3\) do not fit .* too many"),
        ({"func": two, "args": (1,), "kwargs": {"third": 3}}, "'third'"),
        ({"on_failure": "tests.tasks.no_such"}, "'tests.tasks.no_such' cannot be imported"),
        (
            {
                "interval": None,
                "cron": "0 0 29 2 *",
                "start_at": datetime(2026, 1, 1, tzinfo=UTC),
                "end_at": datetime(2027, 1, 1, tzinfo=UTC),
            },
            "never fires between",
        ),
    ],
)
def test_what_cannot_run_is_named_with_its_place(
    starting: None, options: dict[str, Any], reason: str
) -> None:
    register(**{"func": echo, "queue_name": "default", "id": "bad", "interval": 5, **options})
    with pytest.raises(AssertionError, match=reason) as error:
        check_declarations()
    assert str(error.value).startswith("schedule 'bad', declared at tests/test_testing.py:")


def test_all_that_is_wrong_is_said_at_once(starting: None) -> None:
    register("tests.tasks.no_such", "reports", id="a", interval=5)
    register(two, "default", id="b", interval=5)
    with override_settings(RQ_QUEUES={"default": {}}), pytest.raises(AssertionError) as error:
        check_declarations()

    first, second, third = str(error.value).splitlines()
    assert "'a'" in first
    assert "queue 'reports' is not in RQ_QUEUES" in first
    assert "'a'" in second
    assert "no_such" in second
    assert "'b'" in third


def test_what_is_refused_at_once_says_where(starting: None) -> None:
    with pytest.raises(ValueError, match=r"'bad', declared at tests/test_testing.py:\d+: .*-5"):
        register(echo, "default", id="bad", interval=-5)
    with pytest.raises(ValueError, match=r"'bad', declared at .*: queue 'x' is not in RQ_QUEUES"):
        register(echo, "x", id="bad", interval=5)


# What runs when

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def moment() -> datetime:
    return datetime.now(UTC)


def fail() -> None:
    raise ValueError("no")


async def later() -> tuple[str | None, datetime]:
    await asyncio.sleep(0.001)
    found = current_occurrence()
    assert found is not None
    assert found.time is not None
    return found.schedule_id, found.time


def times_of(runs: Sequence[PlannedRun]) -> list[tuple[str, str]]:
    return [(run.id, f"{run.time:%d %H:%M}") for run in runs]


def test_what_is_declared_is_told_in_time_order(starting: None) -> None:
    """As the scheduler would run it; both ends count as they do there."""
    register(echo, "default", id="hourly", interval=3600)
    register(echo, "default", id="nightly", cron="30 2 * * *", timezone="Europe/Paris")
    register(echo, "default", id="twice", cron="0 * * * *", max_runs=2, start_at=NEW_YEAR + HOUR)
    register(echo, "default", id="off", interval=60, enabled=False)
    found = times_of(occurrences(NEW_YEAR + 2 * HOUR, after=NEW_YEAR))
    assert found == [
        *(
            ("hourly", "01 00:00"),
            ("hourly", "01 01:00"),
            ("twice", "01 01:00"),
            ("nightly", "01 01:30"),
        ),
        *(("hourly", "01 02:00"), ("twice", "01 02:00")),
    ]
    assert times_of(occurrences(25 * HOUR, NEW_YEAR, ["nightly"])) == [("nightly", "01 01:30")]
    with pytest.raises(ValueError, match=r"declared schedules: \['nighly'\]; declared: 'hourly'"):
        occurrences(HOUR, ids=["nighly"])
    with pytest.raises(ValueError, match="a list, got 'nightly'"):
        occurrences(HOUR, ids="nightly")


def test_a_wrong_zone_is_found(starting: None) -> None:
    """Half past two does not exist in Paris on the day when the clocks go forward."""
    register(echo, "default", id="billing", cron="30 2 * * *", timezone="Europe/Paris")
    before = datetime(2026, 3, 28, tzinfo=UTC)
    assert times_of(occurrences(timedelta(days=3), after=before)) == [
        ("billing", "28 01:30"),
        ("billing", "29 01:00"),
        ("billing", "30 00:30"),
    ]


def test_functions_are_called_at_their_times(starting: None) -> None:
    register(moment, "default", id="moment", interval=3600)
    register(fail, "default", id="fail", cron="0 1 * * *", timezone="UTC")
    register(later, "default", id="later", cron="0 2 * * *", timezone="UTC", jitter=60)
    schedules = DeclaredSchedules(NEW_YEAR)
    at_once, first, failed = schedules.run_until(NEW_YEAR + HOUR)
    assert at_once.result == NEW_YEAR
    assert (first.id, first.result, first.error) == ("moment", NEW_YEAR + HOUR, None)
    assert (failed.id, str(failed.error)) == ("fail", "no")
    assert schedules.now == NEW_YEAR + HOUR
    second, delayed = schedules.run_until(HOUR + timedelta(minutes=1))
    assert second.result == NEW_YEAR + 2 * HOUR
    assert delayed.occurrence == NEW_YEAR + 2 * HOUR < delayed.time
    assert delayed.result == ("later", delayed.occurrence)
    assert current_occurrence() is None
    assert schedules.run_until(timedelta(minutes=58)) == []


def test_without_time_machine_the_clock_is_the_real_one(
    starting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_rediscron.testing.time_machine", None)
    register(moment, "default", id="moment", interval=3600)
    (run,) = run_until(HOUR / 2, after=NEW_YEAR)
    assert run.time == NEW_YEAR
    assert run.result > NEW_YEAR + 24 * HOUR


class SomeTests(SchedulesMixin, SimpleTestCase):
    schedules_begin = NEW_YEAR

    def runTest(self) -> None:
        assert self.schedules.now == NEW_YEAR


def test_a_test_case_of_django_begins_anew(starting: None) -> None:
    register(echo, "default", id="a", interval=60)
    assert SomeTests().run().wasSuccessful()


def test_the_fixture_begins_now(starting: None, declared_schedules: DeclaredSchedules) -> None:
    register(echo, "default", id="a", interval=60)
    at_once, run = declared_schedules.occurrences(timedelta(seconds=90))
    assert at_once.time == declared_schedules.now == run.time - timedelta(seconds=60)


CALLED: list[datetime] = []


def note() -> None:
    CALLED.append(moment())


@pytest.mark.slow
def test_a_day_with_a_real_scheduler_is_as_foretold(connection: Redis, starting: None) -> None:
    """The recipe of the documentation, on a day when the clocks go forward."""
    register(note, "here", id="half-hourly", cron="*/30 * * * *", timezone="Europe/Paris")
    register(note, "here", id="nightly", cron="30 2 * * *", timezone="Europe/Paris", jitter="5m")
    register(note, "here", id="three times", interval="5h", max_runs=3)
    begin = datetime(2026, 3, 29, tzinfo=UTC)
    foretold = [run.time for run in occurrences(timedelta(days=1), after=begin)]
    CALLED.clear()
    with time_machine.travel(begin, tick=False) as clock:
        call_command("rqrcron_sync", stdout=StringIO())
        for time in sorted({*foretold}):
            clock.move_to(time)
            call_command("rqcron_scheduler", "--burst", "--no-sync", queue="here")
    assert len(foretold) == 48 + 1 + 3
    assert foretold == CALLED
