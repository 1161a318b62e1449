"""Runs of one schedule that would overlap, by what real workers make of its jobs."""

from __future__ import annotations

import os
import signal
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job, JobStatus

from django_rediscron.core import RedisCronJob, RedisCronScheduler, Skip
from django_rediscron.core.dispatch.protocol import MISSING
from django_rediscron.core.story.skips import read_skips
from tests import tasks
from tests.clock import Clock, set_clock
from tests.processes import wait_until, working

pytestmark = pytest.mark.usefixtures("clock")

UTC = timezone.utc
NOON = datetime(2026, 3, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, NOON)


def register(scheduler: RedisCronScheduler, policy: str, **options: Any) -> RedisCronJob:
    timing = {} if "start_at" in options else {"cron": "* * * * *"}
    return scheduler.register(
        tasks.wait_for_release,
        "metrics",
        id="report",
        args=("release",),
        overlap=policy,  # type: ignore[arg-type]
        **{**timing, **options},
    )


def runs(leader: RedisCronScheduler, clock: Clock) -> int:
    """How many jobs the next minute brings."""
    clock.advance(MINUTE)
    return len(leader.enqueue_jobs())


def skips(connection: Redis) -> list[str]:
    """Oldest first."""
    job = RedisCronJob.fetch("report", connection)
    records = job.get_skips(connection)[::-1]
    assert all(skip.reason == "overlap" for skip in records)
    return [skip.occurrence.strftime("%H:%M") for skip in records]


def await_start(connection: Redis) -> str:
    started = connection.blpop(["release:started"], timeout=20)
    assert started is not None
    return started[1].decode()


def await_status(connection: Redis, job_id: str, status: JobStatus) -> None:
    wait_until(lambda: Job.fetch(job_id, connection=connection).get_status() == status)


def test_a_run_is_skipped_while_the_one_before_it_waits_or_runs(
    connection: Redis, redis_url: str, clock: Clock, leader: RedisCronScheduler
) -> None:
    job = register(leader, "skip")
    assert [runs(leader, clock), runs(leader, clock)] == [1, 0]  # it waits
    with working(redis_url):
        job_id = await_start(connection)
        assert [runs(leader, clock), runs(leader, clock)] == [0, 0]  # it runs
        connection.rpush("release", "go")
        await_status(connection, job_id, JobStatus.FINISHED)
        assert runs(leader, clock) == 1
        await_start(connection)
        connection.rpush("release", "go")
    assert skips(connection) == ["12:02", "12:03", "12:04"]
    stored = RedisCronJob.fetch("report", connection)
    assert stored.latest_enqueue_time == NOON + 5 * MINUTE
    assert stored.next_enqueue_time == NOON + 6 * MINUTE
    assert len(job.get_job_ids(connection)) == 2


def test_at_most_one_run_waits_while_another_runs(
    connection: Redis, redis_url: str, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader, "queue_one")
    assert runs(leader, clock) == 1
    with working(redis_url):
        await_start(connection)
        assert [runs(leader, clock), runs(leader, clock), runs(leader, clock)] == [1, 0, 0]
        connection.rpush("release", "go")
        await_start(connection)
        assert [runs(leader, clock), runs(leader, clock)] == [1, 0]
        connection.rpush("release", "go", "go")
        await_start(connection)
    assert skips(connection) == ["12:03", "12:04", "12:06"]


