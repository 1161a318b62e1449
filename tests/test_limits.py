"""What is too much: `max_failures` disables a schedule, `max_runtime` reports a run.

Seen to fail, each with this taken out of the scripts:

- HDEL in `begin_count` of `change_log` (enabled again, it is disabled after one failure);
- `since_enabled` in `failing` (the same, if another program enabled it);
- the look at `enabled` in `failing` (it is disabled twice);
- HSET in `mark_told` (a run is told again and again);
- the tokens in `follow` and `mark_told`;
- `is_told` in `Following._record` (a run is told again at its end).
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker

from django_rediscron import RedisCronJob, RedisCronScheduler, Run
from django_rediscron.core.store import list_schedules
from django_rediscron.core.store.keys import (
    DISABLED,
    EVENTS,
    IN_FLIGHT,
    INDEX,
    LOCK,
    job_key,
    outcomes_key,
)
from django_rediscron.core.store.scripts import run_script
from django_rediscron.core.story import following as following_module
from django_rediscron.core.story.changes import read_changes
from django_rediscron.core.story.following import Following
from django_rediscron.core.story.in_flight import Entry, entry_text, terms
from django_rediscron.core.story.outcomes import read_outcomes
from tests import tasks
from tests.forks import Program
from tests.processes import running_scheduler, wait_until, working

NOON = datetime(2026, 3, 23, 12, tzinfo=timezone.utc)


def failures(connection: Redis) -> int:
    """In a row, of the schedule `a`."""
    return read_outcomes(["a"], connection)["a"].failures


def save_anew(job: RedisCronJob) -> None:
    job.enabled, job.interval = True, 30
    job.save()


def register_anew(job: RedisCronJob) -> None:
    RedisCronScheduler(job.connection).register(
        tasks.echo, "metrics", "a", interval=60, enabled=True
    )


def enable_outside(job: RedisCronJob) -> None:
    """As `redis-cli` does; seen at the next change at the latest."""
    assert job.connection is not None
    job.connection.hset(job_key("a"), "enabled", "1")
    job.refresh()
    job.interval = 90
    job.save()


def delete_and_create(job: RedisCronJob) -> None:
    job.delete()
    register_anew(job)


@pytest.mark.parametrize(
    "enable", [RedisCronJob.enable, save_anew, register_anew, enable_outside, delete_and_create]
)
def test_enabling_begins_the_count_anew(
    connection: Redis, leader: RedisCronScheduler, enable: Callable[[RedisCronJob], object]
) -> None:
    job = leader.register(tasks.echo, "metrics", "a", interval=60, enabled=False)
    connection.hset(outcomes_key("a"), "failures", 2)
    job.interval = 120
    job.save()
    assert failures(connection) == 2
    enable(job)
    assert failures(connection) == 0
    connection.hset(outcomes_key("a"), "failures", 2)
    job.refresh()
    job.enable()
    job.interval = 10
    job.save()
    assert failures(connection) == 2


# Failures


class Failing:
    """The schedule `a`, which fails until it is told otherwise, and a leader that follows it."""

    def __init__(self, leader: RedisCronScheduler, **options: Any) -> None:
        self.connection: Redis = leader.connection
        self.token = self.connection.get(LOCK).decode()
        self.following = Following(self.connection)
        self.queue = Queue("metrics", connection=self.connection)
        self.job = leader.register(tasks.fail, "metrics", "a", interval=86400, **options)

    def run(self, func_name: str = "tests.tasks.fail") -> bool:
        """A run by hand, which a worker does and the leader sees. Whether it is still enabled."""
        self.connection.hset(job_key("a"), "func_name", func_name)
        job = RedisCronJob.fetch("a", self.connection)
        job.enqueue(self.connection)
        SimpleWorker([self.queue], connection=self.connection).work(burst=True)
        assert self.following.sweep(self.token)
        return RedisCronJob.fetch("a", self.connection).enabled

    def switches(self) -> list[tuple[str, str, str]]:
        """Who enabled or disabled it, and why, oldest first."""
        changes = reversed(read_changes("a", self.connection))
        return [(e.what, e.actor, e.reason) for e in changes if e.what in ("enabled", "disabled")]


DISABLED_BY_LEADER = ("disabled", "scheduler:leader", "3 failed runs in a row")


def test_failures_in_a_row_disable(
    leader: RedisCronScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """As an editor would, in the step that counts the last one."""
    failing = Failing(leader, max_failures=3)
    connection = failing.connection
    with connection.pubsub() as events:
        events.subscribe(EVENTS)
        wait_until(lambda: events.get_message(ignore_subscribe_messages=False))
        assert [failing.run(), failing.run()] == [True, True]
        revision = RedisCronJob.fetch("a", connection).revision
        assert not failing.run()
        wait_until(lambda: b'"disabled"' in (events.get_message() or {"data": b""})["data"])
    job = RedisCronJob.fetch("a", connection)
    assert job.revision > revision
    assert job.updated_at > failing.job.created_at
    assert failing.switches() == [DISABLED_BY_LEADER]
    assert connection.zscore(DISABLED, "a") is not None
    assert connection.zscore(INDEX, "a") is None
    assert caplog.text.count("Schedule 'a': disabled after 3 failed runs in a row") == 1
    assert not failing.run()  # by hand it still can
    assert failing.switches() == [DISABLED_BY_LEADER]
    assert list_schedules(connection, enabled_only=True).jobs == []


def test_one_failure_may_be_too_many(leader: RedisCronScheduler) -> None:
    failing = Failing(leader, max_failures=1)
    assert not failing.run()
    assert failing.switches() == [("disabled", "scheduler:leader", "1 failed run")]


def test_a_success_ends_a_row(leader: RedisCronScheduler) -> None:
    failing = Failing(leader, max_failures=2)
    assert failing.run()
    assert failing.run("tests.tasks.echo")
    assert failing.run()
    assert not failing.run()


def test_attempts_that_are_repeated_do_not_count(leader: RedisCronScheduler) -> None:
    failing = Failing(leader, max_failures=2, retry=5)
    assert failing.run()
    assert not failing.run()
    attempts = [run.attempts for run in failing.job.get_runs(failing.connection)]
    assert attempts == [6, 6]


def test_enabled_again_it_has_as_many_left(leader: RedisCronScheduler) -> None:
    failing = Failing(leader, max_failures=3)
    for _ in range(2):
        assert [failing.run(), failing.run(), failing.run()] == [True, True, False]
        failing.job.refresh()
        failing.job.enable(actor="amy")
    assert failing.switches() == [DISABLED_BY_LEADER, ("enabled", "amy", "")] * 2


def test_enabled_again_by_a_program_that_keeps_no_log(leader: RedisCronScheduler) -> None:
    failing = Failing(leader, max_failures=2)
    assert [failing.run(), failing.run()] == [True, False]
    failing.connection.hset(job_key("a"), "enabled", "1")
    assert [failing.run(), failing.run()] == [True, False]
    outside = [e for e in read_changes("a", failing.connection) if e.what == "outside"]
    assert [dict(each.fields)["enabled"] for each in outside if "enabled" in each.fields] == [
        ("0", "1")
    ]
    revisions = [each.revision for each in read_changes("a", failing.connection)]
    assert revisions == sorted(revisions, reverse=True)


def test_what_is_no_limit_disables_nothing(leader: RedisCronScheduler) -> None:
    """A limit that cannot be read, a schedule that was deleted, a key of another type."""
    failing = Failing(leader)
    connection = failing.connection
    assert failing.run()
    connection.hset(job_key("a"), "max_failures", "many")
    job = RedisCronJob("a", "metrics", tasks.fail, interval=60, connection=connection)
    for spoil in (job.enqueue, lambda _: connection.set(job_key("a"), "something else")):
        spoil(connection)
        SimpleWorker([failing.queue], connection=connection).work(burst=True)
        assert failing.following.sweep(failing.token)
    assert connection.get(job_key("a")) == b"something else"
    assert failing.switches() == []


def test_a_real_scheduler_disables_what_a_real_worker_fails(
    connection: Redis, redis_url: str
) -> None:
    RedisCronScheduler(connection).register(
        tasks.fail, "metrics", "a", interval=1, max_failures=2, overlap="skip"
    )
    with working(redis_url), running_scheduler(redis_url, name="real"):
        wait_until(lambda: not RedisCronJob.fetch("a", connection).enabled, timeout=60)
    (change,) = (e for e in read_changes("a", connection) if e.what == "disabled")
    assert (change.actor, change.reason) == ("scheduler:real", "2 failed runs in a row")
    job = RedisCronJob.fetch("a", connection)
    assert (job.disabled_at, job.disabled_by) == (change.at, "scheduler:real")
    assert (job.disabled_reason, job.disabled_until) == ("2 failed runs in a row", None)


# Long runs


TOO_LONG = "longer than 0.5 s"


def output_of(scheduler: Program) -> str:
    """What it logged, after it was stopped."""
    scheduler.send_signal(signal.SIGTERM)
    scheduler.wait()
    return scheduler.output()


@pytest.mark.slow
def test_a_run_that_lasts_too_long_is_told_once(connection: Redis, redis_url: str) -> None:
    """Also if another scheduler takes over meanwhile."""
    job = RedisCronScheduler(connection).register(
        tasks.wait_for_release, "metrics", "a", args=("go",), interval=86400, max_runtime=0.5
    )

    def the_run() -> Run:
        (run,) = job.get_runs(connection)
        return run

    with working(redis_url):
        with running_scheduler(redis_url, name="one") as one:
            assert connection.blpop(["go:started"], timeout=50)
            wait_until(lambda: b"0.5! " in connection.hvals(IN_FLIGHT)[0], timeout=40)
            assert (the_run().is_too_long, the_run().status) == (True, "started")
            told = output_of(one)
        with running_scheduler(redis_url, name="two") as two:
            connection.rpush("go", 1)
            wait_until(lambda: not connection.exists(IN_FLIGHT), timeout=60)
            silence = output_of(two)
    assert told.count(TOO_LONG) == 1
    assert f"Schedule 'a': job {the_run().job_id} has been running {TOO_LONG}" in told
    assert silence.count(TOO_LONG) == 0
    assert (the_run().is_too_long, the_run().status) == (True, "finished")


def test_each_schedule_has_a_limit_of_its_own(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    """Though their jobs are alike."""
    limits = {"a": 60, "b": None, "c": 5}
    for id, limit in limits.items():
        leader.register(tasks.echo, "metrics", id, interval=60, max_runtime=limit)
    assert len(leader.enqueue_jobs()) == 3
    entries = [Entry.from_text(text.decode()) for text in connection.hvals(IN_FLIGHT)]
    assert {entry.schedule_id: entry.max_runtime for entry in entries if entry} == limits


def test_a_run_that_took_too_long_is_told_when_its_end_is_seen(
    leader: RedisCronScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    connection: Redis = leader.connection
    job = leader.register(
        tasks.wait_for_release, "metrics", "a", args=("go",), interval=60, max_runtime=0.0001
    )
    connection.rpush("go", 1)
    job.enqueue(connection)
    SimpleWorker([Queue("metrics", connection=connection)], connection=connection).work(burst=True)
    following = Following(connection)
    for _ in range(2):
        assert following.sweep(connection.get(LOCK).decode())
    assert caplog.text.count("took longer than 0.0001 s") == 1
    (run,) = job.get_runs(connection)
    assert run.is_too_long


def enter_long_run(connection: Redis) -> str:
    """Job b, which has been running for longer than its limit; returns its entry."""
    text = entry_text(None, NOON, terms("hand", "rq:job:", max_runtime=60), "a")
    connection.hset(IN_FLIGHT, "b", text)
    started = {"status": "started", "started_at": "2026-03-23T12:00:00.000000Z"}
    connection.hset("rq:job:b", mapping=started)
    return text


def test_who_lost_the_lock_tells_nothing(
    leader: RedisCronScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    connection: Redis = leader.connection
    text = enter_long_run(connection)
    following = Following(connection)
    assert not following.step("another:token")
    assert connection.hget(IN_FLIGHT, "b") == text.encode()
    assert following.step(connection.get(LOCK).decode())
    assert following.step(connection.get(LOCK).decode())
    assert caplog.text.count("job b has been running longer than 60 s") == 1


def test_a_run_is_told_although_the_first_reply_is_lost(
    leader: RedisCronScheduler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client sends the call again then."""
    connection: Redis = leader.connection
    enter_long_run(connection)

    def send_twice(*call: Any) -> Any:
        run_script(*call)
        return run_script(*call)

    monkeypatch.setattr(following_module, "run_script", send_twice)
    following = Following(connection)
    for _ in range(2):
        assert following.step(connection.get(LOCK).decode())
    assert caplog.text.count("job b has been running longer than 60 s") == 1
