"""The list of schedules: columns, search, filters, order, banner, and a page that stays fresh."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils.html import escape
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from django_rediscron import RedisCronJob
from django_rediscron.core.scheduler import RedisCronScheduler
from django_rediscron.core.store.keys import IN_FLIGHT, history_key

from .conftest import LIST, RoundTrips
from .test_declared_schedules import declare  # noqa: F401 - a fixture

Make = Callable[..., RedisCronJob]


def shown(client: Client, **query: str) -> list[str]:
    """The ids on the page, in order."""
    response = client.get(LIST, query)
    assert response.status_code == 200, response
    return [schedule.id for schedule in response.context["cl"].result_list]


def cells(client: Client, id: str) -> dict[str, str]:
    """The text of the cells of a row, by column."""
    page = client.get(LIST).text
    row = next(row for row in page.split("<tr") if f'data-schedule="{escape(id)}"' in row)
    found = re.findall(r'<t[hd] class="field-(\w+)[^>]*>(.*?)</t[hd]>', row, re.DOTALL)
    return {name: " ".join(re.sub("<[^>]+>", " ", html).split()) for name, html in found}


def test_says_what_runs_when_and_how_it_went(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    schedule("backup", queue_name="reports", cron="0 3 * * *", timezone="Europe/Berlin")
    job = schedule("mail", interval=300).enqueue(connection)
    SimpleWorker([Queue("default", connection=connection)], connection=connection).work(burst=True)

    backup, mail = cells(operator, "backup"), cells(operator, "mail")
    assert backup["named"] == "backup tests.tasks.echo"
    assert "0 3 * * *" in backup["timing"]
    assert (backup["zone"], backup["queue_name"]) == ("Europe/Berlin", "reports")
    assert re.fullmatch(r"(\d+ \w+ (\d{4} )?)?\d\d:\d\d in .+", backup["next_run"])
    assert (backup["last_run"], backup["current_state"]) == ("–", "enabled")
    assert "300 s" in mail["timing"]
    assert mail["zone"] == "–"
    assert re.fullmatch(r"finished \d\d:\d\d (\d s ago|now) ✓", mail["last_run"])
    page = operator.get(LIST).text
    assert f'href="/admin/django_rq/dashboard/queues/0/{job.id}/"' in page or (
        f'href="/django-rq/queues/0/{job.id}/"' in page
    )
    assert re.search(r'<time datetime="[^"]+" title="[^"]*\d\d:\d\d:\d\d[^"]*">', page)


def test_an_outcome_is_that_of_the_job(connection: Redis, schedule: Make, operator: Client) -> None:
    job = schedule("failing", args=("x",)).enqueue(connection)
    assert cells(operator, "failing")["last_run"].startswith("queued")
    connection.hset(job.key, "status", "failed")
    assert cells(operator, "failing")["last_run"].startswith("failed")
    Job.fetch(job.id, connection).delete()
    assert cells(operator, "failing")["last_run"].startswith("unknown")


def test_the_last_ten_outcomes_are_marks_with_a_text(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    job = schedule("often")
    statuses = ["failed", "started", *["finished"] * 7, "stopped", "queued"]
    for place, status in enumerate(statuses):
        run = job.enqueue(connection)
        connection.hset(run.key, "status", status)
        moment = datetime(2026, 3, 1, 9, place, tzinfo=timezone.utc)
        connection.zadd(history_key("often"), {run.id: moment.timestamp()})
        connection.hdel(IN_FLIGHT, run.id)
    page = operator.get(LIST).text
    (label,) = re.findall(r'role="img" aria-label="([^"]*)"', page)
    assert label == "Last runs, oldest first: " + ", ".join(statuses[1:])
    marks = re.findall(r'<i class="rediscron-mark (\w+)" title="([^"]*)">(.)</i>', page)
    assert [status for status, _title, _sign in marks] == statuses[1:]
    assert marks[0] == ("started", "started, 2026-03-01 09:01:00", "▸")
    assert len({sign for _status, _title, sign in marks}) == 4


def test_the_runs_of_all_rows_take_as_many_round_trips_as_those_of_one(
    connection: Redis, schedule: Make, operator: Client, round_trips: RoundTrips
) -> None:
    schedule("a").enqueue(connection)
    schedule("never ran")
    few = round_trips(partial(operator.get, LIST))
    for number in range(17):
        schedule(f"{number}").enqueue(connection)
    assert round_trips(partial(operator.get, LIST)) == few > 0


def test_states_and_their_reasons(connection: Redis, schedule: Make, operator: Client) -> None:
    schedule("off", enabled=False)
    schedule("wrong")
    connection.hset("rq:cron_job:wrong", "func_name", "tests.tasks.gone")
    schedule("late")
    long_ago = datetime.now(timezone.utc) - timedelta(minutes=3)
    connection.hset(
        "rq:cron_job:late", "next_enqueue_time", long_ago.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    )
    assert cells(operator, "late")["next_run"].endswith("late by 3 min")
    RedisCronScheduler(connection).start(burst=True)
    off, wrong = cells(operator, "off"), cells(operator, "wrong")
    assert (off["current_state"], off["next_run"]) == ("disabled", "–")
    assert wrong["current_state"].startswith("error")
    assert "tests.tasks.gone" in wrong["current_state"]
    assert shown(operator, state="error") == ["wrong"]
    assert shown(operator, state="disabled") == ["off"]
    assert shown(operator, state="enabled") == ["late"]


def test_damaged_schedules_are_shown(connection: Redis, schedule: Make, operator: Client) -> None:
    schedule("healthy", enabled=False)
    connection.hset("rq:cron_job:json", mapping={"id": "json", "args": "[nope", "func_name": "a.b"})
    connection.set("rq:cron_job:string", "x")
    connection.hset(b"rq:cron_job:\xff\xfe", mapping={"id": b"\xff\xfe", "queue_name": b"\xff"})
    connection.zadd("rq:cron_jobs", {"json": 1, "string": 1, b"\xff\xfe": 1, "stale": 1})
    assert shown(operator) == [r"\xff\xfe", "healthy", "json", "string"]
    assert cells(operator, "string")["current_state"].startswith("error")
    RedisCronScheduler(connection).start(burst=True)
    for id in ("json", "string", r"\xff\xfe"):
        assert id in shown(operator, state="error")
        operator.post(LIST, {"action": "delete_selected", "_selected_action": id, "post": "yes"})
    assert shown(operator) == ["healthy"]
    assert set(connection.keys("rq:cron_job:*")) == {b"rq:cron_job:healthy"}


def test_names_of_rqs_own_cron_are_no_schedules(connection: Redis, operator: Client) -> None:
    connection.zadd("rq:cron_jobs", {"theirs": 1})
    connection.zadd("rq:cron_job:theirs:jobs", {"job": 1})
    assert shown(operator) == []
    assert connection.zscore("rq:cron_jobs", "theirs") == 1


def test_search_filters_and_order(schedule: Make, operator: Client) -> None:
    schedule("mail:daily", queue_name="reports")
    schedule("mail:weekly", interval=60, tags=["ops"])
    schedule("Backup", func_name="tests.tasks.make_nested", cron="0 3 * * *", tags=["ops", "x:y"])
    schedule("join", func_name="os.path.join", enabled=False)
    assert shown(operator) == ["Backup", "join", "mail:daily", "mail:weekly"]
    assert shown(operator, q="MAIL") == ["mail:daily", "mail:weekly"]
    assert shown(operator, q="mail week") == ["mail:weekly"]
    assert shown(operator, q="nested") == ["Backup"]
    assert shown(operator, queue="reports") == ["mail:daily"]
    assert shown(operator, tag="ops") == ["Backup", "mail:weekly"]
    assert shown(operator, tag="op") == []
    assert shown(operator, q="x:y") == ["Backup"]
    assert '"?tag=x%3Ay"' in operator.get(LIST).text
    assert shown(operator, source="code") == []
    assert len(shown(operator, source="runtime")) == 4
    assert shown(operator, app="tests.app") == []
    assert shown(operator, app="-") == ["Backup", "join", "mail:daily", "mail:weekly"]
    assert shown(operator, queue="default", q="mail", state="enabled") == ["mail:weekly"]
    by_next_run = ["mail:daily", "mail:weekly", "Backup", "join"]
    assert shown(operator, o="3") == by_next_run
    assert shown(operator, o="-3") == [*by_next_run[2::-1], "join"]
    assert shown(operator, o="1", q="<script>") == []


def test_filters_by_next_run(schedule: Make, operator: Client, settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = True, "Asia/Tokyo"
    moment = datetime.now(timezone.utc)
    evening = moment.astimezone(ZoneInfo("Asia/Tokyo")).replace(hour=20, minute=0)
    if moment.astimezone(evening.tzinfo).hour < 8:
        evening -= timedelta(days=1)
    morning = evening + timedelta(hours=11, minutes=59)
    for id, time in {
        "soon": moment + timedelta(minutes=50),
        "night": max(morning, moment + timedelta(seconds=30)),
        "after": evening + timedelta(days=1),
        "far": datetime(2040, 1, 1, 12, tzinfo=timezone.utc),
    }.items():
        schedule(id, start_at=time)
    schedule("off", start_at=moment + timedelta(minutes=50), enabled=False)
    assert "soon" in shown(operator, next="hour")
    assert not {"after", "far", "off"} & set(shown(operator, next="hour"))
    assert "night" in shown(operator, next="tonight")
    assert not {"after", "far", "off"} & set(shown(operator, next="tonight"))
    assert shown(operator, next="nonsense") == []
    typed = {"next_from": "2040-01-01T20:00", "next_until": "2040-01-01T21:00"}
    assert shown(operator, **typed) == ["far"]  # 21:00 in Tokyo
    assert shown(operator, **{**typed, "next_until": "2040-01-01T20:59"}) == []
    page = operator.get(LIST, {**typed, "q": "<f", "p": "1"}).text
    assert '<input type="hidden" name="q" value="&lt;f">' in page
    assert 'value="2040-01-01T20:00"' in page
    assert "must be a time such as" in operator.get(LIST, {"next_from": "<soon>"}).text


def test_filters_by_the_last_outcome(connection: Redis, schedule: Make, operator: Client) -> None:
    rarely = {"cron": "0 0 1 1 *"}
    for status in ("finished", "failed", "started", "deferred"):
        job = schedule(status, **rarely).enqueue(connection)
        connection.hset(job.key, "status", status)
    schedule("never", **rarely)
    Job.fetch(schedule("gone", **rarely).enqueue(connection).id, connection).delete()
    failing = {"func_name": "tests.tasks.fail", "queue_name": "reports", **rarely}
    ended = schedule("recorded", **failing).enqueue(connection)
    SimpleWorker([Queue("reports", connection=connection)], connection=connection).work(burst=True)
    assert ended.get_status() == "failed"
    assert shown(operator, outcome="failed") == ["failed", "recorded"]
    RedisCronScheduler(connection).start(burst=True)
    assert connection.hexists(IN_FLIGHT, ended.id) == 0
    ended.delete()
    assert "recorded" in shown(operator, outcome="failed")
    assert shown(operator, outcome="never") == ["never"]
    for id in shown(operator):
        said = cells(operator, id)["last_run"].split()[0]
        if id != "never":
            assert id in shown(operator, outcome=said), id


def test_an_empty_list_says_why_and_what_to_do(
    schedule: Make, operator: Client, client_with: Callable[..., Client]
) -> None:
    page = operator.get(LIST).text
    assert "No schedules yet." in page
    assert f'<a href="{LIST}add/">Add one</a>' in page
    assert "Add one" not in client_with("view").get(LIST).text
    schedule("a")
    for query in ({"q": "b"}, {"state": "disabled"}, {"next_from": "2040-01-01T20:00"}):
        page = operator.get(LIST, query).text
        assert "No schedule matches the search and filters." in page
        assert '<a href="?">Show all schedules</a>' in page
    assert "No schedule" not in operator.get(LIST, {"q": "a"}).text.replace("No scheduler", "")


@pytest.mark.parametrize("query", ["cron__regex=.", "nonsense=1", "o=99.x", "p=7", "id__in=a"])
def test_a_hand_made_query_is_no_error(query: str, schedule: Make, operator: Client) -> None:
    schedule("a")
    response = operator.get(f"{LIST}?{query}", follow=True)
    assert response.status_code in (200, 400)


def test_nothing_that_people_wrote_is_html(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    evil = "<script>alert(1)</script>"
    schedule(f"id{evil}", queue_name="default", args=(evil,), description=evil)
    connection.hset(
        f"rq:cron_job:id{evil}", mapping={"timezone": evil, "cron": "", "func_name": evil}
    )
    connection.hset(f"rq:cron_job:id{evil}", mapping={"queue_name": evil, "last_error": evil})
    connection.zadd(f"rq:cron_job:id{evil}:jobs", {evil: 1})
    connection.hset(f"rq:job:{evil}", mapping={"status": evil, "origin": evil})
    assert "alert(1)" in operator.get(LIST).text
    assert evil not in operator.get(LIST).text
    assert evil not in operator.get(LIST, {"queue": evil, "q": evil, "state": evil}).text
    answer = operator.post(f"{LIST}refresh/", {"id": f"id{evil}"}).json()
    assert evil not in "".join(answer["rows"][f"id{evil}"].values())
    assert evil not in answer["banner"]


def test_the_banner_tells_whether_a_scheduler_runs(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    assert "No scheduler is running" in operator.get(LIST).text
    scheduler = RedisCronScheduler(connection, name="prime")
    schedule("slow")
    scheduler.register_birth()
    page = operator.get(LIST).text
    assert "Scheduler running" in page
    assert "leader: prime (host" in page
    assert "last heartbeat" in page
    hour_ago = datetime.now(timezone.utc) - timedelta(hours=1)
    text = hour_ago.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    connection.hset("rq:cron_job:slow", "next_enqueue_time", text)
    connection.zadd("rq:cron_jobs", {"slow": hour_ago.timestamp()})
    page = operator.get(LIST).text
    assert "but schedules are late" in page
    assert "1 schedule is late, “slow” by 1 h" in page
    scheduler.register_death()
    assert "No scheduler is running" in operator.get(LIST).text


@pytest.mark.usefixtures("leader")
def test_the_banner_warns_of_queues_without_workers(
    connection: Redis, schedule: Make, operator: Client, settings: Any
) -> None:
    schedule("a")
    schedule("b", queue_name="reports")
    worker = SimpleWorker([Queue("reports", connection=connection)], connection=connection)
    worker.register_birth()
    page = operator.get(LIST).text
    assert "Scheduler running, but workers are missing" in page
    assert f'<a href="{LIST}?queue=default">no worker for queue “default”: its jobs wait' in page
    assert "no worker for queue “reports”" not in page
    connection.delete(worker.key)  # as when it was killed
    answer = operator.post(f"{LIST}refresh/", {"id": "a"}).json()
    assert "no worker for queue “reports”" in answer["banner"]
    settings.RQ_QUEUES = {
        name: {**each, "ASYNC": False} for name, each in settings.RQ_QUEUES.items()
    }
    assert "no worker" not in operator.get(LIST).text


ROUND_TRIPS = 21
"""Of a page, with all that it has to say."""


@pytest.mark.usefixtures("leader")
def test_a_page_takes_few_round_trips(
    connection: Redis, schedule: Make, operator: Client, round_trips: RoundTrips
) -> None:
    for queue in ("default", "reports"):
        schedule(queue, queue_name=queue).enqueue(connection)
        worker = SimpleWorker([Queue(queue, connection=connection)], connection=connection)
        worker.register_birth()
    query = {"next": "24h", "outcome": "queued", "times": "schedule"}
    assert round_trips(partial(operator.get, LIST)) <= ROUND_TRIPS
    assert round_trips(partial(operator.get, LIST, query)) <= ROUND_TRIPS


def test_the_page_asks_for_what_changed_in_its_rows(
    connection: Redis, schedule: Make, operator: Client, client_with: Callable[..., Client]
) -> None:
    schedule("a")
    schedule("b")
    url = operator.get(LIST).context["refresh_url"]
    schedule("a", enabled=False)
    job = schedule("b").enqueue(connection)
    answer = operator.post(url, {"id": ["a", "b", "c"]}).json()
    assert (sorted(answer["rows"]), answer["gone"]) == (["a", "b"], ["c"])
    assert "disabled" in answer["rows"]["a"]["current_state"]
    assert job.id in answer["rows"]["b"]["last_run"]
    assert "No scheduler is running" in answer["banner"]
    assert client_with("view").post(url, {"id": "a"}).status_code == 200
    assert client_with("add").post(url, {"id": "a"}).status_code == 403
    assert Client().post(url, {"id": "a"}).status_code == 302
    assert Client(enforce_csrf_checks=True).post(url, {"id": "a"}).status_code == 403


def test_a_page_reads_the_hashes_that_it_shows(
    connection: Redis, schedule: Make, operator: Client
) -> None:
    for number in range(150):
        schedule(f"{number:03}")
    operator.get(LIST)
    connection.config_resetstat()
    assert shown(operator, p="2") == [f"{number:03}" for number in range(100, 150)]
    calls = {name: stats["calls"] for name, stats in connection.info("commandstats").items()}
    assert calls["cmdstat_hgetall"] == 50 + 2  # and what is paused: for the list and the banner
    assert "cmdstat_scan" not in calls
    assert "cmdstat_keys" not in calls


def test_how_schedules_differ_from_the_code(
    declare: Callable[..., None],  # noqa: F811
    connection: Redis,
    schedule: Make,
    operator: Client,
) -> None:
    declare()
    schedule("other")
    assert shown(operator, state="overridden") == []
    assert (shown(operator, source="code"), shown(operator, source="runtime")) == (
        ["job"],
        ["other"],
    )
    job = RedisCronJob.fetch("job", connection)
    job.interval = 900
    job.save()
    connection.hset("rq:cron_job:job", "orphaned_at", "2026-06-03T05:40:00.000000Z")
    connection.hset("rq:cron_job:job", "locked", "1")
    assert cells(operator, "job")["current_state"] == "enabled orphan overridden locked"
    assert shown(operator, state="overridden") == shown(operator, state="orphan") == ["job"]
    page = operator.post(
        LIST, {"action": "delete_selected", "_selected_action": "job", "post": "y"}
    )
    assert "locked by the code" in page.text
    assert shown(operator) == ["job", "other"]
