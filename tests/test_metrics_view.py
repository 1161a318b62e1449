"""The page of metrics: who may see it, in which format, and what it says if that cannot be.

Seen to fail, each with this taken out: `login_not_required`, `require_safe`, `never_cache`, the
comparison of the scheme, `is_staff`.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import Warning
from django.test import Client, override_settings
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from django_rediscron import RedisCronJob
from django_rediscron.checks import check_settings
from tests import tasks

PAGE = "/rediscron/metrics"
TOKEN = "a-token-that-nobody-guesses"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("connection")]

with_token = override_settings(REDISCRON={"METRICS_TOKEN": TOKEN})
without_users = override_settings(MIDDLEWARE=[])


def bearer(token: str, scheme: str = "Bearer") -> dict[str, Any]:
    return {"headers": {"authorization": f"{scheme} {token}"}}


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("operator", is_staff=True))
    return client


@with_token
@without_users
def test_whoever_has_the_token_gets_metrics(connection: Redis) -> None:
    RedisCronJob("a", "metrics", func=tasks.echo, interval=60, connection=connection).save()
    for headers in (bearer(TOKEN), bearer(f" {TOKEN} ", "bearer")):
        page = Client().get(PAGE, **headers)
        assert page.status_code == 200
        assert page["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        told = {family.name for family in text_string_to_metric_families(page.text)}
        assert {"rediscron_up", "rediscron_interval_seconds"} <= told
        assert "no-store" in page["Cache-Control"]
        assert {"Accept", "Authorization"} <= set(page["Vary"].split(", "))


@with_token
@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer(TOKEN[:-1]),
        bearer(TOKEN + "x"),
        bearer(TOKEN.upper()),
        bearer("\xfc\xff"),
        bearer("日本"),
        bearer(TOKEN, "Basic"),
        {"headers": {"authorization": TOKEN}},
        {"query_params": {"token": TOKEN}},
    ],
)
def test_a_wrong_token_is_refused(headers: dict[str, Any]) -> None:
    query = headers.pop("query_params", {})
    page = Client().get(PAGE, query, **headers)
    assert page.status_code == 401
    assert page["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in page.text
    assert page.text.count("\n") == 1


@pytest.mark.parametrize("token", [None, "", " ", "ünïcode-and-long-enough", 1234567890123456])
def test_without_a_token_nobody_but_staff_gets_metrics(token: object, staff: Client) -> None:
    with override_settings(REDISCRON={"METRICS_TOKEN": token}):
        for given in (str(token), "None", ""):
            page = Client().get(PAGE, **bearer(given))
            assert (page.status_code, page.text.count("\n")) == (403, 1)
        assert staff.get(PAGE).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"is_staff": True}, 200),
        ({"is_superuser": True}, 403),
        ({}, 403),
        ({"is_staff": True, "is_active": False}, 403),
    ],
)
def test_only_active_staff_gets_metrics(fields: dict[str, bool], status: int) -> None:
    client = Client()
    client.force_login(User.objects.create_user("somebody", **fields))
    assert client.get(PAGE).status_code == status


def test_staff_gets_metrics_beside_scrapers(staff: Client) -> None:
    with with_token:
        assert staff.get(PAGE).status_code == 200


def test_a_scraper_is_not_sent_to_a_login_form(settings: Any) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert Client().get(PAGE).status_code == 403
    settings.REDISCRON = {"METRICS_TOKEN": TOKEN}
    assert Client().get(PAGE, **bearer(TOKEN)).status_code == 200
    assert Client().get(PAGE).status_code == 401


@with_token
def test_it_is_only_read() -> None:
    for method in ("post", "put", "patch", "delete", "options"):
        page = getattr(Client(), method)(PAGE, **bearer(TOKEN))
        assert (page.status_code, page["Allow"]) == (405, "GET, HEAD")
    page = Client().head(PAGE, **bearer(TOKEN))
    assert (page.status_code, page.content) == (200, b"")
    assert Client().head(PAGE).status_code == 401


@with_token
def test_the_scraper_chooses_the_format() -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5"
    headers = {"authorization": f"Bearer {TOKEN}", "accept": accept}
    page = Client().get(PAGE, headers=headers)
    assert page["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert list(openmetrics_parser.text_string_to_metric_families(page.text))


@pytest.mark.parametrize(
    ("queue", "reason"),
    [("nowhere", "127.0.0.1:1/0 cannot be reached"), ("unheard-of", "unheard-of")],
)
def test_a_redis_that_is_away_is_said_in_one_line(queue: str, reason: str) -> None:
    with override_settings(REDISCRON={"METRICS_TOKEN": TOKEN, "QUEUE": queue}):
        page = Client().get(PAGE, **bearer(TOKEN))
    assert (page.status_code, page.text.count("\n")) == (503, 1)
    assert reason in page.text
    assert "secret" not in page.text


@override_settings(REDISCRON={"METRICS_TOKEN": TOKEN, "METRICS_SCHEDULES": 0})
def test_the_label_can_be_left_out(connection: Redis) -> None:
    RedisCronJob("a", "metrics", func=tasks.echo, interval=60, connection=connection).save()
    page = Client().get(PAGE, **bearer(TOKEN))
    assert "rediscron_schedule_labels_omitted 1\n" in page.text
    assert 'schedule="' not in page.text
    with override_settings(REDISCRON={"METRICS_TOKEN": TOKEN, "METRICS_SCHEDULES": "many"}):
        page = Client().get(PAGE, **bearer(TOKEN))
    assert "rediscron_schedule_labels_omitted 0\n" in page.text


@without_users
def test_a_project_without_users_refuses_whoever_has_no_token() -> None:
    assert Client().get(PAGE).status_code == 403


def test_a_short_token_is_warned_of_and_a_wrong_one_is_not_shown() -> None:
    def messages(token: object) -> list[Any]:
        with override_settings(REDISCRON={"METRICS_TOKEN": token}):
            return check_settings()

    for right in (None, "", TOKEN, "x" * 16):
        assert messages(right) == []
    (short,) = messages("hunter2")
    assert isinstance(short, Warning)
    assert short.id == "django_rediscron.W002"
    for wrong in ("hunter 2 and more words", "hünter2-and-more", 1234, ["hunter2"]):
        (message,) = messages(wrong)
        assert message.id == "django_rediscron.E003"
        assert 'REDISCRON["METRICS_TOKEN"] should be a text of visible ASCII' in message.msg
        assert "unter" not in message.msg
        assert "1234" not in message.msg
