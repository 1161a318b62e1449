"""What one part of a page says agrees with the others, and reads alike in all languages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from html import unescape
from typing import Any

import pytest
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob, RedisCronScheduler, pause
from django_rediscron.admin.changelist.columns import last_run
from django_rediscron.core.timing.cron_times import occurrence_delay, utc_text
from django_rediscron.models import Schedule
from django_rediscron.query import LatestRun

from .conftest import LIST
from .forms import change_url, load, send
from .test_actions import act
from .test_list import cells, shown

Make = Callable[..., RedisCronJob]


def due_since(connection: Redis, job: RedisCronJob, seconds: float) -> None:
    """Let its next occurrence be that many seconds ago, with its delay behind it."""
    time = datetime.now(timezone.utc) - timedelta(seconds=seconds)
    connection.hset(f"rq:cron_job:{job.id}", "next_enqueue_time", utc_text(time))
    place = time.timestamp() + occurrence_delay(job.id, time, job.jitter)
    connection.zadd("rq:cron_jobs", {job.id: place})


@pytest.mark.usefixtures("leader")
def test_the_banner_and_the_rows_agree_on_what_is_late(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    due_since(connection, schedule("slow"), 20)
    due_since(connection, schedule("in time"), -60)
    due_since(connection, schedule("delayed", jitter=864000.0), 20)
    broken = schedule("broken")
    due_since(connection, broken, 20)
    connection.hset("rq:cron_job:broken", "last_error", "no such function")
    rows = {id: cells(operator, id)["next_run"] for id in shown(operator)}
    assert [id for id, text in rows.items() if "late" in text] == ["slow"]
    assert "1 schedule is late, “slow” by " in operator.get(LIST).text
    connection.delete("rq:cron_job:slow")
    assert "no schedule is late" in operator.get(LIST).text


@pytest.mark.usefixtures("leader")
def test_what_the_banner_counts_is_a_link_to_it(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    due_since(connection, schedule("slow"), 20)
    due_since(connection, schedule("in time"), 1)
    due_since(connection, schedule("delayed", jitter=864000.0), 20)
    due_since(connection, schedule("paused", queue_name="reports"), 20)
    pause(connection, "reports")
    page = operator.get(LIST).text
    assert f'<a href="{LIST}?next=late">1 schedule is late, “slow” by ' in page
    assert f'<a href="{LIST}?state=paused&amp;queue=reports">Queue “reports” is paused</a>' in page
    assert shown(operator, next="late") == ["slow"]
    assert shown(operator, state="paused", queue="reports") == ["paused"]
    pause(connection)
    assert "no schedule is late" in operator.get(LIST).text
    assert shown(operator, next="late") == []


def test_the_banner_and_the_filter_agree_on_errors(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    for id in ("broken", "off"):
        schedule(id)
        connection.hset(f"rq:cron_job:{id}", "func_name", "tests.tasks.gone")
    RedisCronScheduler(connection).start(burst=True)
    connection.hset("rq:cron_job:off", "enabled", "0")  # by a program that keeps no list of errors
    assert f'<a href="{LIST}?state=error">1 schedule in error</a>' in operator.get(LIST).text
    assert shown(operator, state="error") == ["broken"]


@pytest.mark.parametrize("allowed", [[], ["tests.tasks.gone"]])
def test_an_error_stands_once_in_the_state_of_its_schedule(
    allowed: list[str], operator: Client, schedule: Make, connection: Redis, settings: Any
) -> None:
    settings.REDISCRON = {"ALLOWED_FUNCTIONS": allowed}
    schedule("job")
    connection.hset("rq:cron_job:job", "func_name", "tests.tasks.gone")
    RedisCronScheduler(connection).start(burst=True)
    error = RedisCronJob.fetch("job", connection).last_error or "?"
    page = unescape(operator.get(change_url("job")).text)
    page = re.sub(r"<title>.*?</title>", "", page)  # seen only where one points at a mark
    state, _, answers = page.partition("Why did it run")
    assert (state.count(error), answers.partition("What happened")[2].count(error)) == (1, 1)


def test_the_last_run_is_what_the_list_sorts_by(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    """Runs by hand, too, though they do not move the schedule's own times."""
    for id in "abcd":
        schedule(id)
    moment = datetime(2026, 6, 1, tzinfo=timezone.utc)
    for id, minutes in (("a", 3), ("b", 1), ("c", 2)):
        time = utc_text(moment + timedelta(minutes=minutes))
        connection.hset(f"rq:cron_job:{id}", "latest_enqueue_time", time)
    connection.zadd("rq:cron_job:b:jobs", {"by hand": (moment + timedelta(minutes=9)).timestamp()})
    column = operator.get(LIST).context["cl"].list_display.index(last_run)
    assert shown(operator, o=str(column)) == ["c", "a", "b", "d"]
    assert shown(operator, o=f"-{column}") == ["b", "a", "c", "d"]
    ordered = Schedule.objects.order_by(LatestRun().desc(), "-id")
    assert [each.id for each in ordered] == ["b", "a", "c", "d"]


def test_an_id_is_written_as_it_is(operator: Client, schedule: Make, connection: Redis) -> None:
    connection.hset("rq:cron_job:mail", mapping={"id": "mail", "args": "[nope"})
    connection.zadd("rq:cron_jobs", {"mail": 1})
    told = act(operator, "enable_selected", "mail")
    assert any("“mail”" in each for each in told)
    assert not [each for each in told if each.startswith("mail")]


def test_queues_of_other_servers_are_not_offered(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job")
    connection.hset("rq:cron_job:job", "queue_name", "theirs")
    page = operator.get(LIST).text
    for name in ("default", "reports", "theirs"):
        assert f'"?queue={name}"' in page
    for name in ("elsewhere", "nowhere"):
        assert f'"?queue={name}"' not in page


def test_what_is_code_reads_from_left_to_right(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("job", func_name="tests.app.tasks.build_report", args=("x",), cron="0 3 * * *")
    declared = '{"cron":"0 4 * * *"}'
    connection.hset("rq:cron_job:job", mapping={"source": "code", "declared": declared})
    operator.cookies["django_language"] = "ar"
    assert 'dir="ltr">0 3 * * *</code>' in operator.get(LIST).text
    url = change_url("job")
    page = operator.get(url).text
    assert 'dir="ltr">0 3 * * *</code>' in page
    assert '<bdi dir="ltr">0 3 * * *</bdi></td><td><bdi dir="ltr">0 4 * * *</bdi>' in page
    for name in ("cron", "func_name", "args", "kwargs", "meta", "timezone", "jitter", "interval"):
        tag = page[page.rindex("<", 0, page.index(f' name="{name}"')) :].partition(">")[0]
        assert 'dir="ltr"' in tag, name
    assert send(operator, url, load(operator, url), cron="0 5 * * *").status_code == 302
