"""The story of a schedule: what happened, in time order, narrowed down and page by page."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from html import unescape
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from redis import Redis
from redis.exceptions import NoPermissionError
from rq import Queue, SimpleWorker

from django_rediscron import LoggedChange, RedisCronJob, Run
from django_rediscron.admin.one_schedule import details
from django_rediscron.admin.one_schedule.story import Records, StoryEntry, entries_of
from django_rediscron.admin.one_schedule.story_page import PER_PAGE, StoryPage, narrow
from django_rediscron.core.schedule.missed import Skip
from django_rediscron.core.scheduler import RedisCronScheduler
from django_rediscron.core.store.keys import REIGNS, changes_key, runs_key, skipped_key
from django_rediscron.core.story.reigns import Reign

from .conftest import RoundTrips
from .forms import change_url, load, send

Make = Callable[..., RedisCronJob]

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


def told(client: Client, id: str = "job", **query: str) -> list[StoryEntry]:
    """The entries on the page of a schedule."""
    response = client.get(change_url(id), query)
    assert response.status_code == 200, response
    return list(response.context["details"].story.page)


def page_of(entries: list[StoryEntry], query: str = "") -> StoryPage:
    return narrow(entries, QueryDict(query))


def run(minutes: int, status: str = "finished", **facts: Any) -> Run:
    return Run(f"job-{minutes}", NOON + minutes * MINUTE, status, **facts)


def skip(minutes: int) -> Skip:
    moment = NOON + minutes * MINUTE
    return Skip(moment - MINUTE, moment, 2, "overlap", moment)


def change(minutes: int, revision: int = 2, what: str = "updated", **fields: Any) -> LoggedChange:
    return LoggedChange(NOON + minutes * MINUTE, "admin:alice", what, revision, "", fields)


# What is told


def test_runs_skips_errors_and_leaders_in_time_order(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job", args=("x",))
    RedisCronScheduler(connection, name="prime").start(burst=True)
    SimpleWorker([Queue("default", connection=connection)], connection=connection).work(burst=True)
    connection.hset("rq:cron_job:job", "func_name", "tests.tasks.gone")
    connection.zadd("rq:cron_jobs", {"job": 1})
    connection.hset("rq:cron_job:job", "next_enqueue_time", "2026-03-01T12:00:00.000000Z")
    RedisCronScheduler(connection, name="second").start(burst=True)
    connection.lpush(skipped_key("job"), skip(0).to_text())

    entries = told(operator)

    times = [entry.at for entry in entries if entry.at]
    assert times == sorted(times, reverse=True)
    assert {"run", "error", "skip", "reign"} <= {entry.kind for entry in entries}
    (run,) = (entry for entry in entries if entry.kind == "run")
    assert (run.text, run.outcome) == ("Finished", "finished")
    assert run.url is not None
    (error,) = (entry for entry in entries if entry.kind == "error")
    assert "tests.tasks.gone" in error.quote
    assert entries[-1].text == "2 runs skipped"
    texts = [entry.text for entry in entries if entry.kind == "reign"]
    assert texts == [
        "second stopped",
        "second became the leader",
        "prime stopped",
        "prime became the leader",
    ]


def test_a_run_in_words() -> None:
    lasted = {"started_at": NOON, "ended_at": NOON + timedelta(seconds=2.34)}
    late = run(0, **lasted, occurrence=NOON - MINUTE, attempts=3, worker="w1", is_too_long=True)
    by_hand = run(1, "failed", cause="hand", error="ValueError: " + "x" * 600)
    hand, first = entries_of(Records([late, by_hand]))
    assert "11:59:00" in first.facts[0]
    assert first.facts[1:] == ("took 2.3 s", "longer than its limit", "3 attempts", "worker w1")
    assert hand.facts == ("run by hand",)
    assert hand.quote.startswith("ValueError: xx")
    assert len(hand.quote) == 500


def test_runs_of_a_backfill_have_a_filter_of_their_own() -> None:
    filled = run(1, cause="backfill", occurrence=NOON - 9 * MINUTE)
    entries = entries_of(Records([run(0), filled]))
    page = page_of(entries, "kind=backfill")
    (entry,) = page.page
    assert (entry.text, entry.outcome, entry.facts[0]) == ("Finished", "finished", "backfill")
    assert "11:51:00" in entry.facts[1]
    assert [(choice.text, choice.number) for choice in page.kinds] == [
        ("All", 2),
        ("Runs", 1),
        ("Backfilled runs", 1),
    ]


def test_leaders_are_told_since_the_schedule_has_a_story() -> None:
    early = Reign("early", "", None, NOON - 9 * MINUTE, NOON - 8 * MINUTE, "died")
    leads = Reign("now", "web-1", 7, NOON - MINUTE, None, "")
    assert entries_of(Records(reigns=[leads, early])) == []
    texts = [entry.text for entry in entries_of(Records([run(0)], reigns=[leads, early]))]
    assert texts == ["Finished", "now became the leader"]


def test_what_was_changed_is_cut_and_masked(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job")
    fields = {
        "interval": ["300", "600"],
        "kwargs": ['{"api_token": "old-secret"}', '{"api_token": "new-secret"}'],
        "args": [None, json.dumps(["x" * 5000])],
    }
    logged = {"at": "2026-03-01T12:00:00.000000Z", "by": "<b>cli:a", "what": "updated"}
    text = json.dumps({**logged, "revision": 7, "fields": fields})
    connection.delete(changes_key("job"))
    connection.rpush(changes_key("job"), "{}", text)
    page = operator.get(change_url("job"), {"kind": "change"})
    (entry,) = page.context["details"].story.page
    assert entry.text == "Changed by <b>cli:a"
    assert entry.fields[0] == ("interval", "300", "600")
    assert entry.fields[1][1:] == ('{"api_token": "********"}',) * 2
    assert [len(text) for text in entry.fields[2]] == [9, 4, 80]
    assert "secret" not in page.text
    assert "Changed by &lt;b&gt;cli:a" in page.text


def test_nobody_reverts_to_what_another_schedule_of_the_id_was() -> None:
    log = [change(4), change(3, 1, "created"), change(2, 9, "deleted"), change(1, 8)]
    assert [each.revision for each in entries_of(Records(changes=log))] == [2, 1, None, None]
    assert [each.revision for each in entries_of(Records(changes=log[2:]))] == [None, 8]
    gone = Records(changes=[change(5, 3, "outside"), *log], is_gone=True)
    assert [each.revision for each in entries_of(gone)] == [None, 2, 1, None, None]
    replaced = [*log[:2], log[3]]
    assert [each.revision for each in entries_of(Records(changes=replaced))] == [2, 1, None]


def test_changes_of_all_ways_are_told_with_who_made_them(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job")
    send(operator, change_url("job"), load(operator, change_url("job")), interval="600")
    RedisCronJob.fetch("job", connection).disable(actor="cli:bob@web-1")
    switched, changed, created = told(operator, kind="change")
    assert switched.text == "Disabled by cli:bob@web-1"
    assert not switched.fields
    assert changed.text == "Changed by admin:user-view-add-change-delete-run"
    assert changed.fields == (("interval", "300", "600"),)
    assert created.text.startswith("Created by program:")


# Narrowed down


def test_kinds_outcomes_and_days_narrow_it_down() -> None:
    runs = [run(0), run(1, "failed"), run(60 * 24, "failed")]
    entries = entries_of(Records(runs, [skip(2)], changes=[change(3)]))
    page = page_of(entries)
    assert [choice[:2] for choice in page.kinds] == [
        ("All", 5),
        ("Runs", 3),
        ("Skipped runs", 1),
        ("Changes", 1),
    ]
    assert [choice[:2] for choice in page.outcomes] == [("All", 3), ("finished", 1), ("failed", 2)]
    assert [entry.kind for entry in page_of(entries, "kind=skip").page] == ["skip"]
    failed = page_of(entries, "outcome=failed&day=2026-03-01&page=1")
    assert [entry.job_id for entry in failed.page] == ["job-1"]
    assert [choice.chosen for choice in failed.outcomes] == [False, False, True]
    assert failed.kinds[1].url == "?day=2026-03-01&kind=run#rediscron-story"
    assert failed.any_day == "?outcome=failed#rediscron-story"
    assert failed.beside_day == [("outcome", "failed")]
    assert not page_of(entries, "kind=error").page.object_list


def test_page_by_page_each_once() -> None:
    minutes = range(PER_PAGE * 2 + 1)
    entries = entries_of(
        Records([run(each) for each in minutes], changes=[change(each) for each in minutes])
    )
    pages = [page_of(entries, f"page={number}") for number in range(1, 6)]
    assert [len(page.page) for page in pages] == [50, 50, 50, 50, 2]
    assert [entry for page in pages for entry in page.page] == entries
    assert list(pages[1].links)[:3] == [
        ("1", "?page=1#rediscron-story"),
        ("2", None),
        ("3", "?page=3#rediscron-story"),
    ]


@pytest.mark.parametrize("use_tz", [True, False])
def test_days_are_those_of_the_reader(settings: Any, use_tz: bool) -> None:
    settings.USE_TZ, settings.TIME_ZONE = use_tz, "Asia/Tokyo"
    entries = entries_of(Records([run(0), run(4 * 60)]))
    days = page_of(entries).days
    assert [str(day.date) for day in days] == ["2026-03-02", "2026-03-01"]
    assert len(page_of(entries, "day=2026-03-02").page) == 1
    tag = str(days[0].entries[0].time)
    assert ">01:00:00</time>" in tag
    assert "JST (2026-03-01 16:00:00 UTC)" in tag


def test_odd_questions_harm_nobody(operator: Client, schedule: Make, connection: Redis) -> None:
    schedule("job").enqueue(connection)
    for day in ("2026-02-30", "x", "9" * 99):
        assert told(operator, day=day)
    assert told(operator, page="-1") == told(operator, page="zz") == told(operator)
    page = operator.get(change_url("job"), {"kind": "<b>", "outcome": "x"})
    assert "No matching entries." in page.text


def test_who_may_look_sees_it(
    client_with: Callable[..., Client], schedule: Make, connection: Redis
) -> None:
    job = schedule("job").enqueue(connection)
    viewer = client_with("view")
    assert [entry.job_id for entry in told(viewer, kind="run")] == [job.id]
    assert client_with("run").get(change_url("job")).status_code == 403


def test_a_schedule_without_a_story(operator: Client, schedule: Make, connection: Redis) -> None:
    schedule("job")
    connection.delete(changes_key("job"))
    assert "No history yet." in unescape(operator.get(change_url("job")).text)


def test_keys_of_another_type_hide_nothing_else(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    job = schedule("job").enqueue(connection)
    for key in (skipped_key("job"), changes_key("job"), REIGNS):
        connection.delete(key)
        connection.set(key, "no list")
    assert [entry.job_id for entry in told(operator)] == [job.id]


def test_what_cannot_be_read_is_told(
    operator: Client, schedule: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise NoPermissionError("this user has no permissions to run the 'lrange' command")

    schedule("job")
    monkeypatch.setattr(details, "gather", refuse)
    page = operator.get(change_url("job"))
    assert "What happened could not be read:" in page.text
    assert "no permissions to run" in page.text


def test_a_long_story_takes_as_many_round_trips_as_a_short_one(
    operator: Client, schedule: Make, connection: Redis, round_trips: RoundTrips
) -> None:
    job = schedule("job")
    connection.rpush(runs_key("job"), run(0, ended_at=NOON).to_text())
    few = round_trips(partial(told, operator))
    for number in range(1, 101):
        connection.rpush(runs_key("job"), run(number, ended_at=NOON).to_text())
        connection.lpush(skipped_key("job"), skip(number).to_text())
        job.jitter = number
        job.save()
    assert len(told(operator)) == PER_PAGE
    assert round_trips(partial(told, operator)) == few
    assert few <= 20
