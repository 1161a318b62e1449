"""The scheduler process: one leader, awake at once, gone cleanly."""

from __future__ import annotations

import logging
import signal
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.client import Pipeline
from rq.cron import CronScheduler
from rq.exceptions import StopRequested

from django_rediscron.core import RedisCronJob, RedisCronScheduler, SchedulerLockedError
from django_rediscron.core.store.keys import INDEX, LOCK
from tests import tasks
from tests.processes import next_job_id, running_scheduler, wait_until


def test_is_an_rq_cron_scheduler_that_rq_can_list(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection, name="host:1")
    assert isinstance(scheduler, CronScheduler)
    assert (scheduler.lock_ttl, scheduler.max_sleep_interval) == (120, 60.0)
    scheduler.register_birth()
    assert [found.name for found in CronScheduler.all(connection)] == ["host:1"]
    assert [found.name for found in RedisCronScheduler.all(connection)] == ["host:1"]
    assert scheduler.last_heartbeat is not None
    scheduler.register_death()
    assert CronScheduler.all(connection) == []
    assert connection.keys("*") == [b"rq:cron_jobs:reigns"]


def test_only_one_leads(connection: Redis) -> None:
    leader = RedisCronScheduler(connection, name="host:1", lock_ttl=77)
    leader.register_birth()
    second = RedisCronScheduler(connection, name="host:2")
    with pytest.raises(RuntimeError, match=r"'host:1' holds the lock") as refused:
        second.register_birth()
    assert isinstance(refused.value, SchedulerLockedError)
    assert refused.value.holder == "host:1"
    assert refused.value.expires_in == pytest.approx(77, abs=2)
    assert [found.name for found in CronScheduler.all(connection)] == ["host:1"]
    leader.register_death()
    second.register_birth()
    leader.register_death()  # not ours any more, so it stays
    assert connection.get(LOCK).startswith(b"host:2:")


def test_heartbeat_extends_the_lock_or_asks_to_stop(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection, name="one", lock_ttl=60)
    scheduler.register_birth()
    connection.pexpire(LOCK, 5000)
    scheduler.heartbeat()
    assert connection.pttl(LOCK) > 50_000
    connection.set(LOCK, "two:token")
    with pytest.raises(StopRequested):
        scheduler.heartbeat()
    assert connection.get(LOCK) == b"two:token"


@pytest.mark.parametrize(
    "options",
    [
        *({"lock_ttl": 0}, {"lock_ttl": -1}, {"lock_ttl": True}, {"max_sleep_interval": 0}),
        *({"late_after": 0}, {"late_after": True}),
    ],
)
def test_durations_must_be_positive(connection: Redis, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive number of seconds"):
        RedisCronScheduler(connection, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("keep_runs", [-1, True, 1.5, "5", 100_001])
def test_a_number_of_runs_is_kept(connection: Redis, keep_runs: Any) -> None:
    with pytest.raises(ValueError, match="keep_runs must be a whole number from 0 to 100000, got"):
        RedisCronScheduler(connection, keep_runs=keep_runs)


def test_sleep_interval_reaches_to_the_next_due_schedule(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection, max_sleep_interval=10)
    assert scheduler.calculate_sleep_interval() == 10
    scheduler.register(tasks.echo, "metrics", id="soon", interval=300)
    assert scheduler.calculate_sleep_interval() == 0
    connection.zadd(INDEX, {"soon": time.time() + 5})
    assert 4 < scheduler.calculate_sleep_interval() <= 5
    connection.zadd(INDEX, {"soon": time.time() + 500})
    assert scheduler.calculate_sleep_interval() == 10


def test_an_edit_from_another_process_takes_effect_at_once(
    connection: Redis, redis_url: str
) -> None:
    with running_scheduler(redis_url) as process:
        editor = RedisCronScheduler(connection)
        editor.register(tasks.echo, "metrics", id="a", interval=3600)
        next_job_id(connection, "metrics")

        job = RedisCronJob.fetch("a", connection)
        job.interval, job.queue_name = 1, "edited"
        job.save()
        next_job_id(connection, "edited")

        # the sleeping scheduler is woken for a schedule of a second from now, too
        job.delete()
        connection.delete("rq:queue:edited")
        editor.register(tasks.echo, "other", id="b", interval=3600)
        next_job_id(connection, "other")
        assert connection.llen("rq:queue:edited") == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_without_pubsub_an_edit_is_seen_within_max_sleep_interval(
    connection: Redis, redis_url: str
) -> None:
    with running_scheduler(redis_url, max_sleep=1.0):
        RedisCronScheduler(connection).register(tasks.echo, "metrics", id="a", cron="0 0 1 1 *")
        now = time.time()
        # an edit that nobody announced
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(now))
        connection.hset("rq:cron_job:a", "next_enqueue_time", stamp)
        connection.zadd(INDEX, {"a": now})
        next_job_id(connection, "metrics")


def test_enqueueing_does_not_wake_the_scheduler_itself(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection)
    scheduler.register(tasks.echo, "metrics", id="a", interval=300)
    scheduler.register_birth()
    with connection.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("rq:cron_jobs:events")
        pubsub.get_message(timeout=5)
        assert len(scheduler.enqueue_jobs()) == 1
        assert pubsub.get_message(timeout=0.3) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_scheduler_cleanly(
    connection: Redis, redis_url: str, number: signal.Signals
) -> None:
    with running_scheduler(redis_url) as process:
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
        assert not connection.exists(LOCK)
        assert CronScheduler.all(connection) == []
        assert "Traceback" not in process.output()
    with running_scheduler(redis_url):  # the same name again is no conflict
        pass


def test_after_kill_9_another_takes_over_when_the_lock_expires(
    connection: Redis, redis_url: str
) -> None:
    RedisCronScheduler(connection).register(tasks.echo, "metrics", id="a", interval=1)
    with running_scheduler(redis_url, "first", lock_ttl=1) as first:
        next_job_id(connection, "metrics")
        first.kill()
        first.wait()
        wait_until(lambda: not connection.exists(LOCK))
        connection.delete("rq:queue:metrics")
        with running_scheduler(redis_url, "second", lock_ttl=1):
            next_job_id(connection, "metrics")
    assert connection.zcard("rq:cron_job:a:jobs") == len(connection.keys("rq:job:*"))
    assert_once_per_occurrence(connection, "a")


def test_a_frozen_leader_that_wakes_up_writes_nothing(connection: Redis, redis_url: str) -> None:
    RedisCronScheduler(connection).register(tasks.echo, "metrics", id="a", interval=1)
    with running_scheduler(redis_url, "frozen", lock_ttl=1) as first:
        next_job_id(connection, "metrics")
        first.send_signal(signal.SIGSTOP)
        wait_until(lambda: not connection.exists(LOCK))
        with running_scheduler(redis_url, "second", lock_ttl=30):
            next_job_id(connection, "metrics")
            first.send_signal(signal.SIGCONT)
            assert first.wait(timeout=30) != 0
            assert connection.get(LOCK).startswith(b"second:")
            next_job_id(connection, "metrics")
    assert_once_per_occurrence(connection, "a")


def assert_once_per_occurrence(connection: Redis, id: str) -> None:
    """By what the jobs say: one that is late may be enqueued right before the one after it."""
    job_ids = connection.zrange(f"rq:cron_job:{id}:jobs", 0, -1)
    occurrences = [connection.hget(b"rq:job:" + job_id, "occurrence") for job_id in job_ids]
    assert len(occurrences) > 1
    assert None not in occurrences
    assert len(set(occurrences)) == len(occurrences), occurrences


def test_runs_in_a_thread_until_it_is_stopped(connection: Redis, redis_url: str) -> None:
    scheduler = RedisCronScheduler(Redis.from_url(redis_url), name="thread")
    thread = threading.Thread(target=scheduler.start)
    thread.start()
    try:
        scheduler.register(tasks.echo, "metrics", id="a", interval=300)
        next_job_id(connection, "metrics")
    finally:
        scheduler.stop()
        thread.join(timeout=30)
    assert not thread.is_alive()
    assert not connection.exists(LOCK)


class Telling(RedisCronScheduler):
    """Overrides what programs override of RQ's scheduler."""

    def __init__(self, connection: Redis) -> None:
        super().__init__(connection, name="telling")
        self.told: list[str] = []
        self.lock_ttl = 3  # it may be assigned, and sets how often heartbeats are sent

    def register_birth(self) -> None:
        self.told.append("birth")
        super().register_birth()

    def sync(self) -> None:
        self.told.append("sync")

    def heartbeat(self) -> None:
        self.told.append("heartbeat")
        super().heartbeat()

    def calculate_sleep_interval(self) -> float:
        self.told.append("sleep")
        return super().calculate_sleep_interval()

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "colour": "blue"}

    def register_death(self, pipeline: Pipeline | None = None) -> None:
        self.told.append("death")
        super().register_death(pipeline)


