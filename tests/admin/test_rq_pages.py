"""What RQ's monitoring and django-rq's pages show of schedules and of the jobs they enqueue.

Seen to fail without `cron_jobs` in `Session.fields`, without the limit, with all expressions taken
for readable, and without the template of the page of a job.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse
from redis import Redis
from rq import Queue
from rq.cron import CronJob, CronScheduler

from django_rediscron import RedisCronJob, RedisCronScheduler
from django_rediscron.admin.display import job_url
from django_rediscron.core.process import rq_pages
from django_rediscron.core.process.rq_pages import RqPages
from django_rediscron.core.store.keys import scheduler_key
from tests import tasks
from tests.processes import wait_until
from tests.test_notifying import leading

YEAR = 365 * 86400

Make = Callable[..., RedisCronJob]


def shown(connection: Redis) -> dict[str, dict[str, object]]:
    """What is read of all schedules, by id, as the entry of a scheduler has it."""
    pages = RqPages(connection)
    while not pages.step():
        pass
    return {entry["name"]: entry for entry in json.loads(pages.jobs)}


def scheduler_url(name: str) -> str:
    """Of django-rq's page, which has another name below the admin."""
    try:
        return reverse("admin:django_rq_cron_scheduler_detail", args=[0, name])
    except NoReverseMatch:
        return reverse("rq_cron_scheduler_detail", args=[0, name])


def test_rq_lists_the_schedules_of_a_leader(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection, name="editor")
    scheduler.register(tasks.echo, "default", id="a/b", interval=YEAR, args=("x",), job_timeout=9)
    scheduler.register(tasks.echo, "reports", id="daily", cron="0 5 * * *", timezone="Asia/Tokyo")
    scheduler.register(tasks.echo, "reports", id="off", interval=YEAR, enabled=False)
    with leading(connection):
        wait_until(lambda: connection.hget(scheduler_key("one"), "cron_jobs") not in (None, b"[]"))
        (entry,) = CronScheduler.all(connection)
        assert entry.name == "one"
    assert {(job.queue_name, job.interval, job.cron) for job in entry.get_jobs()} == {
        ("default", YEAR, None),
        ("reports", None, "0 5 * * *"),
    }
    (timed,) = (job for job in entry.get_jobs() if job.interval)
    assert (timed.args, timed.job_options["job_timeout"]) == (("x",), 9)
    assert timed.latest_enqueue_time is not None
    (daily,) = (job for job in entry.get_jobs() if job.cron)
    assert daily.next_enqueue_time == RedisCronJob.fetch("daily", connection).next_enqueue_time


def test_django_rq_shows_the_schedules_of_a_leader(connection: Redis, admin_client: Client) -> None:
    RedisCronScheduler(connection, name="editor").register(
        tasks.echo, "default", id="a/b", interval=YEAR
    )
    with leading(connection):
        wait_until(lambda: connection.hget(scheduler_key("one"), "cron_jobs") not in (None, b"[]"))
        page = admin_client.get(scheduler_url("one")).text
    assert "No persisted cron jobs" not in page
    assert "a/b" in page or "Cron Jobs" not in page  # django-rq 3 shows no jobs there


def test_the_entry_holds_what_runs_next_and_no_secrets(
    connection: Redis,
) -> None:
    scheduler = RedisCronScheduler(connection)
    for id, seconds in (("late", 3), ("soon", 1), ("next", 2)):
        secret = {"token": "s3"}
        scheduler.register(tasks.echo, "default", id=id, cron="0 0 1 1 *", kwargs=secret)
        connection.zadd("rq:cron_jobs", {id: 4102444800 + seconds})
    scheduler.register(tasks.echo, "default", id="long", interval=YEAR, args=("x" * 9999,))
    found = shown(connection)
    assert list(found) == ["long", "soon", "next", "late"]
    assert (found["long"]["args"], found["soon"]["kwargs"]) == ('["..."]', '{"token": "********"}')


def test_the_entry_is_limited(
    connection: Redis, schedule: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rq_pages, "LISTED", 3)
    monkeypatch.setattr(rq_pages, "SLICE", 2)
    for number in range(5):
        schedule(f"{number}")
    assert list(shown(connection)) == ["0", "1", "2"]


def test_one_that_rq_cannot_read_takes_none_of_the_others_away(
    connection: Redis, schedule: Make
) -> None:
    schedule("good")
    for id, cron in (("bad", "* * * * * * * * *"), ("damaged", "")):
        schedule(id)
        connection.hset(f"rq:cron_job:{id}", mapping={"cron": cron, "interval": ""})
    connection.zadd("rq:cron_jobs", {"name-of-rq": 1.0, "gone": 2.0})
    schedule("weekday", interval=None, cron="0 0 15W * *")  # too much for croniter 2
    found = shown(connection)
    assert [CronJob.from_dict(entry).queue_name for entry in found.values()]
    assert list(found) in (["good"], ["good", "weekday"])


def test_saving_jobs_data_writes_nothing(connection: Redis, leader: RedisCronScheduler) -> None:
    leader.register(tasks.echo, "default", id="a", interval=YEAR)
    before = connection.hgetall(leader.key)
    leader.save_jobs_data()
    assert connection.hgetall(leader.key) == before


def test_the_page_of_a_job_links_to_its_schedule(
    connection: Redis, schedule: Make, client_with: Callable[..., Client], admin_client: Client
) -> None:
    job = schedule("a/b c", queue_name="default").enqueue(connection)
    url = job_url("default", job.id)
    link = '<a href="/admin/django_rediscron/schedule/a_2Fb%20c/change/">a/b c</a>'
    assert url is not None
    assert link in admin_client.get(url).text
    assert link not in client_with().get(url).text
    other = Queue("default", connection=connection).enqueue(tasks.echo)
    assert "Schedule: " not in admin_client.get(job_url("default", other.id)).text
