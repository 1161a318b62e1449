"""Keyword arguments that hold secrets are shown to nobody, and are kept where others are edited."""

from __future__ import annotations

import json
import logging
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core import signing
from django.core.management import call_command
from django.test import Client, override_settings
from redis import Redis

from django_rediscron import RedisCronJob, register
from django_rediscron.core.sensitive import MASK, mask, mask_field, unmask

from .admin.forms import change_url, errors, load, send
from .tasks import echo

SECRET, LATER = "hunter2", "correct-horse"
URL = change_url("report")


def test_masks_stand_for_what_is_stored() -> None:
    stored = {"Api_Key": 1, "a": {"password": [2], "b": [{"token": 3}, 4]}, "name": "x"}
    shown = mask(stored)
    assert shown == {
        "Api_Key": MASK,
        "a": {"password": MASK, "b": [{"token": MASK}, 4]},
        "name": "x",
    }
    assert unmask(shown, stored) == stored
    shown["a"]["b"][1] = 5
    shown.update(Api_Key="mine", new={"secret": "other"})
    assert unmask(shown, stored) == {
        "Api_Key": "mine",
        "a": {"password": [2], "b": [{"token": 3}, 5]},
        "name": "x",
        "new": {"secret": "other"},
    }
    for moved in ({"token": MASK}, {"a": {"b": [4, {"token": MASK}]}}, {"name": MASK}):
        with pytest.raises(ValueError, match=r"token|name"):
            unmask(moved, stored)
    for text in ("{", '["password", "hunter2"]', '"hunter2"', "[" * 100_000):
        assert mask_field("kwargs", text) == MASK
    webhooks = '[{"url": "http://a", "headers": {"Authorization": "%s"}}]'
    assert mask_field("webhooks", webhooks % "Bearer hunter2") == webhooks % MASK
    assert mask_field("args", '["password"]') == '["password"]'


@override_settings(REDISCRON={"SENSITIVE": ["iban"]})
def test_the_setting_names_what_is_hidden() -> None:
    given = {"IBAN_of_customer": "DE02", "password": "shown"}
    assert mask(given) == {"IBAN_of_customer": MASK, "password": "shown"}
    with override_settings(REDISCRON={"SENSITIVE": []}):
        assert mask(given) == given
    with override_settings(REDISCRON={"SENSITIVE": "iban"}):  # a mistake hides the usual ones
        assert mask(given) == {"IBAN_of_customer": "DE02", "password": MASK}


# In the admin


@pytest.fixture
def report(db: None, rq_queues: None, connection: Redis) -> RedisCronJob:
    job = RedisCronJob(
        "report",
        "default",
        func_name="tests.tasks.echo",
        interval=300,
        kwargs={"name": "daily", "password": SECRET},
        connection=connection,
    )
    job.save()
    return job


def change(connection: Redis, **kwargs: str) -> None:
    job = RedisCronJob.fetch("report", connection)
    job.kwargs = {**job.kwargs, **kwargs}
    job.save()


@override_settings(REDISCRON={"ALLOWED_FUNCTIONS": ["tests.tasks.echo"]})
def test_no_page_shows_it_and_no_edit_loses_it(
    report: RedisCronJob, admin_client: Client, connection: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "django_rediscron")
    pages = [admin_client.get(URL), admin_client.get(URL.replace("change", "run"))]
    form = load(admin_client, URL)
    assert json.loads(form["kwargs"]) == {"name": "daily", "password": MASK}

    # another field, then another argument, then the secret itself
    pages.append(send(admin_client, URL, form, interval="600"))
    assert stored(connection) == {"name": "daily", "password": SECRET}
    form = load(admin_client, URL)
    new = json.dumps({"name": "weekly", "password": MASK})
    pages.append(send(admin_client, URL, form, kwargs=new))
    assert stored(connection) == {"name": "weekly", "password": SECRET}
    form = load(admin_client, URL)
    pages.append(send(admin_client, URL, form, kwargs=form["kwargs"].replace(MASK, LATER)))
    assert stored(connection) == {"name": "weekly", "password": LATER}

    # a conflict tells that it was changed
    form = load(admin_client, URL)
    change(connection, password=SECRET)
    conflict = send(admin_client, URL, form, interval="900")
    (told,) = errors(conflict)["__all__"]
    assert "keyword arguments" in told
    assert MASK in told
    pages += [conflict, admin_client.get(URL), admin_client.get(URL.replace("change", "history"))]

    # a mask stands for nothing where nothing is stored
    form = load(admin_client, URL)
    refused = send(admin_client, URL, form, kwargs=json.dumps({"name": MASK, "password": MASK}))
    assert "enter it" in errors(refused)["kwargs"][0]
    assert stored(connection)["password"] == SECRET

    texts = [page.content.decode() for page in pages]
    texts += [entry.change_message for entry in LogEntry.objects.all()]
    assert any(MASK in entry.get_change_message() for entry in LogEntry.objects.all())
    assert [text for text in [*texts, caplog.text] if SECRET in text or LATER in text] == []
    base = load(admin_client, URL)["base"]
    assert SECRET not in str(_decoded(base))


def stored(connection: Redis) -> dict[str, str]:
    return RedisCronJob.fetch("report", connection).kwargs


def _decoded(base: str) -> object:
    return signing.loads(base, salt="django_rediscron.base")


# In listings and reports


def test_no_listing_and_no_report_shows_it(
    starting: None, connection: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "django_rediscron")
    register(echo, "default", id="report", interval=60, kwargs={"password": SECRET})
    out = StringIO()
    call_command("rqrcron_sync", stdout=out)
    change(connection, password=LATER)  # an override
    for options in ({}, {"check": True}, {"check": True, "json": True}):
        call_command("rqrcron_sync", stdout=out, **options)
    call_command("rqrcron_info", stdout=out)
    call_command("rqrcron_info", "--json", stdout=out)
    call_command("rqcron_scheduler", burst=True, stdout=out)
    assert "overridden: kwargs" in out.getvalue()
    assert MASK in out.getvalue()
    assert [text for text in (out.getvalue(), caplog.text) if SECRET in text or LATER in text] == []
