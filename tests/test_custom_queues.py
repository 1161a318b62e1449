"""Queue and job classes of a project's own: their methods are called, and each run is once only.

Seen to fail, each with this taken out: `overridden` in `JobTemplate` and in `run_here` (the classes
were bypassed), the comparison before the commands in the script `dispatch` (a call that was sent
again enqueued twice), `_check`, the new statuses in OVERLAP.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from django_rediscron.core import InvalidScheduleError, RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch import custom_queues
from django_rediscron.core.store.rq_queues import overridden, use_queue_factory
from tests import tasks
from tests.app import queues
from tests.clock import Clock, set_clock

NOON = datetime(2026, 3, 23, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)

Use = Callable[..., None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(custom_queues, "_writing", set())
    return set_clock(monkeypatch, NOON)


@pytest.fixture
def use() -> Use:
    """Make all queues of this class; `any_queue` takes that back."""

    def use_class(kind: type[Queue], **options: Any) -> None:
        use_queue_factory(lambda name, connection: kind(name, connection=connection, **options))

    return use_class


def register(leader: RedisCronScheduler, id: str = "report", **options: Any) -> RedisCronJob:
    return leader.register(tasks.echo, "metrics", id=id, **{"cron": "* * * * *", **options})


def jobs(connection: Redis, id: str = "report", kind: type[Job] = Job) -> list[Job]:
    ids = RedisCronJob.fetch(id, connection).get_job_ids(connection)
    return [kind.fetch(job_id, connection) for job_id in ids]


def by_schedule(leader: RedisCronScheduler, clock: Clock) -> None:
    clock.advance(MINUTE)
    assert len(leader.enqueue_jobs()) == 1


def by_hand(leader: RedisCronScheduler, clock: Clock) -> None:
    RedisCronJob.fetch("report", leader.connection).enqueue(leader.connection)


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("run", [by_schedule, by_hand])
@pytest.mark.parametrize(
    ("kind", "tag"), [(queues.TaggingQueue, "tagged in metrics"), (queues.CallingQueue, "called")]
)
def test_the_class_of_a_queue_enqueues_each_run(
    connection: Redis,
    leader: RedisCronScheduler,
    clock: Clock,
    use: Use,
    kind: type[Queue],
    tag: str,
    run: Callable[[RedisCronScheduler, Clock], None],
    is_async: bool,
) -> None:
    use(kind, is_async=is_async)
    register(leader, args=("x",), max_runs=5, overlap="skip")
    run(leader, clock)
    if is_async:
        assert connection.llen("rq:queue:metrics") == 1
        SimpleWorker([Queue("metrics", connection=connection)], connection=connection).work(
            burst=True, logging_level="ERROR"
        )
    (job,) = jobs(connection)
    assert job.meta["tag"] == tag
    assert job.return_value() == {"args": ["x"], "kwargs": {}}
    assert connection.hget(job.key, "schedule_id") == b"report"
    # It goes on: what has ended overlaps with nothing, and runs are counted.
    by_schedule(leader, clock)
    assert len(jobs(connection)) == 2


def test_the_class_of_the_jobs_writes_each(
    connection: Redis, leader: RedisCronScheduler, clock: Clock, use: Use
) -> None:
    use(Queue, job_class=queues.PersistentJob)
    register(leader)
    for _ in range(2):
        by_schedule(leader, clock)
    for job in jobs(connection, kind=queues.PersistentJob):
        assert connection.hget(job.key, "tag") == f"saved {job.id}".encode()


def test_several_missed_runs_and_many_schedules(
    connection: Redis, leader: RedisCronScheduler, clock: Clock, use: Use
) -> None:
    use(queues.TaggingQueue)
    for number in range(3):
        register(leader, id=f"report {number}", catch_up="all")
    clock.advance(3 * MINUTE)
    assert len(leader.enqueue_jobs()) == 9
    assert leader.enqueue_jobs() == []
    assert connection.get("tagged") == b"9"
    occurrences = [
        connection.hget(job.key, "occurrence").decode()[11:16]
        for job in jobs(connection, "report 1")
    ]
    assert sorted(occurrences) == ["12:01", "12:02", "12:03"]


def test_a_call_whose_reply_was_lost_enqueues_once(
    connection: Redis,
    leader: RedisCronScheduler,
    clock: Clock,
    use: Use,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As redis-py sends it again."""
    use(queues.TaggingQueue)
    register(leader)
    clock.advance(MINUTE)
    send: Any = leader._session.client.execute_command
    sent = []

    def send_twice(*args: Any, **options: Any) -> Any:
        reply = send(*args, **options)
        if not args[0].startswith("EVAL"):
            return reply
        sent.append(args)
        return send(*args, **options)

    monkeypatch.setattr(leader._session.client, "execute_command", send_twice)
    assert len(leader.enqueue_jobs()) == 1
    assert len(sent) >= 2
    assert connection.get("tagged") == b"1"
    assert connection.llen("rq:queue:metrics") == len(jobs(connection)) == 1


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (queues.DirectQueue, "writes to Redis by itself"),
        (queues.PushingQueue, "writes to Redis by itself"),
        (queues.OldQueue, "could not enqueue it: TypeError"),
        (queues.IdleQueue, "enqueued nothing"),
    ],
)
def test_a_class_that_cannot_be_once_only_is_refused_by_name(
    connection: Redis,
    leader: RedisCronScheduler,
    clock: Clock,
    use: Use,
    kind: type[Queue],
    reason: str,
) -> None:
    use(kind)
    register(leader)
    register(leader, id="other")
    clock.advance(MINUTE)
    assert leader.enqueue_jobs() == []
    for id in ("report", "other"):
        error = RedisCronJob.fetch(id, connection).last_error or ""
        assert f"tests.app.queues.{kind.__name__}." in error
        assert reason in error
    clock.advance(60 * MINUTE)
    assert leader.enqueue_jobs() == []
    custom_queues._writing.clear()
    with pytest.raises(InvalidScheduleError, match=reason):
        RedisCronJob.fetch("report", connection).enqueue(connection)
    assert connection.keys("rq:job:*") == []
    assert connection.llen("rq:queue:metrics") == 0


