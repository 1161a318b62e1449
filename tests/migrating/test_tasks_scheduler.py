"""Tasks of django-tasks-scheduler, and of django-rq-scheduler before it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from django_rediscron import RedisCronJob
from tests.test_cli import verbs_on

from .conftest import Project
from .moving import told_by

OLD = Path(__file__).with_name("data") / "django_rq_scheduler.json"
"""An export; `data/write_django_rq_scheduler.py` made it with the real package."""


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Callable[..., str]:
    return verbs_on(redis_url)


def test_an_export_of_django_rq_scheduler_is_carried_over(
    connection: Redis, told: Callable[..., str]
) -> None:
    found = told_by(told, "django-rq-scheduler", str(OLD), "--timezone", "UTC", "--write", status=1)
    definitions = {id: each["definition"] for id, each in found.items() if each["done"]}
    common = {"function": "tests.tasks.echo", "queue": "default", "enabled": True}
    assert definitions == {
        "nightly": {
            "function": "tests.tasks.echo",
            "queue": "reports",
            "cron": "30 2 * * 1-5",
            "timezone": "UTC",
            "args": ["a", 5, True],
            "kwargs": {"to": "b"},
            "job_timeout": "10m",
            "result_ttl": 0,
            "at_front": True,
            "overlap": "skip",
            "enabled": True,
        },
        "off": common
        | {"cron": "0 0 1 * *", "timezone": "UTC", "overlap": "skip", "enabled": False},
        "hourly": common
        | {"interval": "2h", "start_at": "2040-01-01T05:30:00Z", "overlap": "skip"},
        "thrice": common
        | {
            "interval": "1w",
            "start_at": "2040-01-01T05:30:00Z",
            "max_runs": 3,
            "result_ttl": -1,
            "overlap": "skip",
        },
        "once": common | {"interval": "1m", "start_at": "2040-01-01T05:30:00Z", "max_runs": 1},
    }
    assert all(found[id]["times"]["same"] for id in definitions)
    errors = {id: each["error"] for id, each in found.items() if not each["done"]}
    assert "which is over" in errors.pop("over")
    assert "datetime" in errors.pop("dated")
    assert "time.time()" in errors.pop("called")
    assert errors == {}
    assert RedisCronJob.fetch("once", connection).next_enqueue_time.year == 2040  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["{}", "[", "- : :", '[1, {"name": "a"}, {"model": "CronJob"}]'])
def test_what_is_no_export_is_told(text: str, told: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "export").write_text(text)
    answer = told("migrate", "django-tasks-scheduler", str(tmp_path / "export"), status=1)
    assert "cannot be read" in answer or "is not what" in answer


def test_a_cron_task_without_an_expression_is_told(
    told: Callable[..., str], tmp_path: Path
) -> None:
    task = {"name": "a", "model": "CronTaskType", "callable": "tests.tasks.echo", "queue": "q"}
    (tmp_path / "export.json").write_text(json.dumps([task | {"cron_string": None}]))
    file = str(tmp_path / "export.json")
    found = told_by(told, "django-tasks-scheduler", file, status=1)
    assert found["a"]["error"] == "it has no cron expression"


def test_missing_tables_are_told(tmp_path: Path, connection: Redis) -> None:
    empty = Project(tmp_path / "empty")
    text = empty.manage("rqrcron", "migrate", "django-tasks-scheduler", status=1)
    assert "no such table" in text


TABLES = """
import json, random
from datetime import datetime, timedelta, timezone
from pathlib import Path
import time_machine
from django.core.management import call_command
from django.utils import timezone as django_time
from redis import Redis
from scheduler.models import Task, TaskArg, TaskKwarg, TaskType
from django_rediscron.migrating.found import Maps
from django_rediscron.migrating.tasks_scheduler import read
from tests.migrating.moving import AUTUMN, SPRING, month

now = datetime.now(timezone.utc)
def at(**after):
    moment = now + timedelta(**after)
    return moment if django_time.settings.USE_TZ else django_time.make_naive(moment)
def add(name, kind, **fields):
    return Task.objects.create(
        **{"name": name, "task_type": kind, "callable": "tests.tasks.echo", "queue": "default",
           **fields})
"""
ROWS = """
nightly = add("nightly", TaskType.CRON, cron_string="30 2 * * *", timeout=60, result_ttl=700,
    at_front=True, repeat=5, queue="reports")
for kind, text in {"str": "a", "int": "5", "float": "0.5", "bool": "false", "json": "[1]"}.items():
    TaskArg.objects.create(arg_type=kind, val=text, content_object=nightly)
TaskKwarg.objects.create(arg_type="json", key="to", val='{"a": null}', content_object=nightly)
add("either", TaskType.CRON, cron_string="0 4 */10 * mon")
add("hourly", TaskType.REPEATABLE, interval=2, interval_unit="hours", scheduled_time=at(minutes=5))
add("past", TaskType.REPEATABLE, interval=1, interval_unit="days", scheduled_time=at(hours=-5))
add("some", TaskType.REPEATABLE, interval=1, interval_unit="days", scheduled_time=at(hours=1),
    repeat=4)