def test_runs_overlap_where_nothing_else_is_said(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader, "allow")
    assert [runs(leader, clock) for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("kind", ["Worker", "SimpleWorker"])
def test_a_worker_that_is_killed_blocks_its_schedule_only_while_its_heartbeat_lasts(
    connection: Redis, redis_url: str, clock: Clock, leader: RedisCronScheduler, kind: str
) -> None:
    register(leader, "skip")
    assert runs(leader, clock) == 1
    with working(redis_url, kind) as pid:
        job_id = await_start(connection)
        await_status(connection, job_id, JobStatus.STARTED)
        assert runs(leader, clock) == 0
        horse = connection.hget(f"rq:job:{job_id}", "worker_name")
        assert horse
        os.kill(pid, signal.SIGKILL)
        assert runs(leader, clock) == 0  # nobody can know yet
        wait_until(lambda: not connection.keys("rq:execution:*"))
        assert runs(leader, clock) == 1
        assert Job.fetch(job_id, connection=connection).get_status() == JobStatus.STARTED
    connection.rpush("release", "go")  # the work horse outlives its worker


def test_a_job_that_vanished_or_ended_in_any_way_does_not_block(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    job = register(leader, "skip")
    queue = Queue("metrics", connection=connection)
    for end in ("delete", "cancel", "flush", JobStatus.FAILED, JobStatus.STOPPED):
        assert [runs(leader, clock), runs(leader, clock)] == [1, 0], end
        latest = Job.fetch(job.get_job_ids(connection)[0], connection=connection)
        if isinstance(end, JobStatus):
            queue.remove(latest.id)
            latest.set_status(end)
        elif end == "flush":
            connection.delete("rq:queue:metrics", latest.key)
        else:
            getattr(latest, end)()
    assert runs(leader, clock) == 1


def test_a_job_that_is_lost_between_queue_and_worker_blocks_for_a_minute(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    """A worker took it out of the queue, and died before it said so."""
    job = register(leader, "skip")
    assert runs(leader, clock) == 1
    lost = connection.lpop("rq:queue:metrics")
    clock.advance(MINUTE)
    assert leader.enqueue_jobs() == []
    clock.advance(timedelta(seconds=MISSING))
    assert len(leader.enqueue_jobs()) == 1
    assert job.get_job_ids(connection)[1].encode() == lost
    # One that only seemed to be lost counts as waiting for as long as it waits.
    connection.delete("rq:queue:metrics")
    assert runs(leader, clock) == 0
    connection.rpush("rq:queue:metrics", job.get_job_ids(connection)[0])
    assert [runs(leader, clock) for _ in range(3)] == [0, 0, 0]


def test_a_job_in_the_intermediate_queue_waits(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader, "skip")
    assert runs(leader, clock) == 1
    connection.lmove("rq:queue:metrics", "rq:queue:metrics:intermediate")
    assert [runs(leader, clock) for _ in range(3)] == [0, 0, 0]


def test_a_job_that_rq_will_retry_later_has_not_ended(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    job = leader.register(
        tasks.tell_occurrence,
        "metrics",
        id="report",
        cron="* * * * *",
        kwargs={"fail_first": True},
        retry={"max": 1, "intervals": [3600]},  # type: ignore[arg-type]
        overlap="skip",
    )
    assert runs(leader, clock) == 1
    queue = Queue("metrics", connection=connection)
    SimpleWorker([queue], connection=connection).work(burst=True)
    (job_id,) = job.get_job_ids(connection)
    assert Job.fetch(job_id, connection=connection).get_status() == JobStatus.SCHEDULED
    assert runs(leader, clock) == 0


def test_a_run_by_hand_counts_and_jobs_of_another_queue_do_too(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    job = register(leader, "skip")
    job.enqueue(connection)
    assert runs(leader, clock) == 0
    job.queue_name = "elsewhere"
    job.save()
    assert runs(leader, clock) == 0
    assert job.enqueue(connection).origin == "elsewhere"  # people may


def test_what_was_missed_and_overlaps_is_skipped_but_for_the_first(
    connection: Redis, clock: Clock, leader: RedisCronScheduler
) -> None:
    register(leader, "skip", catch_up="all", max_runs=2)
    clock.advance(5 * MINUTE)
    assert len(leader.enqueue_jobs()) == 1
    assert skips(connection) == ["12:02", "12:03", "12:04", "12:05"]
    stored = RedisCronJob.fetch("report", connection)
    assert stored.runs == 1, "what did not run does not count"
    assert stored.latest_enqueue_time == NOON + MINUTE
    assert stored.next_enqueue_time == NOON + 6 * MINUTE
    connection.delete("rq:queue:metrics", *connection.keys("rq:job:*"))
    assert runs(leader, clock) == 1
    assert RedisCronJob.fetch("report", connection).state == "finished"
    assert runs(leader, clock) == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["12:02-12:06 overlap 5"]),
        ({"misfire_grace": 90}, ["12:02-12:04 misfire 3", "12:05-12:06 overlap 2"]),
        ({"catch_up": "skip"}, ["12:02-12:05 catch_up 4", "12:06-12:06 overlap 1"]),
    ],
)
def test_a_run_that_overlaps_is_skipped_with_those_that_it_stands_for(
    connection: Redis,
    clock: Clock,
    leader: RedisCronScheduler,
    options: dict[str, Any],
    expected: list[str],
) -> None:
    register(leader, "skip", **options)
    assert runs(leader, clock) == 1
    clock.advance(5 * MINUTE)
    assert leader.enqueue_jobs() == []
    records = reversed(read_skips(["report"], connection)["report"])
    assert [
        f"{each.occurrence:%H:%M}-{each.until:%H:%M} {each.reason} {each.count}"
        for each in records
        if isinstance(each, Skip)
    ] == expected


def test_jobs_of_a_custom_class_are_found_under_their_own_keys(
    connection: Redis, clock: Clock, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OwnJob(Job):
        redis_job_namespace_prefix = "own:job:"

    from django_rediscron.core.store.rq_queues import use_queue_factory

    use_queue_factory(lambda name, connection: Queue(name, connection=connection, job_class=OwnJob))
    job = register(leader, "skip")
    assert [runs(leader, clock), runs(leader, clock)] == [1, 0]
    connection.delete(f"own:job:{job.get_job_ids(connection)[0]}")
    assert runs(leader, clock) == 1