def test_calls_what_a_subclass_overrides(connection: Redis, redis_url: str) -> None:
    scheduler = Telling(Redis.from_url(redis_url))
    thread = threading.Thread(target=scheduler.start)
    thread.start()
    try:
        wait_until(lambda: scheduler.told.count("sleep") > 1)
        assert connection.hget(scheduler.key, "colour") == b"blue"
        assert connection.pttl(LOCK) <= 3000
    finally:
        scheduler.stop()
        thread.join(timeout=30)
    assert scheduler.told[:4] == ["birth", "sync", "heartbeat", "sleep"]
    assert scheduler.told[-1] == "death"
    assert not connection.exists(LOCK, scheduler.key)


def test_burst_is_one_pass(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection)
    scheduler.register(tasks.echo, "metrics", id="a", interval=300)
    before = signal.getsignal(signal.SIGTERM)
    scheduler.start(burst=True)
    scheduler.start(burst=True)
    assert connection.llen("rq:queue:metrics") == 1
    assert not connection.exists(LOCK)
    assert signal.getsignal(signal.SIGTERM) is before


def test_birth_puts_lost_schedules_back(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection)
    scheduler.register(tasks.echo, "metrics", id="a", interval=300)
    connection.delete(INDEX)
    scheduler.start(burst=True)
    assert connection.llen("rq:queue:metrics") == 1


def test_loads_a_stock_rq_cron_file(connection: Redis, tmp_path: Path) -> None:
    config = tmp_path / "cron_config.py"
    config.write_text(
        textwrap.dedent(
            """
            from rq import cron
            from tests.tasks import echo

            cron.register(echo, "metrics", interval=60, args=(1,))
            cron.register(echo, "metrics", cron="*/5 * * * *", kwargs={"b": 2}, job_timeout=5)
            """
        )
    )
    for _ in range(2):
        scheduler = RedisCronScheduler(connection)
        scheduler.load_config_from_file(str(config))
        jobs = {job.id: job for job in scheduler.get_jobs()}
        assert list(jobs) == ["tests.tasks.echo", "tests.tasks.echo#2"]
    assert jobs["tests.tasks.echo"].interval == 60
    assert jobs["tests.tasks.echo#2"].cron == "*/5 * * * *"
    assert jobs["tests.tasks.echo#2"].job_options["job_timeout"] == 5


def test_adds_no_handler_where_logging_is_configured(
    connection: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        RedisCronScheduler(connection, name="quiet").start(burst=True)
    assert logging.getLogger("django_rediscron").handlers == []
    assert any("quiet" in message for message in caplog.messages)