done = add("done", TaskType.REPEATABLE, interval=1, interval_unit="days", repeat=4,
    scheduled_time=at(hours=1))
Task.objects.filter(pk=done.pk).update(repeat=0, scheduled_time=at(hours=-1))
add("once", TaskType.ONCE, scheduled_time=at(hours=5))
bad = add("bad", TaskType.CRON, cron_string="0 0 * * *")
Task.objects.filter(pk=bad.pk).update(cron_string="61 0 * * *")
add("off", TaskType.CRON, cron_string="0 0 * * *", enabled=False)
"""


@pytest.mark.parametrize("use_tz", [True, False])
def test_the_tables_are_carried_over(project: Project, use_tz: bool) -> None:
    project.use_tz = use_tz
    project.python(TABLES + ROWS)
    found = project.moved("django-tasks-scheduler", status=1)
    definitions = {id: each["definition"] for id, each in found.items() if not each["error"]}
    assert definitions.keys() == {"nightly", "either", "hourly", "past", "some", "once", "off"}
    assert definitions["nightly"] == {
        "function": "tests.tasks.echo",
        "queue": "reports",
        "cron": "30 2 * * *",
        "timezone": "UTC" if use_tz else "America/New_York",
        "args": ["a", 5, 0.5, False, [1]],
        "kwargs": {"to": {"a": None}},
        "job_timeout": "1m",
        "result_ttl": "700s",
        "at_front": True,
        "overlap": "skip",
        "enabled": True,
    }
    assert "set max_runs" in found["nightly"]["notes"][0]["remedy"]
    assert definitions["either"]["cron"] == "0 4 1-31/10 * mon"
    assert definitions["some"]["max_runs"] == 5
    assert not definitions["off"]["enabled"]
    assert all(found[id]["times"]["same"] for id in definitions)
    assert "cannot be read" in found["bad"]["error"]
    assert "as often as it was to run" in found["done"]["error"]


MONTHS = """
chance = random.Random(8)
def field(low, high, names=()):
    a, b = sorted(chance.sample(range(low, high + 1), 2))
    return chance.choice(("*", str(a), f"{a},{b}", f"{a}-{b}", f"*/{b}", f"{a}-{b}/2", *names))
for number in range(40):
    hour = chance.choice(("3", "1,22", "*/8"))
    text = f"{chance.randrange(60)} {hour} {field(1, 31, 'l')} * {field(0, 6, ('mon-fri', 'sat'))}"
    add(text, TaskType.CRON, cron_string=text) if not Task.objects.filter(name=text) else None
add("interval", TaskType.REPEATABLE, interval=7, interval_unit="hours", scheduled_time=at(days=1))
add("limited", TaskType.REPEATABLE, interval=1, interval_unit="days", scheduled_time=at(days=1),
    repeat=6)

def real(task, begin, end):
    "The times of a task whose runs take a second, by its own code."
    moment = begin
    while moment <= end:
        with time_machine.travel(moment.timestamp(), tick=False):
            time, task.repeat = task._next_schedule()
        task.scheduled_time = time
        time = django_time.make_aware(time) if django_time.is_naive(time) else time
        if time < moment:
            return
        moment = time + timedelta(seconds=1)
        if time <= end:
            yield time.astimezone(timezone.utc)

changes = ("2027-03-28", "2027-03-14", "2027-10-31", "2027-11-07")
tables = {each.id: each for each in read(Redis(), Maps())}
count = 0
for task in list(Task.objects.all()):
    found = tables[task.name]
    if task.task_type == TaskType.CRON:
        begins = [(SPRING, SPRING + timedelta(days=30)), (AUTUMN, AUTUMN + timedelta(days=30))]
    else:
        begins = [(now, now + timedelta(days=30))]
    for begin, end in begins:
        both = month(found, begin, may_be_empty=True)
        theirs = [*real(task, begin, end)]
        assert [*both.there] == theirs, (task.name, both.there[:5], theirs[:5])
        far = [
            [str(time) for time in times if not str(time).startswith(changes)]
            for times in (theirs, both.here)
        ]
        assert far[0] == far[1], (task.name, found.options, far[0][:5], far[1][:5])
        count += len(theirs)
for format in ("json", "yaml"):
    file = Path(directory) / f"export.{format}"
    call_command("export", "--output", format, "--filename", str(file))
    exported = {each.id: each.options for each in read(Redis(), Maps(), file=file)}
    assert exported == {id: each.options for id, each in tables.items()}
print(json.dumps(count))
"""


@pytest.mark.parametrize("use_tz", [True, False])
def test_all_times_of_a_month_are_those_of_its_own_code(project: Project, use_tz: bool) -> None:
    """But for the hours in which clocks change. Its exports say the same as its tables."""
    project.use_tz = use_tz
    directory = f"directory = {str(project.database.parent)!r}\n"
    assert json.loads(project.python(directory + TABLES + MONTHS)) > 500
