"""The tables of django-celery-beat, as its own models write them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_rediscron import RedisCronJob

from .conftest import Project

SOURCE = "django-celery-beat"
APP = "tests.migrating.celery_app"

MODELS = f"""
import json
from datetime import datetime, timedelta, timezone
from django.utils import timezone as django_time
from django_celery_beat.models import *
from {APP} import app
now = datetime.now(timezone.utc)
def at(moment):
    return moment if django_time.settings.USE_TZ else django_time.make_naive(moment)
def cron(*fields, zone="Europe/Berlin"):
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    return CrontabSchedule.objects.create(**dict(zip(names, fields)), timezone=zone)
def every(every, period="minutes"):
    return IntervalSchedule.objects.create(every=every, period=period)
def add(name, **fields):
    return PeriodicTask.objects.create(**{{"name": name, "task": "tests.tasks.echo", **fields}})
"""

ROWS = """
add("daily report", task="reports", crontab=cron("30", "4", "*", "*", "mon-fri"), args='["today"]',
    kwargs='{"a": {"b": null}}', queue="reports", expire_seconds=1800, priority=3,
    description="Every working day.", headers='{"x": "y"}')
add("running", interval=every(90), last_run_at=at(now - timedelta(minutes=30)), total_run_count=9)
add("never ran", interval=every(2, "hours"))
add("overdue", interval=every(2, "hours"), last_run_at=at(now - timedelta(hours=5)))
add("disabled", interval=every(7, "days"), enabled=False)
add("later", interval=every(1), start_time=at(now + timedelta(hours=3)))
add("later by the clock", crontab=cron("0", "*/6", "*", "*", "*", zone="Asia/Tokyo"),
    start_time=at(now + timedelta(days=3)), expires=at(now + timedelta(days=4)))
add("once", crontab=cron("0", "0", "1", "1", "*"), one_off=True)
add("was once", crontab=cron("0", "0", "1", "1", "*"), one_off=True, total_run_count=1)
clocked = lambda **after: ClockedSchedule.objects.create(clocked_time=at(now + timedelta(**after)))
add("clocked", clocked=clocked(hours=12), one_off=True)
add("clocked before", clocked=clocked(hours=-12), one_off=True)
add("expired", interval=every(5), expires=at(now - timedelta(days=1)))
add("sunset", solar=SolarSchedule.objects.create(event="sunset", latitude=52, longitude=13))
add("often", interval=every(250000, "microseconds"))
add("bad arguments", interval=every(5), args="[")
add("bad crontab", crontab=cron("61", "0", "*", "*", "*"))
add("gone", interval=every(5), task="gone.tasks.run")
add("celery.backend_cleanup", task="celery.backend_cleanup", crontab=cron("0", "4", "*", "*", "*"))
"""
CARRIED = {
    *("daily report", "running", "never ran", "overdue", "disabled", "later", "once", "clocked"),
    "later by the clock",
}


@pytest.mark.parametrize("use_tz", [True, False])
def test_the_tables_are_carried_over(project: Project, connection: Redis, use_tz: bool) -> None:
    project.use_tz = use_tz
    project.python(MODELS + ROWS)
    found = project.moved(SOURCE, "--write", status=1)
    assert {id for id, each in found.items() if each["done"]} == CARRIED
    definitions = {id: found[id]["definition"] for id in CARRIED}
    assert definitions["daily report"] == {
        "function": f"{APP}.build",
        "queue": "reports",
        "cron": "30 4 * * mon-fri",
        "timezone": "Europe/Berlin",
        "args": ["today"],
        "kwargs": {"a": {"b": None}},
        "job_timeout": "10m",
        "ttl": "30m",
        "description": "Every working day.",
        "enabled": True,
    }
    differ = {id for id in CARRIED if not found[id]["times"]["same"]}
    assert differ == {"disabled"}
    jobs = {id: RedisCronJob.fetch(id, connection) for id in CARRIED}
    assert jobs["running"].interval == 5400
    assert 0.8 < _hours(jobs["running"]) < 1
    assert 1.8 < _hours(jobs["never ran"]) < 2
    assert _hours(jobs["overdue"]) < 0.01
    assert (jobs["disabled"].interval, jobs["disabled"].enabled) == (7 * 86400, False)
    assert (jobs["once"].cron, jobs["once"].max_runs) == ("0 0 1 1 *", 1)
    assert 2.8 < _hours(jobs["later"]) < 3
    # Without time zones in the database, the package takes this one for UTC.
    assert 11.8 < _hours(jobs["clocked"]) + (0 if use_tz else 5) < 13
    assert len(found["clocked"]["times"]["here"]) == 1
    assert len(found["later by the clock"]["times"]["here"]) == 4

    _lost_is_told(found)


def _hours(job: RedisCronJob) -> float:
    """How long it waits for its first run."""
    assert job.next_enqueue_time is not None
    assert job.created_at is not None
    return (job.next_enqueue_time - job.created_at).total_seconds() / 3600


def _lost_is_told(found: dict[str, dict[str, Any]]) -> None:
    notes = {
        id: " ".join(f"{note['text']}; {note['remedy']}" for note in each["notes"])
        for id, each in found.items()
    }
    for id, text in {
        "daily report": "priority 3 is lost",
        "disabled": "in Celery, one interval later",
        "was once": "one-off, and has run",
        "clocked before": "which is over",
        "expired": "it expired at",
        "sunset": "solar schedule (sunset)",
        "often": "0.25 seconds",
        "bad arguments": "Celery disables it",
        "bad crontab": "its schedule cannot be read",
        "gone": "--map gone.tasks.run=MODULE.FUNCTION",
        "celery.backend_cleanup": "Celery's own task",
    }.items():
        assert text in notes[id], (id, notes[id])
    assert "headers {'x': 'y'} is lost" in notes["daily report"]


def test_it_can_be_given_again(project: Project) -> None:
    project.python(MODELS + "\n".join(ROWS.splitlines()[:5]))
    project.moved(SOURCE, "--write")
    outcomes = {id: each["outcome"] for id, each in project.moved(SOURCE).items()}
    assert set(outcomes.values()) == {"unchanged"}


COMPARE = """
import sys
from datetime import datetime
from redis import Redis
from django_rediscron.migrating.celery.django_celery_beat import read
from django_rediscron.migrating.found import Maps
from tests.migrating.moving import AUTUMN, SPRING, month
def times(found):
    if found.options is None:
        return found.notes[0].text
    months = [month(found, begin, may_be_empty=True) for begin in (SPRING, AUTUMN)]
    return [
        [time.isoformat() for times in system for time in times]
        for system in ([each.there for each in months], [each.here for each in months])
    ]
