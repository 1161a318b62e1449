"""Why a schedule did not run yet, and how it ran, with real workers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from rq.job import Job
from rq.utils import now

from django_rediscron import Answer, RedisCronScheduler, why
from django_rediscron.core.schedule.texts import parse_time
from django_rediscron.core.store.keys import LOCK
from django_rediscron.core.story.following import Following
from tests import tasks
from tests.clock import set_clock
from tests.processes import running_scheduler, wait_until, working


def run(leader: RedisCronScheduler, func: Any, **options: Any) -> Job:
    """Register a schedule that is due at once, and enqueue it."""
    leader.register(func, "metrics", id="report", interval=3600, **options)
    assert len(leader.enqueue_jobs()) == 1
    (job_id,) = leader.connection.zrange("rq:cron_job:report:jobs", -1, -1)
    return Job.fetch(job_id.decode(), connection=leader.connection)


def latest(connection: Redis) -> Answer:
    return why("report", None, connection)[0]


def awaited(connection: Redis, job: Job, status: str) -> None:
    wait_until(lambda: job.get_status() == status, timeout=50)


def test_a_run_from_its_queue_to_its_end(
    connection: Redis, redis_url: str, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.rpush("rq:queue:metrics", "another job")
    job = run(leader, tasks.wait_for_release, args=("release",), max_runtime=60)
    answer = latest(connection)
    assert answer.verdict == "waiting"
    assert answer.run is not None
    assert answer.run.job_id == job.id
    assert "at position 2 of 2; no worker listens on it" in answer.sentence
    connection.lrem("rq:queue:metrics", 0, "another job")
    with working(redis_url, name="busy bee", heartbeat_ttl=60):
        connection.blpop(["release:started"], timeout=50)
        leader.register(tasks.echo, "metrics", id="other", interval=3600)
        leader.enqueue_jobs()
        behind = why("other", None, connection)[0]
        assert behind.facts["workers"] == ["busy bee"]
        assert "position 1 of 1; 1 worker listens on it: busy bee" in behind.sentence
        awaited(connection, job, "started")
        answer = latest(connection)
        assert answer.verdict == "running"
        assert "has been running since" in answer.sentence
        assert "on worker busy bee" in answer.sentence
        assert "max_runtime" not in answer.sentence
        with monkeypatch.context() as patch:
            set_clock(patch, now() + timedelta(minutes=10))
            assert "longer than its max_runtime" in latest(connection).sentence
        connection.rpush("release", "go")
        awaited(connection, job, "finished")
        wait_until(lambda: "finished after" in latest(connection).sentence, timeout=50)
    answer = latest(connection)
    assert answer.verdict == "ran"
    assert ", and finished after " in answer.sentence
    follow(leader)
    assert latest(connection) == answer
    connection.delete(job.key)
    assert latest(connection) == answer


def follow(leader: RedisCronScheduler) -> None:
    """The leader looks at the jobs in flight."""
    token = leader.connection.get(LOCK).decode()
    assert Following(leader.connection).sweep(token)


def test_a_run_that_is_tried_again_and_fails(
    connection: Redis, redis_url: str, leader: RedisCronScheduler
) -> None:
    job = run(leader, tasks.fail, retry={"max": 1, "intervals": [3600]})
    with working(redis_url, heartbeat_ttl=60):
        awaited(connection, job, "scheduled")
        told = "waits for another attempt after 1"
        wait_until(lambda: told in latest(connection).sentence, timeout=50)
        assert latest(connection).verdict == "waiting"
        job.refresh()
        job.set_status("queued")
        connection.rpush("rq:queue:metrics", job.id)
        awaited(connection, job, "failed")
        wait_until(lambda: "ValueError" in latest(connection).sentence, timeout=50)
    answer = latest(connection)
    assert answer.verdict == "ran"
    assert "failed" in answer.sentence
    assert "in attempt 2" in answer.sentence
    assert "ValueError: it failed, with a reason" in answer.sentence


def test_a_job_that_vanished_may_have_run(connection: Redis, leader: RedisCronScheduler) -> None:
    job = run(leader, tasks.echo)
    connection.delete(job.key)
    answer = latest(connection)
    assert answer.verdict == "ran"
    assert "how it ended is unknown" in answer.sentence


def test_a_run_by_hand_is_no_occurrence(connection: Redis, leader: RedisCronScheduler) -> None:
    schedule = leader.register(tasks.echo, "metrics", id="report", cron="0 0 1 1 *")
    schedule.enqueue(connection)
    assert why("report", now(), connection)[0].verdict == "none"


@pytest.mark.slow
def test_each_second_of_a_leader_that_is_killed(connection: Redis, redis_url: str) -> None:
    """The next one runs what is due then, which stands for what was missed."""
    begin = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=1)
    RedisCronScheduler(connection).register(
        tasks.echo, "metrics", id="report", cron="* * * * * *", timezone="UTC"
    )
    with running_scheduler(redis_url, "first", lock_ttl=2) as first:
        wait_until(lambda: connection.llen("rq:queue:metrics") >= 3, timeout=30)
        first.kill()
        first.wait()
    killed = connection.llen("rq:queue:metrics")
    wait_until(lambda: not connection.exists(LOCK), timeout=30)
    with running_scheduler(redis_url, "second"):
        wait_until(lambda: connection.llen("rq:queue:metrics") >= killed + 2, timeout=30)
    ran = {occurrence_of(job_id, connection) for job_id in job_ids(connection)}
    times = [time for time in seconds(begin, max(ran)) if time >= min(ran)]
    told = {time: why("report", time, connection)[0] for time in times}
    missed = [answer for answer in told.values() if answer.verdict == "missed"]
    assert {time for time in times if told[time].verdict == "waiting"} == ran
    assert len(missed) + len(ran) == len(times)
    assert missed
    assert all("(catch_up='latest')" in answer.sentence for answer in missed)
    assert all("first died" in answer.sentence for answer in missed[1:])
    assert why("report", None, connection)[-1].verdict == "coming"


def job_ids(connection: Redis) -> list[str]:
    return [job_id.decode() for job_id in connection.zrange("rq:cron_job:report:jobs", 0, -1)]


def occurrence_of(job_id: str, connection: Redis) -> datetime:
    return parse_time(connection.hget(f"rq:job:{job_id}", "occurrence").decode())


def seconds(first: datetime, last: datetime) -> list[datetime]:
    return [first + timedelta(seconds=n) for n in range(int((last - first).total_seconds()) + 1)]
