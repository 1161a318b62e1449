"""Receivers are told what happens to schedules: of each cause once, whatever they do themselves."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.utils import now

from django_rediscron import (
    Notification,
    Receiver,
    RedisCronJob,
    RedisCronScheduler,
)
from django_rediscron.core.store.keys import EVENTS, INDEX, TOLD_SUFFIX, job_key
from django_rediscron.core.timing.cron_times import utc_text
from tests import tasks
from tests.processes import wait_until

YEAR = 365 * 86400


class Told:
    """A receiver that remembers what it was told."""

    def __init__(self) -> None:
        self._told: queue.SimpleQueue[Notification] = queue.SimpleQueue()

    def __call__(self, notification: Notification) -> None:
        self._told.put(notification)

    def next(self, kind: str) -> Notification:
        """Await the next one, which is of this kind."""
        notification = self._told.get(timeout=30)
        assert notification.kind == kind, notification
        return notification

    @property
    def is_empty(self) -> bool:
        return self._told.empty()


@contextmanager
def leading(
    connection: Redis, *receivers: Receiver | Callable[[Notification], object], name: str = "one"
) -> Iterator[RedisCronScheduler]:
    """A scheduler that leads, in a thread, and has told Redis whom it tells."""
    scheduler = RedisCronScheduler(connection, name=name, receivers=receivers)
    thread = threading.Thread(target=scheduler.start)
    thread.start()
    try:
        wait_until(lambda: connection.pubsub_numsub(EVENTS)[0][1])
        wait_until(lambda: not receivers or connection.keys(f"*{TOLD_SUFFIX}"))
        yield scheduler
    finally:
        scheduler.stop()
        thread.join(30)
        assert not thread.is_alive()


def register(
    connection: Redis, func: Callable[..., Any] = tasks.fail, **options: Any
) -> RedisCronJob:
    """A schedule that is due at once, and then not again during the test."""
    options = {"interval": YEAR, "result_ttl": 500, **options}
    scheduler = RedisCronScheduler(connection)
    return scheduler.register(func, "metrics", id="report", **options)


def make_due(connection: Redis) -> None:
    """Let it run once more."""
    with connection.pipeline() as pipe:
        pipe.hset(job_key("report"), "next_enqueue_time", utc_text(now()))
        pipe.zadd(INDEX, {"report": 1})
        pipe.publish(EVENTS, json.dumps({"event": "updated", "job_id": "report"}))
        pipe.execute()


def run(connection: Redis) -> Job:
    """Let a real worker do its next job."""
    wait_until(lambda: connection.llen("rq:queue:metrics"))
    (job_id,) = connection.lrange("rq:queue:metrics", 0, -1)
    work(connection)
    return Job.fetch(job_id.decode(), connection)


def work(connection: Redis) -> None:
    SimpleWorker([Queue("metrics", connection=connection)], connection=connection).work(burst=True)


def test_what_a_receiver_gathers_it_is_told_at_once(connection: Redis) -> None:
    told: list[int] = []
    receiver = Receiver("mail", lambda each: told.append(len(each)), gather=600)
    with leading(connection, receiver):
        pass
    for number in range(1, 151):  # as a script enters them
        fields = {"number": number, "kind": "leader_changed", "id": "", "leader": '"one"'}
        connection.xadd("rq:cron_jobs:alarms", fields)
    RedisCronScheduler(connection, receivers=[receiver]).start(burst=True)
    assert told == [150]


def test_a_failure_and_the_recovery_are_told(connection: Redis) -> None:
    told = Told()
    register(connection)
    with leading(connection, told):
        run(connection)
        first = told.next("run_failed")
        make_due(connection)
        run(connection)
        second = told.next("run_failed")
        register(connection, tasks.echo)
        make_due(connection)
        run(connection)
        recovered = told.next("run_recovered")
    assert told.is_empty
    assert first.schedule is not None
    assert first.schedule.id == first.schedule_id == "report"
    assert first.run is not None
    assert first.run.error == "ValueError: it failed, with a reason"
    assert first.occurrence == first.run.occurrence
    assert [each.facts for each in (first, second, recovered)] == [
        {"failures": 1},
        {"failures": 2},
        {"failures": 2},
    ]
    assert "ValueError: it failed, with a reason. 2 runs in a row have failed." in second.text
    assert "The 2 runs before it had failed." in recovered.text
