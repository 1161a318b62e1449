"""Queues and connections come from django-rq."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import override_settings
from django_rq import get_worker
from redis import Redis
from redis.sentinel import Sentinel
from rq.serializers import JSONSerializer

from django_rediscron import InvalidScheduleError, RedisCronJob, UnknownQueueError, get_scheduler
from django_rediscron.core.store.connections import same_server, server
from django_rediscron.core.store.keys import job_key
from django_rediscron.queues import get_connection, get_queue

from .app.queues import ReportJob, ReportQueue
from .tasks import echo

pytestmark = pytest.mark.usefixtures("rq_queues")


# Queues


def test_a_run_has_what_rq_queues_says_of_its_queue(connection: Redis) -> None:
    scheduler = get_scheduler()
    scheduler.register(echo, "reports", id="report", kwargs={"meta": 1}, interval=600)
    scheduler.start(burst=True)

    queue = get_queue("reports", connection)
    assert type(queue) is ReportQueue
    (job,) = queue.jobs
    assert type(job) is ReportJob
    assert (job.timeout, job.result_ttl, job.kwargs) == (111, 77, {"meta": 1})
    assert job.serializer is JSONSerializer


def test_a_worker_of_django_rq_runs_it(connection: Redis) -> None:
    scheduler = get_scheduler()
    scheduler.register(echo, "default", id="plain", args=(1,), kwargs={"job_id": "x"}, interval=60)
    scheduler.start(burst=True)
    (job,) = get_queue("default", connection).jobs

    get_worker("default").work(burst=True, logging_level="ERROR")

    assert job.return_value() == {"args": [1], "kwargs": {"job_id": "x"}}


def test_an_unknown_queue_is_refused(connection: Redis) -> None:
    with pytest.raises(UnknownQueueError, match=r"'reprots' is not in RQ_QUEUES .*'default'"):
        get_scheduler("reprots")
    with pytest.raises(UnknownQueueError, match="'reprots' is not in RQ_QUEUES"):
        get_scheduler().register(echo, "reprots", id="report", interval=600)
    assert connection.keys() == []


# Schedulers


def test_a_scheduler_takes_its_settings_from_rediscron() -> None:
    assert (get_scheduler().lock_ttl, get_scheduler().max_sleep_interval) == (30, 60.0)
    assert (get_scheduler().keep_runs, get_scheduler().late_after) == (100, 60.0)
    given = {"QUEUE": "elsewhere", "LOCK_TTL": 7, "KEEP_RUNS": 5, "LATE_AFTER": "5m"}
    with override_settings(REDISCRON=given):
        scheduler = get_scheduler(max_sleep_interval=1.5, name="seven")
    assert (scheduler.lock_ttl, scheduler.max_sleep_interval) == (7, 1.5)
    assert (scheduler.keep_runs, scheduler.late_after) == (5, 300)
    assert scheduler.name == "seven"
    assert same_server(scheduler.connection, get_connection("elsewhere"))


@pytest.mark.parametrize("queue_name", ["elsewhere", "nowhere"])
def test_a_queue_of_another_redis_is_refused(connection: Redis, queue_name: str) -> None:
    with pytest.raises(UnknownQueueError, match=f"{queue_name!r} lives on another Redis"):
        get_scheduler().register(echo, queue_name, id="far", interval=600)
    with pytest.raises(UnknownQueueError, match="lives on another Redis"):
        RedisCronJob("far", queue_name, func=echo, interval=5, connection=connection).save()
    assert connection.keys() == []


def test_a_schedule_is_not_enqueued_where_no_worker_of_its_queue_looks(
    connection: Redis,
) -> None:
    """Its queue moved to another Redis after it was registered."""
    scheduler = get_scheduler()
    scheduler.register(echo, "default", id="moved", interval=600)
    connection.hset(job_key("moved"), "queue_name", "elsewhere")
    scheduler.start(burst=True)

    assert not connection.exists("rq:queue:elsewhere")
    assert "another Redis" in str(RedisCronJob.fetch("moved", connection).last_error)


def test_result_ttl_is_the_queues(connection: Redis) -> None:
    scheduler = get_scheduler()
    for queue_name, given, kept in (
        ("reports", None, 77),
        ("reports", 0, 0),
        ("default", None, 500),
    ):
        scheduler.register(echo, queue_name, id="report", interval=600, result_ttl=given)
        assert RedisCronJob.fetch("report", connection).job_options["result_ttl"] == kept


def test_get_scheduler_refuses_a_lock_without_life() -> None:
    with pytest.raises(ValueError, match="lock_ttl must be a positive number"):
        get_scheduler(lock_ttl=0)
    assert not issubclass(ValueError, InvalidScheduleError)


# Which Redis


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("redis://localhost:6390/2", {"host": "127.0.0.1", "port": "6390", "db": 2}),
        ("redis://:pw@LOCALHOST/", {"host": "localhost", "port": 6379, "db": 0}),
        ("rediss://user:pw@example.com:1/3", {"host": "example.com", "port": 1, "db": 3}),
        ("unix:///run/redis.sock?db=1", {"unix_socket_path": "/run/redis.sock", "db": 1}),
    ],
)
def test_one_server_written_in_two_ways(one: str, other: dict[str, Any]) -> None:
    # Nobody listens there: the addresses are enough.
    assert same_server(Redis.from_url(one, db=None), Redis(**other))


def test_sentinels_are_one_server_by_service_and_sentinels() -> None:
    def master(*sentinels: tuple[str, int], name: str = "main", db: int | None = None) -> Any:
        return server(Sentinel(list(sentinels), db=db).master_for(name))

    one, two = ("localhost", 26379), ("10.0.0.2", 26379)
    assert master(one, two) == master(two, ("127.0.0.1", 26379), db=0)
    assert master(one, two) != master(one, two, name="other")
    assert master(one, two) != master(one, two, db=1)


def test_names_that_differ_are_one_server_if_the_server_says_so(redis_url: str) -> None:
    # The same address in another notation, which only the server can tell.
    alias = Redis.from_url(redis_url)
    other_database = Redis.from_url(redis_url)
    for client in (alias, other_database):
        client.connection_pool.connection_kwargs["host"] = "127.1"
    options = other_database.connection_pool.connection_kwargs
    options["db"] = int(options.get("db") or 0) ^ 1

    assert server(alias) != server(Redis.from_url(redis_url))
    assert same_server(alias, Redis.from_url(redis_url))
    assert not same_server(other_database, Redis.from_url(redis_url))


def test_cron_is_read_in_the_zone_of_settings_that_come_from_no_module() -> None:
    code = """
import django
from django.conf import settings
settings.configure(
    TIME_ZONE="Asia/Tokyo",
    INSTALLED_APPS=["django_rq", "django_rediscron"],
    RQ_QUEUES={"default": {"HOST": "127.0.0.1", "PORT": 1}},
)
django.setup()
from datetime import timezone
from django_rediscron import RedisCronJob
job = RedisCronJob("a", "default", func_name="os.getpid", cron="0 8 * * *")
print(next(iter(job.upcoming(1))).astimezone(timezone.utc).time())
"""
    environment = {**os.environ, "TZ": "America/New_York"}
    del environment["DJANGO_SETTINGS_MODULE"]
    printed = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert printed == "23:00:00\n"
