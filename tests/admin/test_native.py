"""Schedules are a model like any other to Django, though no table holds them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.admin.utils import quote
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import NotSupportedError
from django.db.models import Q, QuerySet
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from redis import Redis

from django_rediscron import RedisCronJob
from django_rediscron.models import Schedule

from .conftest import LIST

Make = Callable[..., RedisCronJob]

ODD_IDS = [
    "reports/daily:mail",
    """"double" and 'single'""",
    "50% & more? #1",
    "<b>bold</b>",
    "under_score_5F",
    "täglich • 毎日 🕐",
    " blanks ",
    "../add/",
    "add",
]


def ids(schedules: QuerySet[Schedule]) -> list[str]:
    return [schedule.id for schedule in schedules]


def test_is_a_query_set(schedule: Make) -> None:
    for id in ("c", "a", "b"):
        schedule(id)
    everything = Schedule.objects.all()
    assert isinstance(everything, QuerySet)
    assert ids(everything) == ["a", "b", "c"]
    assert ids(everything.order_by("-pk")) == ids(everything.reverse()) == ["c", "b", "a"]
    assert (everything.count(), len(everything), everything.exists()) == (3, 3, True)
    assert ids(everything.order_by("id")[1:3]) == ["b", "c"]
    assert ids(everything.none()) == ids(everything.filter(pk__in=[])) == []
    assert everything.get(pk="b").job.func_name == "tests.tasks.echo"
    assert (everything.first().id, everything.last().id) == ("a", "c")
    with pytest.raises(Schedule.DoesNotExist):
        everything.get(pk="z")


def test_filters_by_fields_in_redis(schedule: Make) -> None:
    schedule("one", queue_name="reports", cron="0 3 * * *")
    schedule("two", interval=60)
    schedule("three", func_name="tests.tasks.make_nested", enabled=False)
    objects = Schedule.objects
    assert ids(objects.filter(queue_name="reports")) == ["one"]
    assert ids(objects.exclude(queue_name="reports")) == ["three", "two"]
    assert ids(objects.filter(enabled=False)) == ["three"]
    assert ids(objects.filter(interval=60)) == ["two"]
    assert ids(objects.filter(interval__isnull=True)) == ["one"]
    assert ids(objects.filter(Q(pk="one") | Q(func_name__contains="nested"))) == ["one", "three"]
    assert ids(objects.filter(pk__in=["one", "two", "x"]).exclude(pk="one")) == ["two"]
    assert ids(objects.filter(next_enqueue_time__isnull=True)) == ["three"]
    due = objects.get(pk="two").next_enqueue_time
    assert ids(objects.filter(next_enqueue_time__lte=due)) == ["two"]
    assert ids(objects.order_by("next_enqueue_time")) == ["two", "one", "three"]
    assert ids(objects.order_by("-queue_name", "-id")) == ["one", "two", "three"]


def test_finds_letters_of_any_language_small_or_capital(schedule: Make) -> None:
    schedule("GRÖSSE prüfen")
    schedule("größe")
    schedule("other")
    assert ids(Schedule.objects.filter(id__icontains="Grö")) == ["GRÖSSE prüfen", "größe"]
    assert ids(Schedule.objects.filter(id__icontains="PRÜ")) == ["GRÖSSE prüfen"]


def test_refuses_what_has_no_meaning_in_redis() -> None:
    with pytest.raises(FieldError, match="cron__regex"):
        Schedule.objects.filter(cron__regex=".")
    for refused in (
        lambda: Schedule.objects.update(enabled=True),
        lambda: Schedule.objects.annotate(one=1),
        lambda: list(Schedule.objects.values("id")),
    ):
        with pytest.raises(NotSupportedError, match="Redis"):
            refused()


def test_fixtures_neither_fail_nor_copy(schedule: Make, tmp_path: Path, connection: Redis) -> None:
    schedule("kept")
    before = connection.hgetall("rq:cron_job:kept")
    fixture = tmp_path / "all.json"
    # the model of django-rq fails
    call_command("dumpdata", exclude=["django_rq"], output=str(fixture), verbosity=2)
    assert "kept" not in fixture.read_text()
    call_command("loaddata", str(fixture), verbosity=0)
    call_command("dumpdata", "django_rediscron", all=True, output=str(fixture), verbosity=0)
    assert fixture.read_text().strip() == "[]"
    fixture.write_text('[{"model": "django_rediscron.schedule", "pk": "kept", "fields": {}}]')
    with pytest.raises(NotSupportedError, match="live in Redis"):
        call_command("loaddata", str(fixture), verbosity=0)
    assert connection.hgetall("rq:cron_job:kept") == before


def test_migrations_are_complete() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize("id", ODD_IDS)
def test_any_id_has_its_pages(id: str, schedule: Make, operator: Client) -> None:
    schedule(id)
    schedule("bystander")
    pages = {
        page: reverse(f"admin:django_rediscron_schedule_{page}", args=[quote(id)])
        for page in ("change", "history", "delete")
    }
    assert f'href="{escape(pages["change"])}"' in operator.get(LIST).text
    for page in pages.values():
        assert operator.get(page).status_code == 200
    operator.post(pages["delete"], {"post": "yes"})
    assert ids(Schedule.objects.all()) == ["bystander"]
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.action_flag) == (id, DELETION)


def test_works_without_the_admin(redis_url: str, tmp_path: Path) -> None:
    settings = tmp_path / "plain_settings.py"
    settings.write_text(
        "SECRET_KEY = 'x'\n"
        "INSTALLED_APPS = ['django.contrib.contenttypes', 'django_rq', 'django_rediscron']\n"
        f"RQ_QUEUES = {{'default': {{'URL': {redis_url!r}}}}}\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n"
    )
    for command in (["migrate", "-v0"], ["makemigrations", "--check"], ["rqrcron_info"]):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "django", *command]
            + ["--settings", settings.stem, "--pythonpath", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
