"""Jobs of queues with `ASYNC: False` run in the process that enqueues them, and have one outcome.

Seen to fail, each with this taken out: `write_unqueued` before the run (the job as RQ left it was
overwritten), the script `note_end`, `_registered`, `is_full` in `Occurrences`, the first line of
`is_listed`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from redis import Redis
from redis.exceptions import NoPermissionError
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry

from django_rediscron import RedisCronJob, RedisCronScheduler, get_scheduler
from django_rediscron.core.story.runs import read_runs
from tests import tasks
from tests.clock import Clock, set_clock
from tests.processes import close, start_python, wait_until

pytestmark = pytest.mark.usefixtures("rq_queues", "connection")

NOON = datetime(2026, 3, 23, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
YEAR = 365 * 86400

RUN_NOW = """
import django
django.setup()
from django_rediscron import RedisCronJob, get_scheduler
from django_rediscron.core.dispatch import run_now
run_now.HEARTBEAT, run_now.LIFE = 0.5, 2
connection = get_scheduler().connection
RedisCronJob.fetch("report", connection).enqueue(connection)
"""


def register(func: Callable[..., Any] = tasks.echo, **options: Any) -> RedisCronJob:
    timing = {} if "interval" in options else {"cron": "* * * * *"}
    return get_scheduler().register(func, "here", id="report", **{**timing, **options})


def run_in_code(connection: Redis, clock: Clock) -> None:
    job = RedisCronJob.fetch("report", connection).enqueue(connection)
    assert job.get_status(refresh=False) in (JobStatus.FINISHED, JobStatus.FAILED)


def run_in_the_admin(connection: Redis, clock: Clock) -> None:
    from django.contrib.auth.models import User

    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    done = client.post("/admin/django_rediscron/schedule/report/run/")
    (told,) = (str(message) for message in done.wsgi_request._messages)
    (job_id,) = RedisCronJob.fetch("report", connection).get_job_ids(connection)
    if "failed" in told:
        assert told.endswith(f"as job {job_id}, which failed: ValueError: it failed, with a reason")
    else:
        assert "ran as job" in told
        assert job_id in told


def run_by_schedule(connection: Redis, clock: Clock) -> None:
    clock.advance(MINUTE)
    scheduler = get_scheduler()
    scheduler.register_birth()
    assert len(scheduler.enqueue_jobs()) == 1
    scheduler.register_death()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, NOON)


@pytest.mark.django_db
@pytest.mark.parametrize("result_ttl", [0, 500, -1])
@pytest.mark.parametrize("func", [tasks.echo, tasks.fail])
@pytest.mark.parametrize("run", [run_in_code, run_in_the_admin, run_by_schedule])
def test_a_run_in_this_process_has_one_outcome(
    connection: Redis,
    clock: Clock,
    run: Callable[[Redis, Clock], None],
    func: Callable[..., Any],
    result_ttl: int,
) -> None:
    register(func, result_ttl=result_ttl, ttl=50, overlap="skip")
    run(connection, clock)

    (job_id,) = RedisCronJob.fetch("report", connection).get_job_ids(connection)
    (done,) = read_runs(["report"], connection)["report"]
    ttl = connection.ttl(f"rq:job:{job_id}")
    if func is tasks.fail:
        assert done.status == "failed"
        assert YEAR - 60 < ttl <= YEAR
    elif result_ttl == 0:
        assert (done.status, ttl) == ("", -2)
    else:
        assert done.status == "finished"
        assert ttl == -1 if result_ttl == -1 else 440 < ttl <= 500
    if done.status:
        assert done.duration is not None
        assert connection.hget(f"rq:job:{job_id}", "schedule_id") == b"report"
    else:
        assert connection.keys(f"rq:job:{job_id}*") == []
    assert connection.keys("rq:execution*") == []
    assert connection.llen("rq:queue:here") == connection.zcard("rq:wip:here") == 0
    # What has ended overlaps with nothing.
    run_by_schedule(connection, clock)
    assert len(RedisCronJob.fetch("report", connection).get_job_ids(connection)) == 2


def test_a_callback_that_raises_is_not_the_callers_trouble(
    connection: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    job = register(on_success=tasks.raising_callback).enqueue(connection)
    assert job.get_status() == JobStatus.FINISHED
    assert f"A callback of job {job.id} failed" in caplog.text


def test_a_scheduler_logs_what_failed_in_one_line(
    connection: Redis, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    register(tasks.fail)
    run_by_schedule(connection, clock)
    (record,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert record.getMessage().endswith("failed: ValueError: it failed, with a reason")
    assert record.exc_info is None


def test_a_run_whose_process_is_killed_is_abandoned_and_overlaps_no_more(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(tasks.wait_for_release, args=("release",), overlap="skip")
    process = start_python("-c", RUN_NOW, DJANGO_SETTINGS_MODULE="tests.settings", PYTHONPATH=".")
    started = connection.blpop(["release:started"], timeout=30)
    assert started is not None
    job = Job.fetch(started[1].decode(), connection)
    assert job.get_status() == JobStatus.STARTED
    life = connection.keys("rq:execution:*")
    first_sign = connection.hget(life[0], "last_heartbeat")
    wait_until(lambda: connection.hget(life[0], "last_heartbeat") != first_sign)
    clock.advance(MINUTE)
    assert leader.enqueue_jobs() == []  # it runs

    process.send_signal(signal.SIGKILL)
    process.wait()
    close(process.stdout)
    wait_until(lambda: not connection.exists(*life))
    registry = StartedJobRegistry("here", connection)
    (entry,) = connection.zrange("rq:wip:here", 0, -1)
    registry.cleanup(connection.zscore("rq:wip:here", entry) + 1)
    assert job.get_status() == JobStatus.FAILED
    connection.rpush("release", "go")
    clock.advance(MINUTE)
    assert len(leader.enqueue_jobs()) == 1


def test_a_run_that_never_began_is_looked_for_in_no_key_without_a_name(
    connection: Redis, clock: Clock, redis_url: str
) -> None:
    """Which a cluster refuses, and users who may use RQ's keys only."""
    register(overlap="skip")
    run_by_schedule(connection, clock)
    (job_id,) = RedisCronJob.fetch("report", connection).get_job_ids(connection)
    connection.hset(f"rq:job:{job_id}", "status", "queued")
    rules = ["on", ">password", "~rq:*", "&*", "+@all"]
    try:
        connection.execute_command("ACL", "SETUSER", "limited", *rules)
    except NoPermissionError:
        pytest.skip("the user in REDIS_URL may not make other users")
    server = urlsplit(redis_url).netloc.rpartition("@")[2]
    url = urlsplit(redis_url)._replace(netloc=f"limited:password@{server}").geturl()
    with Redis.from_url(url) as user:
        scheduler = RedisCronScheduler(user)
        scheduler.register_birth()
        clock.advance(MINUTE)
        assert scheduler.enqueue_jobs() == []
        job = RedisCronJob.fetch("report", user)
        assert (job.last_error, len(job.get_skips(user))) == (None, 1)
        scheduler.register_death()
    connection.execute_command("ACL", "DELUSER", "limited")


def test_a_process_that_dies_while_it_runs_one_loses_no_other(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    """Each is written when the one before it has ended: its function sees no other written."""
    scheduler = get_scheduler()
    for id in ("a", "b", "c"):
        scheduler.register(tasks.count_keys, "here", id=id, args=("rq:job:*",), interval=60)
    scheduler.register(
        tasks.count_keys, "here", id="d", args=("rq:job:*",), interval=60, catch_up="all"
    )
    clock.advance(3 * MINUTE)
    for job in leader.enqueue_jobs():
        assert job.next_enqueue_time is not None
    histories = [f"rq:cron_job:{id}:jobs" for id in "abcd"]
    ids = [id.decode() for key in histories for id in connection.zrange(key, 0, -1)]
    counts = [Job.fetch(id, connection).return_value() for id in ids]
    assert sorted(counts) == [1, 2, 3, 4, 5, 6, 7]