all_found = read(Redis(), Maps(), default_queue="default")
print(json.dumps({found.name: times(found) for found in all_found}))
"""


def _random_crontabs() -> list[tuple[str, ...]]:
    chance = random.Random(6)

    def field(low: int, high: int) -> str:
        numbers = sorted(chance.sample(range(low, high + 1), 3))
        return chance.choice(
            (str(numbers[0]), ",".join(map(str, numbers)), f"{numbers[0]}-{numbers[2]}", "*")
        )

    zones = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC")
    return [
        (
            str(chance.randrange(60)),
            chance.choice(("*/6", "3", "1,2,3", "22")),
            field(1, 31),
            "*",
            field(0, 6),
            zones[number % 4],
        )
        for number in range(40)
    ]


def test_all_times_of_a_month_are_the_same(project: Project) -> None:
    """But for the hours in which clocks change; see the tests of Celery's schedules."""
    crontabs = [
        *_random_crontabs(),
        ("0", "7", "1-7", "*", "mon", "Europe/Berlin"),
        ("*/20", "8-18", "*", "*", "mon-fri", "America/New_York"),
    ]
    rows = "".join(
        f"add({str(number)!r}, crontab=cron(*{fields[:5]!r}, zone={fields[5]!r}))\n"
        for number, fields in enumerate(crontabs)
    )
    told = json.loads(project.python(MODELS + rows + COMPARE))
    compared = {name: times for name, times in told.items() if not isinstance(times, str)}
    refused = told.keys() - compared.keys()
    assert len(compared) > 25
    assert all("one of them is enough" in told[name] for name in refused)
    for name, (there, here) in compared.items():
        assert _far(there) == _far(here), crontabs[int(name)]


def _far(times: list[str]) -> list[str]:
    """Without those near a change of the clocks in Europe or America, at 01:00, 06:00 or 07:00."""
    changes = ("2027-03-28T0", "2027-03-14T0", "2027-10-31T0", "2027-11-07T0")
    return [time for time in times if not time.startswith(changes)]


def test_missing_tables_are_told(tmp_path: Path, connection: Redis) -> None:
    text = Project(tmp_path / "empty").manage("rqrcron", "migrate", SOURCE, status=1)
    assert "no such table" in text


def test_outside_of_a_project_it_is_told_what_to_do(redis_url: str, connection: Any) -> None:
    from tests.test_cli import verbs_on

    text = verbs_on(redis_url)("migrate", SOURCE, status=1)
    assert text.count("\n") == 1
    assert "INSTALLED_APPS" in text or "manage.py" in text