def test_what_its_commands_are_refused_leaves_no_half(
    connection: Redis, leader: RedisCronScheduler, clock: Clock, use: Use
) -> None:
    use(queues.TaggingQueue)
    register(leader)
    connection.set("rq:queue:metrics", "no list")
    clock.advance(MINUTE)
    assert leader.enqueue_jobs() == []
    assert "queue" in str(RedisCronJob.fetch("report", connection).last_error)
    assert connection.keys("rq:job:*") == []
    connection.delete("rq:queue:metrics")
    clock.advance(60 * MINUTE)
    assert len(leader.enqueue_jobs()) == 1
    assert connection.llen("rq:queue:metrics") == len(jobs(connection)) == 1


def test_classes_that_override_nothing_are_as_quick_as_rqs(connection: Redis) -> None:
    plain = queues.ReportQueue("metrics", connection=connection, job_class=queues.ReportJob)
    assert overridden(plain) == ""
    own = queues.TaggingQueue("metrics", connection=connection)
    assert overridden(own) == "tests.app.queues.TaggingQueue.enqueue_job"


@pytest.mark.parametrize("status", ["deferred", "scheduled", "rate_limited", "ready_to_enqueue"])
def test_what_waits_outside_of_a_queue_has_not_ended(
    connection: Redis, leader: RedisCronScheduler, clock: Clock, status: str
) -> None:
    register(leader, overlap="skip")
    by_schedule(leader, clock)
    (job,) = jobs(connection)
    connection.delete("rq:queue:metrics")
    connection.hset(job.key, "status", status)
    clock.advance(10 * MINUTE)
    assert leader.enqueue_jobs() == []
