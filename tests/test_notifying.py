"""Receivers are told what happens to schedules: of each cause once, whatever they do themselves."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.utils import now

from django_rediscron import (
    PROGRESS,
    Notification,
    Receiver,
    RedisCronJob,
    RedisCronScheduler,
)
from django_rediscron.core.notifying.notification import Entry as StreamEntry
from django_rediscron.core.store.keys import (
    ALARMS,
    ERRORS,
    EVENTS,
    IN_FLIGHT,
    INDEX,
    LOCK,
    TOLD_SUFFIX,
    job_key,
)
from django_rediscron.core.store.keys import PROGRESS as PROGRESS_KEY
from django_rediscron.core.story.in_flight import Entry
from django_rediscron.core.timing.cron_times import utc_text
from tests import tasks
from tests.processes import wait_until, working

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

    def all(self, notifications: Sequence[Notification]) -> None:
        """As `tell` of a `Receiver`."""
        for notification in notifications:
            self(notification)

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
        told = [each for each in receivers if not isinstance(each, Receiver) or each.kinds]
        wait_until(lambda: not told or connection.keys(f"*{TOLD_SUFFIX}"))
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


def entered(connection: Redis) -> int:
    """How many alarms there have been since somebody has listened."""
    return int(connection.hget(ALARMS + TOLD_SUFFIX, "") or 0)


def work(connection: Redis) -> None:
    SimpleWorker([Queue("metrics", connection=connection)], connection=connection).work(burst=True)


def test_an_entry_that_cannot_be_read_does_not_block_others(
    connection: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    with leading(connection, told):
        odd = {"number": 1, "kind": "run_failed", "id": "x", "failures": "1e400"}
        connection.xadd(ALARMS, odd)
        connection.xadd(ALARMS, {"number": 2, "kind": "leader_changed", "id": ""})
        told.next("leader_changed")
    assert "cannot be read: OverflowError" in caplog.text


def test_a_text_is_a_line_whatever_the_error_is(connection: Redis) -> None:
    told = Told()
    with leading(connection, told):
        fields = {"number": 1, "kind": "schedule_error", "id": "x"}
        connection.xadd(ALARMS, {**fields, "error": json.dumps("no\r\nBcc: x \x1b[31m\u202e")})
        assert told.next("schedule_error").text.endswith(": no  Bcc: x  [31m .")


@pytest.mark.parametrize(
    ("error", "end"), [("no", ": no."), ("signal 9;", ": signal 9."), ("why?", ": why?")]
)
def test_a_text_ends_as_a_sentence(error: str, end: str) -> None:
    fields = {"kind": "schedule_error", "id": "x", "error": json.dumps(error)}
    assert Notification.of(StreamEntry("1-0", fields), None).text.endswith(end)


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


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_told_while_it_lasts(
    connection: Redis, redis_url: str
) -> None:
    told = Told()
    register(connection, tasks.wait_for_release, args=("release",), max_runtime=0.1)
    with leading(connection, told), working(redis_url):
        too_long = told.next("run_too_long")
        connection.rpush("release", "now")
        wait_until(lambda: not connection.exists(IN_FLIGHT))
    assert entered(connection) == 1, "the same is told when it has ended"
    assert too_long.run is not None
    assert (too_long.run.status, too_long.run.is_too_long) == ("started", True)
    assert too_long.facts == {"max_runtime": 0.1}
    assert "has been running for" in too_long.text
    assert "longer than its max_runtime of 0.1 s" in too_long.text


def test_a_run_that_took_too_long_is_told_before_its_end(connection: Redis) -> None:
    """As one that began and ended while no scheduler was running."""
    told = Told()
    register(connection, tasks.fail, max_runtime=0.000001)
    with leading(connection, told):
        run(connection)
        too_long = told.next("run_too_long")
        told.next("run_failed")
    assert " took " in too_long.text
    assert told.is_empty


def test_an_unknown_end_is_told(connection: Redis) -> None:
    told = Told()
    register(connection, tasks.echo, result_ttl=0)
    with leading(connection, told):
        wait_until(lambda: connection.llen("rq:queue:metrics"))
        work(connection)  # after which RQ keeps nothing
        unknown = told.next("run_unknown")
    assert unknown.run is not None
    assert unknown.run.status == "unknown"
    assert "RQ deleted its job" in unknown.text


def test_a_schedule_that_is_disabled_is_told(connection: Redis) -> None:
    told = Told()
    register(connection, max_failures=1)
    with leading(connection, told):
        run(connection)
        told.next("run_failed")
        disabled = told.next("schedule_disabled")
    assert disabled.facts == {"failures": 1}
    assert disabled.text.endswith(
        "after a failed run. The latest one ended with: ValueError: it failed, with a reason."
    )


def test_the_first_error_is_told(connection: Redis) -> None:
    told = Told()
    job = register(connection, tasks.echo)
    connection.hset(job_key(job.id), "func_name", "tests.tasks.missing")
    with leading(connection, told):
        error = told.next("schedule_error")
        connection.zadd(INDEX, {"report": 1})  # the second failure is told to nobody
        connection.publish(EVENTS, json.dumps({"event": "updated", "job_id": "report"}))
        register(connection, tasks.fail)
        run(connection)
        told.next("run_failed")
        connection.hset(job_key(job.id), "func_name", "tests.tasks.missing")
        make_due(connection)
        again = told.next("schedule_error")
    assert error.occurrence == job.next_enqueue_time
    assert "tests.tasks.missing" in error.facts["error"]
    assert "could not be enqueued: " in error.text
    assert again.id != error.id


def test_an_error_is_not_told_again_by_the_next_leader(connection: Redis) -> None:
    job = register(connection, tasks.echo)
    connection.hset(job_key(job.id), "func_name", "tests.tasks.missing")
    with leading(connection, Told()):
        wait_until(lambda: entered(connection))
    first_try = connection.zscore(ERRORS, job.id)
    with leading(connection, Told()):
        wait_until(lambda: connection.zscore(ERRORS, job.id) > first_try)
    assert entered(connection) == 1


def test_a_new_leader_is_told(connection: Redis) -> None:
    """But not the first one, nor one that leads for a pass only, nor the same one again."""
    told = Told()
    with leading(connection, told):
        pass
    RedisCronScheduler(connection, name="burst", receivers=[told]).start(burst=True)
    with leading(connection, told, name="burst"):
        pass
    with leading(connection, told, name="two"):
        changed = told.next("leader_changed")
        connection.delete(LOCK)  # two takes it again
        connection.publish(EVENTS, "{}")
        wait_until(lambda: connection.exists(LOCK))
    with leading(connection, told, name="three"):
        last = told.next("leader_changed")
    assert changed.facts["leader"] == "two"
    assert (changed.facts["previous"], changed.facts["end"]) == ("burst", "stopped")
    assert last.facts["previous"] == "two"
    assert (changed.schedule, changed.schedule_id, changed.run) == (None, "", None)
    assert "Scheduler two took over at " in changed.text
    assert "burst, which led before, stopped." in changed.text


def test_the_death_of_a_leader_is_told(connection: Redis) -> None:
    told = Told()
    RedisCronScheduler(connection, receivers=[told]).start(burst=True)
    RedisCronScheduler(connection, name="dead").register_birth()
    connection.delete(LOCK)  # as if it had expired
    with leading(connection, told):
        assert told.next("leader_changed").facts["leader"] == "dead"
        death = told.next("leader_changed")
    assert death.facts["end"] == "died"
    assert "dead, which led before, died or was cut off; its last heartbeat was at 20" in death.text


@pytest.mark.slow
def test_progress_is_told_to_those_who_want_it(connection: Redis, redis_url: str) -> None:
    alarms, progress = Told(), Told()
    watcher = Receiver("watcher", progress.all, kinds=frozenset(PROGRESS))
    register(connection, tasks.wait_for_release, args=("release",))
    with leading(connection, alarms, watcher), working(redis_url, name="w1"):
        started = progress.next("run_started")
        (entry,) = connection.hvals(IN_FLIGHT)
        assert Entry.from_text(entry.decode()).start_is_told, "it is told again"
        connection.rpush("release", "now")
        ended = progress.next("run_ended")
    assert started.run is not None
    assert ended.run is not None
    assert started.run.job_id == ended.run.job_id
    assert (started.run.status, ended.run.status) == ("started", "finished")
    assert started.text.endswith(" on worker w1.")
    assert alarms.is_empty
    assert progress.is_empty


def test_nothing_is_entered_if_nobody_listens(connection: Redis) -> None:
    register(connection)
    with leading(connection):
        run(connection)
        wait_until(lambda: not connection.exists(IN_FLIGHT))
    assert not connection.exists(ALARMS, PROGRESS_KEY)


def test_runs_by_hand_are_not_told(connection: Redis) -> None:
    told = Told()
    job = register(connection, tasks.echo, interval=YEAR)
    with leading(connection, told):
        run(connection)
        connection.hset(job_key(job.id), "func_name", "tests.tasks.fail")
        RedisCronJob.fetch(job.id, connection).enqueue(connection)
        run(connection)
        make_due(connection)
        run(connection)
        assert told.next("run_failed").occurrence is not None
