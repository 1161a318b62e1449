"""The periodic tasks of Celery's apps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue, SimpleWorker

from django_rediscron import RedisCronJob
from django_rediscron.core.store import fetch_many
from django_rediscron.migrating.celery.celery_beat import read
from django_rediscron.migrating.found import CannotReadError, Maps
from tests.test_cli import verbs_on

from .moving import BERLIN, told_by

APP = "tests.migrating.celery_app"
CELERY = ("celery", f"{APP}:app")
CARRIED = {"daily", "every ninety seconds", "routed", "plain", "hooked", "added"}


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Callable[..., str]:
    return verbs_on(redis_url)


def test_what_an_app_has_is_carried_over(connection: Redis, told: Callable[..., str]) -> None:
    found = told_by(told, *CELERY, "--write", status=1)
    assert {id for id, each in found.items() if each["done"]} == CARRIED
    assert fetch_many(list(found), connection).keys() == CARRIED
    definitions = {id: found[id]["definition"] for id in CARRIED}
    assert definitions["daily"] == {
        "function": f"{APP}.build",
        "queue": "reports",
        "cron": "30 4 * * mon-fri",
        "timezone": BERLIN,
        "args": ["today"],
        "job_timeout": "10m",
        "ttl": "1h",
        "enabled": True,
    }
    assert definitions["every ninety seconds"] == {
        "function": f"{APP}.send",
        "queue": "default",
        "interval": "90s",
        "kwargs": {"to": ["a", "b"], "pair": [1, 2]},
        "job_timeout": -1,
        "end_at": "2039-12-31T22:59:59.999999Z",
        "enabled": True,
    }
    assert definitions["routed"]["queue"] == definitions["added"]["queue"] == "reports"
    assert definitions["plain"]["function"] == "tests.tasks.echo"
    assert (definitions["added"]["cron"], definitions["added"]["args"]) == (
        "*/5 * * * *",
        ["added"],
    )
    assert {id for id in CARRIED if found[id]["times"]["same"]} == {"daily", "plain", "added"}


def test_what_is_lost_is_told_with_what_to_do(told: Callable[..., str]) -> None:
    found = told_by(told, *CELERY, status=1)
    notes = {
        id: " ".join(f"{note['text']}; {note['remedy']}" for note in each["notes"])
        for id, each in found.items()
    }
    for id, text in {
        "daily": "retries it after OSError, up to 5 times; here it is not; set retry=5",
        "routed": "one interval after beat was started",
        "bound": f"bind=True.*--map {APP}.bound=MODULE.FUNCTION",
        "class": f"class {APP}.Loud.*--map loud=MODULE.FUNCTION",
        "hooked": "on_failure of its class Loud",
        "nested": "cannot be imported by its name",
        "unknown": "no task 'gone.tasks.run'",
        "moment": "not JSON",
        "lazy": "not JSON",
        "cleanup": "Celery's own task",
        "friday the 13th": "one of them is enough",
        "often": "whole number",
        "no queue": "urgent",
        "wrong": "Celery cannot read it",
    }.items():
        assert any_match(text, notes[id]), (id, notes[id])
    assert "priority 5 is lost" in notes["daily"]
    assert "headers {'a': 1} is lost" in notes["daily"]


def any_match(pattern: str, text: str) -> bool:
    parts = pattern.split(".*")
    return all(part in text for part in parts)


def test_workers_of_rq_run_the_functions_of_tasks(
    connection: Redis, told: Callable[..., str]
) -> None:
    told_by(told, *CELERY, "--write", status=1)
    for id in ("every ninety seconds", "hooked"):
        RedisCronJob.fetch(id, connection).enqueue(connection)
    queue = Queue("default", connection=connection)
    jobs = queue.get_jobs()
    SimpleWorker([queue], connection=connection).work(burst=True)
    results = [[[], {"to": ["a", "b"], "pair": [1, 2]}], "called"]
    assert [job.return_value() for job in jobs] == results


def test_a_task_may_be_mapped_to_another_function(told: Callable[..., str]) -> None:
    maps = ("--map", f"{APP}.bound=tests.tasks.echo", "--map", "loud=tests.tasks.echo")
    found = told_by(told, *CELERY, *maps, "--default-queue", "reports", status=1)
    for id in ("bound", "class"):
        definition = found[id]["definition"]
        assert (definition["function"], definition["queue"]) == ("tests.tasks.echo", "reports")


CONFIGURATION = """
from celery.schedules import crontab
timezone = "America/New_York"
beat_schedule = {"hourly": {"task": "tests.tasks.echo", "schedule": crontab(minute=5)}}
"""
DJANGO = """
CELERY_TIMEZONE = "America/New_York"
CELERY_BEAT_SCHEDULE = {"hourly": {"task": "tests.tasks.echo", "schedule": 60}}
"""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (CONFIGURATION, "{}"),
        (CONFIGURATION, "{}.beat_schedule"),
        (CONFIGURATION, "{}:beat_schedule"),
        (DJANGO, "{}"),
        (DJANGO, "{}.CELERY_BEAT_SCHEDULE"),
    ],
)
def test_a_configuration_without_an_app(
    text: str, name: str, connection: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"configuration_of_{abs(hash((text, name)))}"
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = read(connection, Maps(), app=name.format(module), default_queue="default")
    assert found.options is not None
    assert (found.id, found.options["func"]) == ("hourly", "tests.tasks.echo")
    assert found.options.get("timezone", "America/New_York") == "America/New_York"
    sys.modules.pop(module)


ODD = """
from celery.schedules import schedule
beat_schedule = {
    "none": {"task": None, "schedule": 60},
    "function": {"task": print, "schedule": 60},
    "options": {"task": "tests.tasks.echo", "schedule": 60, "options": [1]},
    "expires": {"task": "tests.tasks.echo", "schedule": 60, "options": {"expires": "soon"}},
    "limit": {"task": "tests.tasks.echo", "schedule": 60, "options": {"time_limit": "x"}},
}
"""


def test_entries_that_celery_could_not_send_are_told(
    told: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_configuration.py").write_text(ODD)
    monkeypatch.syspath_prepend(tmp_path)
    found = told_by(told, "celery", "odd_configuration", status=1)
    for id, text in {
        "none": "must be the name of one, got None",
        "function": "must be the name of one, got <built-in",
        "options": "must be a dict, got [1]",
        "expires": "cannot be read",
        "limit": "cannot be read",
    }.items():
        assert text in found[id]["error"], found[id]


@pytest.mark.parametrize("name", ["no.such.module", "tests.tasks", "tests.tasks:echo", "json"])
def test_what_is_no_app_is_told_in_a_line(name: str, told: Callable[..., str]) -> None:
    text = told("migrate", "celery", name, status=1)
    assert text.count("\n") == 1
    assert "celery -A" in text


def test_without_celery_it_is_told_what_to_install(
    connection: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "celery", None)
    with pytest.raises(CannotReadError, match="pip install celery"):
        read(connection, Maps(), app="a:b", default_queue="default")
