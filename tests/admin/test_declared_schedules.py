"""Schedules that the code declares, on their page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob, register
from django_rediscron.sync import declarations as declared
from django_rediscron.sync import sync

from ..tasks import echo
from .conftest import LIST
from .forms import change_url, load, messages, send

URL = change_url("job")
RESET = f"{LIST}job/reset/"


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Declare a schedule as a ready hook does, and write it."""
    monkeypatch.setattr(declared, "_declared", {})

    def write(**options: Any) -> None:
        monkeypatch.setattr(apps, "ready", False)
        register(echo, "default", id="job", **{"interval": 300, **options})
        monkeypatch.setattr(apps, "ready", True)
        sync()

    return write


def test_shows_where_and_what_was_changed_beside_the_code(
    declare: Callable[..., None], operator: Client, connection: Redis
) -> None:
    declare(args=("a",))
    page = operator.get(URL)
    assert "Declared in code:" in page.text
    assert "test_declared_schedules.py" in page.text
    assert "Fields that differ" not in page.text
    send(operator, URL, load(operator, URL), interval="", cron="0 3 * * *", args='["b"]')

    page = operator.get(URL)
    assert "Fields that differ" in page.text
    shown = {each.name: (each.actual, each.declared) for each in page.context["details"].overrides}
    assert shown["args"] == ('["b"]', '["a"]')
    assert shown["cron"] == ("0 3 * * *", "none")
    assert 'name="field" value="args"' in page.text


def test_reset_returns_one_field_to_code_and_is_logged(
    declare: Callable[..., None], operator: Client, connection: Redis
) -> None:
    declare(args=("a",))
    send(operator, URL, load(operator, URL), interval="600", args='["b"]')
    response = operator.post(RESET, {"field": "args"})
    assert response.headers["Location"] == URL
    assert messages(response)[-1] == "Reset to code: arguments."
    job = RedisCronJob.fetch("job", connection)
    assert (job.args, job.interval) == (("a",), 600)
    assert LogEntry.objects.first().get_change_message() == 'Changed arguments: ["b"] → ["a"].'
    operator.post(RESET)
    job = RedisCronJob.fetch("job", connection)
    assert (job.interval, job.overrides) == (300, {})


def test_reset_is_a_post_with_change_permission(
    declare: Callable[..., None], operator: Client, client_with: Callable[..., Client]
) -> None:
    declare()
    assert operator.get(RESET).status_code == 405
    assert client_with("view", "add", "delete", "run").post(RESET).status_code == 403


def test_reset_of_what_no_code_declares_is_told(
    operator: Client, schedule: Callable[..., RedisCronJob]
) -> None:
    schedule("job")
    assert "no code declares it" in messages(operator.post(RESET, {"field": "args"}))[0]
    assert "nonsense" in messages(operator.post(RESET, {"field": "nonsense"}))[-1]


def test_what_is_locked_is_only_looked_at(
    declare: Callable[..., None], operator: Client, connection: Redis
) -> None:
    declare(locked=True)
    page = operator.get(URL)
    assert "It is locked there" in page.text
    assert "_save" not in page.text
    assert "deletelink" not in page.text
    before = connection.hgetall("rq:cron_job:job")
    for url, values in (
        (URL, {"interval": "77"}),
        (f"{LIST}job/delete/", {"post": "yes"}),
        (RESET, {"field": "interval"}),
    ):
        assert operator.post(url, values).status_code == 403
    assert connection.hgetall("rq:cron_job:job") == before
    # it can be run, which changes nothing of it
    assert operator.post(f"{LIST}job/run/").status_code == 302


def test_locked_between_reading_and_writing(
    declare: Callable[..., None],
    operator: Client,
    connection: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django_rediscron.admin.changeform.form import ScheduleForm

    write = ScheduleForm.write

    def late(form: Any) -> None:
        connection.hset("rq:cron_job:job", "locked", "1")
        write(form)

    declare()
    form = load(operator, URL)
    monkeypatch.setattr(ScheduleForm, "write", late)
    response = send(operator, URL, form, interval="77")
    assert response.status_code in (200, 403)
    assert RedisCronJob.fetch("job", connection).interval == 300


def test_an_orphan_is_called_one(
    declare: Callable[..., None], operator: Client, connection: Redis, monkeypatch: Any
) -> None:
    declare()
    monkeypatch.setattr(declared, "_declared", {})
    sync()
    assert "The code declares it no longer." in operator.get(URL).text
