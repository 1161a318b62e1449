"""The timeline: what ran and what is to run, for who may look, whatever the address says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client, override_settings
from redis import Redis

from django_rediscron import RedisCronJob, Run
from django_rediscron.core.schedule.missed import Skip
from django_rediscron.core.store.keys import REIGNS, runs_key, skipped_key
from django_rediscron.core.store.pauses import pause
from django_rediscron.core.story.skips import Failure
from django_rediscron.core.timing.cron_times import utc_text
from tests.clock import Clock, set_clock

from .conftest import LIST

PAGE = f"{LIST}timeline/"
EVENING = datetime(2026, 6, 3, 21, tzinfo=timezone.utc)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NASTY = """<script>alert("x")</script>'"><img src=x onerror=alert(1)>"""

Make = Callable[..., RedisCronJob]


@pytest.fixture(autouse=True)
def evening(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """It is nine o'clock."""
    return set_clock(monkeypatch, EVENING)


class Page(HTMLParser):
    """The rows of the table, and the titles and addresses of the marks."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.titles: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _value in attrs)
        if tag in ("title", "tbody", "tr"):
            self._inside.append(tag)
            if tag == "tr":
                self.rows.append("")
            if tag == "title":
                self.titles.append("")
        if tag in ("td", "th") and self.rows:
            self.rows[-1] += " "
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside[-1:] == ["title"]:
            self.titles[-1] += data
        elif "tr" in self._inside:
            self.rows[-1] += data


def look(client: Client, query: str = "") -> Page:
    response = client.get(f"{PAGE}{query}")
    assert response.status_code == 200, response
    return Page(response.text)


def rows(client: Client, query: str = "") -> list[str]:
    """The lines of the table without its head and the days."""
    found = [" ".join(row.split()) for row in look(client, query).rows]
    return [row for row in found if ":" in row]


@pytest.fixture
def night(schedule: Make, connection: Redis) -> None:
    """Some schedules, and what they did."""
    schedule("backup", cron="0 3 * * *")
    schedule("mail", cron="*/5 22-23 * * *", queue_name="reports")
    schedule("idle", cron="0 12 1 * *")
    schedule("old", cron="30 4 * * *").disable()
    ran = EVENING - 2 * HOUR
    for job in ("backup", "idle"):
        connection.hset(f"rq:cron_job:{job}", "created_at", utc_text(EVENING - 100 * HOUR))
    failed = Run("job-1", ran, "failed", ran, ran + MINUTE, queue_name="default", error="boom")
    connection.rpush(runs_key("backup"), failed.to_text())


def test_what_runs_tonight(client_with: Callable[..., Client], night: None) -> None:
    client = client_with("view")
    assert rows(client, "?range=tonight") == [
        "22:00 – 23:55 mail ○ 24 runs, planned reports",
        "03:00 backup ○ planned default",
        "04:30 old ◌ not planned: the schedule is disabled default",
    ]
    page = look(client, "?range=tonight")
    assert "mail: Wed 3 Jun 22:00 – 23:55, 24 runs, planned" in page.titles
    assert any(
        title.startswith("Thu 4 Jun 03:00 – 03:15: 1 start: backup") for title in page.titles
    )
    assert f"{LIST}backup/change/" in page.links
    text = client.get(f"{PAGE}?range=tonight").text
    assert "25 starts; 3 of 4 schedules have something in this time." in text
    assert "idle" not in text
    assert "idle" in client.get(f"{PAGE}?range=tonight&all=1").text


def test_what_ran(operator: Client, night: None, connection: Redis) -> None:
    late = Skip(EVENING - 4 * HOUR, EVENING - 3 * HOUR, 3, "overlap", EVENING)
    wrong = Failure(EVENING - 5 * HOUR, EVENING, "function cannot be imported")
    connection.rpush(skipped_key("idle"), late.to_text(), wrong.to_text())
    reign = {"token": "prime x", "since": utc_text(EVENING - 90 * HOUR), "end": "died"}
    reign["until"] = utc_text(EVENING - 6 * HOUR)
    connection.rpush(REIGNS, json.dumps(reign))
    query = "?from=2026-06-03T14:00&to=2026-06-03T21:00&all=1"
    assert rows(operator, query) == [
        "16:00 idle ! could not be enqueued function cannot be imported default",
        "17:00 – 18:00 idle » 3 runs, skipped an earlier run had not ended default",
        "19:00 backup × failed took 1 min, boom default",
    ]
    page = look(operator, query)
    assert "no scheduler was running" in page.titles
    assert [link for link in page.links if link.endswith("/job-1/")]
    assert f"{LIST}idle/change/?why=2026-06-03T16:00:00#rediscron-why" in page.links


def test_what_is_paused(operator: Client, night: None, connection: Redis) -> None:
    pause(connection, "reports", reason="the provider is down", actor="admin:alice")
    text = operator.get(f"{PAGE}?range=tonight").text
    assert "24 runs, not planned: paused" in text
    assert "ueue reports paused by admin:alice: the provider is down" in text
    assert "1 start; 3 of 4" in text


def test_times_are_in_the_zone_that_is_chosen(operator: Client, night: None) -> None:
    assert rows(operator, "?zone=Asia/Tokyo&q=backup") == ["12:00 backup ○ planned default"]
    chosen = "?from=2026-06-04T12:00&to=2026-06-04T13:00&zone=Asia/Tokyo"
    assert rows(operator, chosen) == ["12:00 backup ○ planned default"]
    assert "Thu 4 Jun 12:00 – Thu 4 Jun 13:00" in operator.get(PAGE + chosen).text
    changes = operator.get(f"{PAGE}?from=2026-10-24T20:00&to=2026-10-25T08:00&zone=Europe/Paris")
    assert "clocks back 1 h" in changes.text


def test_filters_are_those_of_the_list(operator: Client, night: None) -> None:
    for query, expected in {
        "queue=reports": ["mail"],
        "state=disabled": ["old"],
        "q=back": ["backup"],
        "q=back&queue=&state=&tag=": ["backup"],
        "queue=reports&state=disabled": [],
    }.items():
        found = [
            re.split(" [○◌] ", row)[0].split()[-1]
            for row in rows(operator, f"?range=tonight&{query}")
        ]
        assert found == expected, query
    text = operator.get(f"{PAGE}?queue=nothing").text
    assert "No schedule matches the filters." in text
    assert '<option value="reports" selected>' in operator.get(f"{PAGE}?queue=reports").text


def test_without_schedules_it_says_what_to_do(operator: Client) -> None:
    assert "No schedules yet." in operator.get(PAGE).text


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("from=0001-01-01T00:00&to=9999-12-31T00:00", "must be a time"),
        ("from=2026-01-01T00:00&to=2029-01-01T00:00", "At most 32 days"),
        ("from=2026-06-04T00:00&to=2026-06-03T00:00", "end must be after"),
        ("from=2026-06-04T00:00&to=2026-06-04T00:00", "end must be after"),
        ("from=yesterday", "must be a time"),
        ("to=2026-06-04T00:00", "must be a time"),
        ("from=2026-06-04T00:00%2B99:99", "must be a time"),
        ("range=decade", "must be one of"),
        (f"from={'9' * 5000}", "must be a time"),
        ("zone=Mars/Olympus", "Mars/Olympus"),
        ("zone=../../etc/passwd", "passwd"),
        (f"zone={'x' * 5000}", "characters"),
        ("zone=%00", "zone"),
    ],
)
def test_what_cannot_be_shown_is_told_in_a_line(
    query: str, told: str, operator: Client, night: None
) -> None:
    response = operator.get(f"{PAGE}?{query}")
    assert response.status_code == 200
    (note,) = re.findall(r'<p class="errornote" role="alert"><bdi>(.*?)</bdi></p>', response.text)
    assert told in note
    assert len(note) < 400
    assert "backup" in response.text


@pytest.mark.parametrize(
    "query",
    [
        *("page=-1", "page=x", "all=2", "o=9", "p=99999", "e=1", "_popup=1", "queue=", "state=x"),
        *("id__regex=(a%2B)%2B", "func_name=x", "q=%00", "range=&from=&to=", "tag=%F0%9F%98%80"),
        *("from=1970-01-01T00:00&to=1970-01-02T00:00", "from=8999-01-01T00:00", "q=\ud83d"),
    ],
)
def test_no_address_breaks_it(query: str, operator: Client, night: None) -> None:
    assert operator.get(f"{PAGE}?{query.encode(errors='replace').decode()}").status_code == 200


def test_only_who_may_look_sees_it(client_with: Callable[..., Client], night: None) -> None:
    assert client_with().get(PAGE).status_code == 403
    assert client_with("add", "run").get(PAGE).status_code == 403
    assert Client().get(PAGE).status_code == 302
    assert client_with("view").get(PAGE).status_code == 200
    assert PAGE in client_with("view", "run").get(LIST).text


def test_what_people_typed_is_text(operator: Client, schedule: Make, connection: Redis) -> None:
    schedule(NASTY, cron="0 3 * * *", description=NASTY)
    connection.hset(f"rq:cron_job:{NASTY}", "queue_name", NASTY)
    ran = EVENING - HOUR / 2
    run = Run(NASTY, ran, "failed", ran, EVENING, NASTY, NASTY, error=NASTY)
    connection.rpush(runs_key(NASTY), run.to_text())
    wrong = Failure(ran, ran, NASTY)
    connection.rpush(skipped_key(NASTY), wrong.to_text())
    pause(connection, NASTY, reason=NASTY.replace('"', ""), actor=NASTY)
    query = f"?range=tonight&q=script&tag=<b>&zone={NASTY}&from={NASTY}"
    text = operator.get(f"{PAGE}{query}").text
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "alert(1)" in text


def test_nothing_in_it_needs_a_loose_policy(operator: Client, night: None) -> None:
    page = look(operator, "?range=tonight")
    assert "style" not in page.tags | page.attributes
    assert not [name for name in page.attributes if name.startswith("on")]
    assert not re.search(r"<script(?![^>]* src=)", operator.get(PAGE).text)


@override_settings(REDISCRON={"QUEUE": "nowhere"})
def test_a_redis_that_does_not_answer(operator: Client) -> None:
    response = operator.get(PAGE)
    assert response.status_code == 503
    assert "Redis at 127.0.0.1:1/0 cannot be reached" in response.text


@pytest.mark.parametrize("use_tz", [True, False])
def test_nights_are_those_of_the_project(
    use_tz: bool, operator: Client, night: None, settings: Any
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = use_tz, "Asia/Tokyo"  # there, it is six in the morning
    text = operator.get(f"{PAGE}?range=tonight").text
    assert "Wed 3 Jun 20:00 – Thu 4 Jun 08:00" in text
    text = operator.get(f"{PAGE}?range=last-night").text
    assert "Tue 2 Jun 20:00 – Wed 3 Jun 08:00" in text


def test_a_lane_stands_above_the_form(
    client_with: Callable[..., Client], night: None, connection: Redis
) -> None:
    client = client_with("view")
    page = client.get(f"{LIST}backup/change/")
    assert "A day before and after: 1 failed, 1 planned." in page.text
    titles = Page(page.text).titles
    assert "backup: Wed 3 Jun 19:00, failed, took 1 min, boom" in titles
    assert "backup: Thu 4 Jun 03:00, planned" in titles
    assert "?from=2026-06-02T21%3A00&amp;to=2026-06-04T21%3A00&amp;q=backup" in page.text
    connection.hset("rq:cron_job:backup", "interval", "often")
    assert client.get(f"{LIST}backup/change/").status_code == 200
    assert client.get(f"{LIST}add/").status_code in (200, 403)
