"""What the form shows of the next runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from django.test import Client
from django.utils import translation
from django.utils.formats import date_format
from redis import Redis

from django_rediscron import RedisCronJob
from django_rediscron.admin.changeform import preview
from django_rediscron.core import job as job_module
from django_rediscron.core.schedule import record

from .conftest import LIST

Make = Callable[..., RedisCronJob]
URL = f"{LIST}preview/"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the time of the preview."""

    def set_to(*date: int) -> None:
        moment = datetime(*date, tzinfo=timezone.utc)
        for module in (preview, record, job_module):
            monkeypatch.setattr(module, "now", lambda: moment)

    return set_to


def look(client: Client, **fields: Any) -> str:
    response = client.get(URL, fields)
    assert response.status_code == 200
    return " ".join(response.text.split())


def test_words_and_ten_runs(operator: Client, clock: Any) -> None:
    clock(2026, 6, 1, 12)
    shown = look(operator, cron="30 6 * * mon-fri", timezone="Europe/Berlin")
    assert "06:30" in shown or "6:30" in shown
    assert "Europe/Berlin" in shown
    assert shown.count("<li>") == 10
    assert "<li>Tue 2026-06-02 06:30 UTC+2</li>" in shown
    assert "Mon 2026-06-08" in shown
    assert "Sat" not in shown.replace("Saturday", "")


def test_dates_keep_their_order_where_days_are_named_from_right_to_left(
    operator: Client, clock: Any
) -> None:
    clock(2026, 11, 28, 10)
    with translation.override("ar"):
        shown = look(operator, cron="30 2 * * *", timezone="Europe/Berlin")
        sunday = date_format(datetime(2026, 11, 29), "D")
    assert sunday != "Sun"
    assert "<bdi>At 02:30" in shown
    assert f"<li>{sunday} \u20662026-11-29 02:30 UTC+1\u2069</li>" in shown
    for isolated in ("2027-03-28", "2027-03-28 03:00 UTC+2"):
        assert f"{sunday} \u2066{isolated}\u2069" in shown


def test_the_next_change_of_the_clocks_comes_with_the_run_that_follows_it(
    operator: Client, clock: Any
) -> None:
    clock(2026, 11, 28, 10)
    shown = look(operator, cron="30 2 * * *", timezone="Europe/Berlin")
    assert "clocks go forward by 1:00 h on Sun 2027-03-28" in shown
    assert "the run then: Sun 2027-03-28 03:00 UTC+2" in shown


def test_a_disabled_schedule_shows_what_it_would_run_if_it_were_enabled(
    operator: Client, clock: Any, schedule: Make
) -> None:
    """Not what is delayed past the present: that would be missed."""
    job = schedule("report", cron="0 * * * *", timezone="UTC", jitter=3599, enabled=False)
    times = preview._as_if_enabled(job)
    assert times.next_enqueue_time is not None
    assert times.next_enqueue_time > datetime.now(timezone.utc)
    assert next(times.upcoming(1)) >= times.next_enqueue_time


def test_jumps_of_the_clocks_are_marked(operator: Client, clock: Any) -> None:
    clock(2026, 3, 27, 12)
    shown = look(operator, cron="30 2 * * *", timezone="Europe/Berlin")
    assert (
        "<li>Sat 2026-03-28 02:30 UTC+1</li>"
        '<li class="rediscron-jump">Clocks go forward by 1:00 h</li>'
        "<li>Sun 2026-03-29 03:00 UTC+2</li>"
    ) in shown.replace("</li> <li", "</li><li")
    clock(2026, 10, 24, 23)
    shown = look(operator, cron="*/30 * * * *", timezone="Europe/Berlin")
    assert "02:00 UTC+2 <em>(this time comes twice; the first)</em>" in shown
    assert "Clocks go back by 1:00 h</li>" in shown
    assert "02:30 UTC+1 <em>(this time comes twice; the second)</em>" in shown
    clock(2026, 6, 1, 12)
    shown = look(operator, cron="30 2 * * *", timezone="Europe/Berlin")
    assert "clocks go back by 1:00 h on Sun 2026-10-25; the run then:" in shown


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cron": "61 * * * *"}, "not valid"),
        ({"cron": "0 0 30 2 *"}, "never fires"),
        ({"cron": "* * * * *", "timezone": "Mars/Olympus"}, "IANA name"),
        ({"interval": "soon"}, "Interval: Enter a number of seconds"),
        ({"interval": "5", "cron": "* * * * *"}, "mutually exclusive"),
        (
            {"interval": "5", "start_at_0": "x", "start_at_1": "0:00"},
            "Starts: Enter a valid date",
        ),
        ({"cron": "<script>"}, "&lt;script&gt;"),
    ],
)
def test_or_the_error(fields: dict[str, str], words: str, operator: Client) -> None:
    shown = look(operator, **fields)
    assert words in shown
    assert 'class="errorlist"' in shown
    assert "<script>" not in shown


def test_limits_count(operator: Client, clock: Any) -> None:
    clock(2026, 6, 1, 12)
    until = {"end_at_0": "2026-06-03", "end_at_1": "12:00"}
    shown = look(operator, cron="0 6 * * *", timezone="UTC", **until)
    assert shown.count("<li>") == 2
    assert "Nothing after that." in shown
    assert look(operator, cron="0 6 * * *", max_runs="3").count("<li>") == 3


def test_nothing_typed_is_no_error(operator: Client) -> None:
    assert "errorlist" not in look(operator, interval="", cron="")


def test_a_stored_schedule_goes_on_where_it_is(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    stored = schedule("job", interval=3600, start_at=datetime(2040, 1, 1, tzinfo=timezone.utc))
    start = {"start_at_0": "2040-01-01", "start_at_1": "00:00:00"}
    shown = look(operator, interval="3600", stored="job", **start)
    assert "2040-01-01 00:00 UTC" in shown
    stored.disable()
    assert "It is disabled" in look(operator, interval="3600", stored="job", **start)
    assert "It is disabled" not in look(operator, interval="60", stored="job", **start)


def test_imports_and_writes_nothing(operator: Client, connection: Redis) -> None:
    import sys

    before = connection.info("stats")["total_commands_processed"]
    look(operator, cron="* * * * *", func_name="tests.app.unimported.function", args='["x"]')
    assert connection.info("stats")["total_commands_processed"] == before + 1
    assert "tests.app.unimported" not in sys.modules


@pytest.mark.parametrize("permission", ["view", "add", "change"])
def test_whoever_sees_a_form_sees_preview(
    permission: str, client_with: Callable[..., Client]
) -> None:
    assert "Every minute" in look(client_with(permission), cron="* * * * *")


def test_nobody_else_does(client_with: Callable[..., Client], client: Client) -> None:
    assert client_with("run", "delete").get(URL, {"cron": "* * * * *"}).status_code == 403
    assert client.get(URL, {"cron": "* * * * *"}).status_code == 302
    assert client_with("view").post(URL, {"cron": "* * * * *"}).status_code == 405


def test_needs_no_redis(operator: Client, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.REDISCRON = {"QUEUE": "nowhere"}
    assert "Every minute" in look(operator, cron="* * * * *")
    assert "Every minute" in look(operator, cron="* * * * *", stored="job")
