"""The leader follows the jobs of schedules until they have ended, and records how.

Seen to fail, each with this taken out: the comparison of the token in the script `end_runs`, that
of times in its function `count`, what it does about keys of another type, the time of RQ's result
in `_end` of `in_flight`, `try` before HSET in the script `dispatch`, `follow` in `Leading._rest`,
`sweep` in `Leading._lead_once`, the same slice again if it was not done in `Following._look`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry, SimpleWorker
from rq.command import send_stop_job_command
from rq.job import Job
from rq.registry import ScheduledJobRegistry, StartedJobRegistry
from rq.scheduler import RQScheduler
from rq.utils import now

from django_rediscron import Outcomes, RedisCronJob, RedisCronScheduler, Run
from django_rediscron.core.store.keys import COUNTS, IN_FLIGHT, LOCK, outcomes_key, runs_key
from django_rediscron.core.store.rq_queues import use_queue_factory
from django_rediscron.core.story import following as following_module
from django_rediscron.core.story.following import MOST_ENDED, Following
from django_rediscron.core.story.in_flight import Entry, entry_text, terms
from tests import tasks
from tests.app import queues
from tests.processes import running_scheduler, wait_until, working

NOON = datetime(2026, 3, 23, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
YEAR = 365 * 86400
ABANDONED = "Moved to FailedJobRegistry, due to AbandonedJobError"


class Followed:
    """The schedule `report`, and a leader that follows its jobs."""

    def __init__(self, leader: RedisCronScheduler) -> None:
        self.leader = leader
        self.connection: Redis = leader.connection
        self.token = self.connection.get(LOCK).decode()
        self.following = Following(self.connection)
        self.queue = Queue("metrics", connection=self.connection)

    def enqueue(self, func: Callable[..., Any] = tasks.echo, **options: Any) -> Job:
        """By schedule."""
        self.schedule = self.leader.register(
            func, "metrics", id="report", interval=86400, **{"result_ttl": 500, **options}
        )
        assert len(self.leader.enqueue_jobs()) == 1
        (job_id,) = self.schedule.get_job_ids(self.connection)
        return Job.fetch(job_id, self.connection)

    def work(self) -> None:
        """Let a worker do all that waits."""
        SimpleWorker([self.queue], connection=self.connection).work(burst=True)

    def run(self) -> Run:
        """The only run, after the leader looked."""
        self.look()
        (run,) = self.schedule.get_runs(self.connection)
        return run

    def look(self) -> None:
        assert self.following.sweep(self.token)

    def ended(self, status: str) -> Run:
        """The only run, which has ended in this way and was counted so, once."""
        run = self.run()
        assert run.status == status
        assert in_flight(self.connection) == {}
        assert self.outcomes.counts == {status: 1}
        assert self.run() == run
        assert self.outcomes.counts == {status: 1}
        for key in (outcomes_key("report"), COUNTS):
            assert self.connection.hget(key, f"{status} metrics") == b"1"
        return run

    def lasting(self, status: str) -> Run:
        """The only run, which has not ended."""
        run = self.run()
        assert (run.status, run.ended_at, self.outcomes) == (status, None, Outcomes())
        assert list(in_flight(self.connection)) == [run.job_id]
        return run

    @property
    def outcomes(self) -> Outcomes:
        return self.schedule.get_outcomes(self.connection)


def in_flight(connection: Redis) -> dict[str, Entry]:
    """All jobs in flight, by id."""
    stored = connection.hgetall(IN_FLIGHT)
    entries = {job_id.decode(): Entry.from_text(text.decode()) for job_id, text in stored.items()}
    assert None not in entries.values()
    return entries


@pytest.fixture
def followed(leader: RedisCronScheduler) -> Followed:
    return Followed(leader)


# What is in flight


@pytest.mark.parametrize("kind", [Queue, queues.TaggingQueue, queues.ReportQueue])
@pytest.mark.parametrize("is_async", [True, False])
def test_each_job_is_in_flight_as_soon_as_it_exists(
    connection: Redis,
    leader: RedisCronScheduler,
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    is_async: bool,
) -> None:
    monkeypatch.setattr(Following, "step", lambda *_: True)  # some have ended
    use_queue_factory(lambda name, client: kind(name, connection=client, is_async=is_async))
    begin = now()
    job = leader.register(tasks.echo, "metrics", id="a b", interval=60, retry=3)
    leader.register(tasks.echo, "metrics", id="c", interval=60, overlap="skip")
    due = RedisCronJob.fetch("a b", connection).next_enqueue_time
    assert len(leader.enqueue_jobs()) == 2
    (of_c,) = RedisCronJob.fetch("c", connection).get_job_ids(connection)
    (of_a,) = job.get_job_ids(connection)
    by_hand = job.enqueue(connection)
    found = in_flight(connection)
    assert set(found) == {of_a, of_c, by_hand.id}
    assert found[of_a][:1] + found[of_a][2:6] == (due, "schedule", None, 3, "a b")
    assert found[of_c][2:6] == ("schedule", None, 0, "c")
    assert found[by_hand.id][:1] + found[by_hand.id][2:6] == (None, "hand", None, 3, "a b")
    assert all(begin - SECOND <= entry.enqueued_at <= now() for entry in found.values())


def test_jobs_run_that_cannot_be_followed(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    connection = followed.connection
    connection.set(IN_FLIGHT, "something else")
    followed.enqueue()
    followed.schedule.enqueue(connection)
    assert connection.llen("rq:queue:metrics") == 2
    assert connection.get(IN_FLIGHT) == b"something else"
    caplog.clear()
    followed.look()
    followed.look()
    assert caplog.text.count("The ends of jobs cannot be recorded: WRONGTYPE") == 1
    assert followed.following.pause > 1


# How a run ends


@pytest.mark.parametrize("result_ttl", [500, -1])
def test_success(followed: Followed, result_ttl: int) -> None:
    job = followed.enqueue(result_ttl=result_ttl)
    begin = followed.lasting("queued")
    assert (begin.attempts, begin.started_at, begin.queue_name) == (0, None, "metrics")
    followed.work()
    run = followed.ended("finished")
    assert (run.job_id, run.attempts, run.cause, run.error) == (job.id, 1, "schedule", "")
    assert (run.enqueued_at, run.occurrence) == (begin.enqueued_at, begin.occurrence)
    assert run.enqueued_at <= run.started_at <= run.ended_at <= now()
    assert (run.worker, run.queue_name) == (
        Job.fetch(job.id, followed.connection).worker_name,
        "metrics",
    )
    assert followed.outcomes == Outcomes(run.ended_at, None, 0, {"finished": 1})


def test_what_rq_deletes_at_once_is_unknown(followed: Followed) -> None:
    followed.enqueue(result_ttl=0)
    followed.work()
    run = followed.ended("unknown")
    assert (run.started_at, run.duration, run.attempts) == (None, None, 0)
    assert now() - timedelta(minutes=1) < run.ended_at <= now()
    assert followed.outcomes == Outcomes(counts={"unknown": 1})


@pytest.mark.parametrize("result_ttl", [0, 500])
def test_failure(followed: Followed, result_ttl: int) -> None:
    followed.enqueue(tasks.fail, result_ttl=result_ttl)
    followed.work()
    run = followed.ended("failed")
    assert (run.attempts, run.error) == (1, "ValueError: it failed, with a reason")
    assert followed.outcomes == Outcomes(None, run.ended_at, 1, {"failed": 1})


def test_failure_that_rq_does_not_keep(followed: Followed) -> None:
    followed.enqueue(tasks.fail, failure_ttl=1)
    followed.work()
    wait_until(lambda: not followed.connection.keys("rq:job:*"))
    followed.ended("unknown")


def test_all_attempts_are_one_run(followed: Followed) -> None:
    followed.enqueue(tasks.fail, retry=2)
    followed.work()
    run = followed.ended("failed")
    assert (run.attempts, run.error) == (3, "ValueError: it failed, with a reason")
    assert followed.outcomes.failures == 1


def test_success_at_the_second_attempt(followed: Followed) -> None:
    followed.enqueue(tasks.tell_occurrence, kwargs={"fail_first": True}, retry=2)
    followed.work()
    assert followed.ended("finished").attempts == 2


def test_a_retry_that_waits(followed: Followed) -> None:
    job = followed.enqueue(tasks.fail, retry=Retry(1, 60))
    followed.work()
    assert followed.lasting("queued").attempts == 1
    followed.connection.zadd(ScheduledJobRegistry(queue=followed.queue).key, {job.id: 1})
    scheduler = RQScheduler(["metrics"], connection=followed.connection)
    scheduler.acquire_locks()
    scheduler.enqueue_scheduled_jobs()
    assert followed.lasting("queued").attempts == 1
    followed.work()
    assert followed.ended("failed").attempts == 2


def test_functions_that_return_a_retry(followed: Followed) -> None:
    followed.enqueue(tasks.ask_again, args=(2,))
    followed.work()
    run = followed.ended("failed")
    assert (run.attempts, run.error) == (3, "it returned Retry after its last attempt")


def test_canceled(followed: Followed) -> None:
    followed.enqueue().cancel()
    run = followed.ended("canceled")
    assert (run.attempts, run.started_at) == (0, None)
    assert followed.outcomes == Outcomes(counts={"canceled": 1})


def test_deleted(followed: Followed) -> None:
    followed.enqueue().delete()
    followed.ended("unknown")


def test_expired_in_the_queue(followed: Followed) -> None:
    job = followed.enqueue(ttl=600)
    followed.lasting("queued")
    assert followed.connection.ttl(job.key) > 0
    followed.connection.expire(job.key, 0)
    followed.ended("unknown")


def test_no_job_any_more(followed: Followed) -> None:
    job = followed.enqueue()
    followed.connection.set(job.key, "something else")
    followed.ended("unknown")


def test_too_slow(followed: Followed) -> None:
    followed.enqueue(tasks.wait_for_release, args=("never",), job_timeout=1)
    followed.work()
    run = followed.ended("failed")
    assert "JobTimeoutException: Task exceeded maximum timeout value (1 seconds)" in run.error
    assert run.duration >= SECOND


def test_a_callback_that_raises(followed: Followed) -> None:
    followed.enqueue(on_success=tasks.raising_callback)
    followed.work()
    assert followed.ended("failed").error == "RuntimeError: no callback"


def test_in_the_process_of_the_scheduler(followed: Followed) -> None:
    use_queue_factory(lambda name, client: Queue(name, connection=client, is_async=False))
    followed.enqueue(tasks.fail)
    assert followed.ended("failed").error == "ValueError: it failed, with a reason"


def test_jobs_of_a_class_with_keys_of_its_own(followed: Followed) -> None:
    class OwnJob(Job):
        redis_job_namespace_prefix = "own:job:"

    def own_queue(name: str, client: Redis) -> Queue:
        return Queue(name, connection=client, job_class=OwnJob)

    use_queue_factory(own_queue)
    job = followed.leader.register(tasks.echo, "metrics", id="report", interval=86400)
    followed.schedule = job
    followed.leader.enqueue_jobs()
    followed.lasting("queued")
    queue = own_queue("metrics", followed.connection)
    SimpleWorker([queue], connection=followed.connection, job_class=OwnJob).work(burst=True)
    followed.ended("finished")


# With the processes of real workers


def await_start(connection: Redis) -> None:
    assert connection.blpop(["release:started"], timeout=50) is not None


def test_stopped(followed: Followed, redis_url: str) -> None:
    job = followed.enqueue(tasks.wait_for_release, args=("release",), retry=2)
    with working(redis_url):
        await_start(followed.connection)
        run = followed.lasting("started")
        assert run.attempts == 1
        send_stop_job_command(followed.connection, job.id)
        wait_until(lambda: job.get_status() == "stopped", timeout=60)
    run = followed.ended("stopped")
    assert (run.attempts, run.error) == (1, "Job stopped by user, work-horse terminated.")
    assert followed.outcomes == Outcomes(counts={"stopped": 1})


def test_canceled_while_it_runs(followed: Followed, redis_url: str) -> None:
    """RQ does not stop it, and notes its end."""
    job = followed.enqueue(tasks.wait_for_release, args=("release",))
    with working(redis_url):
        await_start(followed.connection)
        job.cancel()
        followed.look()
        assert list(in_flight(followed.connection)) == [job.id]
        followed.connection.rpush("release", "go")
        wait_until(lambda: job.get_status() == "finished")
    followed.ended("finished")


def test_a_work_horse_that_is_killed(followed: Followed, redis_url: str) -> None:
    job = followed.enqueue(tasks.die)
    with working(redis_url):
        wait_until(lambda: job.get_status() == "failed", timeout=60)
    run = followed.ended("failed")
    assert run.error.startswith("Work-horse terminated unexpectedly; waitpid returned 9")
    assert run.worker == job.latest_result().worker_name != ""


@pytest.mark.parametrize("retries", [None, 1])
def test_a_worker_that_is_killed(followed: Followed, redis_url: str, retries: int | None) -> None:
    """RQ sees to it when the heartbeat has expired and a worker does its maintenance."""
    followed.enqueue(tasks.wait_for_release, args=("release",), retry=retries)
    with working(redis_url, "SimpleWorker") as worker:
        await_start(followed.connection)
        os.kill(worker, signal.SIGKILL)
    started = followed.lasting("started")
    StartedJobRegistry(queue=followed.queue).cleanup(time.time() + 1000)
    if retries:
        assert followed.lasting("queued").attempts == 1
        return
    cleaned_up = now()
    run = followed.ended("failed")
    assert run.error.startswith(ABANDONED)
    assert (run.attempts, run.started_at) == (1, started.started_at)
    assert run.started_at <= run.ended_at <= cleaned_up


def test_a_running_scheduler_sees_the_end_of_each_run_while_it_sleeps(
    followed: Followed, redis_url: str
) -> None:
    """Also of a run by hand, which wakes nobody."""
    connection = followed.connection
    job = followed.leader.register(
        tasks.echo, "metrics", id="report", interval=86400, result_ttl=20
    )
    followed.leader.register_death()
    asleep = running_scheduler(redis_url, lock_ttl=3600, max_sleep=3600)
    with asleep, working(redis_url, "SimpleWorker"):
        wait_until(lambda: job.get_outcomes(connection).counts == {"finished": 1}, timeout=60)
        job.enqueue(connection)
        wait_until(lambda: job.get_outcomes(connection).counts == {"finished": 2}, timeout=60)


@pytest.mark.slow
def test_what_ended_while_nobody_led_is_seen_later(followed: Followed, redis_url: str) -> None:
    followed.enqueue()
    followed.leader.register_death()
    followed.work()
    with running_scheduler(redis_url):
        wait_until(lambda: not followed.connection.exists(IN_FLIGHT))
    assert [run.status for run in followed.schedule.get_runs(followed.connection)] == ["finished"]


def test_a_single_pass_sees_what_has_ended(followed: Followed) -> None:
    connection = followed.connection
    for number in range(120):
        put_in_flight(connection, "a", f"{number}", "finished", NOON)
    followed.leader.register_death()
    RedisCronScheduler(connection).start(burst=True)
    assert not connection.exists(IN_FLIGHT)


def test_a_program_that_makes_the_passes_itself_sees_what_has_ended(followed: Followed) -> None:
    followed.enqueue()
    followed.work()
    wait_until(lambda: followed.leader.enqueue_jobs() or not in_flight(followed.connection))
    assert [run.status for run in followed.schedule.get_runs(followed.connection)] == ["finished"]


# What is kept


def put_in_flight(connection: Redis, id: str, job_id: str, status: str, ended_at: datetime) -> None:
    """A job that ended in this way."""
    text = entry_text(NOON, NOON, terms("schedule", "rq:job:"), id)
    connection.hset(IN_FLIGHT, job_id, text)
    times = {name: f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" for name, at in
             (("started_at", NOON), ("ended_at", ended_at))}  # fmt: skip
    connection.hset(f"rq:job:{job_id}", mapping={"status": status, **times})


def test_failures_in_a_row_count_in_the_order_in_which_runs_ended(followed: Followed) -> None:
    connection = followed.connection

    def look(*ended: tuple[str, int]) -> int:
        for status, second in ended:
            put_in_flight(connection, "a", f"{second}", status, NOON + second * SECOND)
        followed.look()
        return outcomes().failures

    def outcomes() -> Outcomes:
        return RedisCronJob("a", "q", func_name="a.b", interval=1).get_outcomes(connection)

    assert look(("failed", 3), ("finished", 2), ("failed", 1)) == 1
    assert look(("failed", 5)) == 2
    assert look(("finished", 4)) == 2  # seen late
    assert look(("stopped", 6), ("canceled", 7)) == 2
    assert look(("finished", 9), ("failed", 10)) == 1
    assert look(("failed", 8)) == 1
    counts = {"failed": 5, "finished": 3, "stopped": 1, "canceled": 1}
    assert outcomes() == Outcomes(NOON + 9 * SECOND, NOON + 10 * SECOND, 1, counts)


@pytest.mark.parametrize("keep_runs", [0, 2])
def test_as_many_runs_are_kept_as_are_wanted(followed: Followed, keep_runs: int) -> None:
    connection = followed.connection
    followed.following.keep_runs = keep_runs
    for number in range(3):
        put_in_flight(connection, "a", f"{number}", "finished", NOON + number * SECOND)
    followed.look()
    job = RedisCronJob("a", "q", func_name="a.b", interval=1)
    assert {run.job_id for run in job.get_runs(connection)} == {"2", "1"} - set("21"[keep_runs:])
    assert job.get_outcomes(connection).counts == {"finished": 3}
    assert connection.ttl(outcomes_key("a")) > YEAR - 60
    assert not keep_runs or connection.ttl(runs_key("a")) > YEAR - 60
    followed.following.keep_runs = 0
    put_in_flight(connection, "a", "3", "finished", NOON)
    followed.look()
    assert job.get_runs(connection) == []


def test_the_story_outlives_its_schedule(followed: Followed) -> None:
    followed.enqueue()
    followed.work()
    run = followed.ended("finished")
    second = followed.schedule.enqueue(followed.connection)
    followed.schedule.delete()
    assert followed.schedule.get_runs(followed.connection) == [run]
    followed.work()
    followed.look()
    runs = followed.schedule.get_runs(followed.connection)
    assert [each.job_id for each in runs] == [second.id, run.job_id]


def test_many_that_have_ended_are_all_recorded(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few are taken at a time."""
    monkeypatch.setattr(following_module, "SLICE", 40)
    monkeypatch.setattr(following_module, "MOST_ENDED", 7)
    connection = followed.connection
    for number in range(300):
        put_in_flight(connection, f"{number % 3}", f"{number}", "finished", NOON)
    followed.look()
    assert not connection.exists(IN_FLIGHT)
    assert connection.llen(runs_key("0")) == 100


def test_a_leader_at_rest_records_without_pauses(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pass it makes some."""
    for name, value in (("MOST_ENDED", 7), ("RECORDING_PAUSE", 60), ("SWEEP", 60)):
        monkeypatch.setattr(following_module, name, value)
    for number in range(10):
        put_in_flight(followed.connection, "a", f"{number}", "finished", NOON)
    assert followed.following.step(followed.token)
    assert followed.following.pause_at_rest == 0 < followed.following.pause
    assert followed.following.step(followed.token)
    assert followed.following.pause_at_rest > 0
    assert not followed.connection.exists(IN_FLIGHT)


def test_keys_of_another_kind_make_room(followed: Followed) -> None:
    followed.enqueue()
    for key in (runs_key("report"), outcomes_key("report")):
        followed.connection.set(key, "something else")
    followed.work()
    followed.ended("finished")


def test_damaged_entries_harm_nobody(followed: Followed) -> None:
    followed.enqueue()
    odd = followed.connection.hgetall(IN_FLIGHT).popitem()[1]
    damaged = {f"{number}": "" for number in range(2 * MOST_ENDED)}
    damaged |= {b"\xff%d" % number: odd for number in range(2 * MOST_ENDED)}
    followed.connection.hset(IN_FLIGHT, mapping={"a": "b", "c": b"\xff", "": "", **damaged})
    followed.work()
    assert followed.run().status == "finished"


# Who records


def test_only_the_leader_records(followed: Followed) -> None:
    followed.enqueue()
    followed.work()
    followed.connection.set(LOCK, "another")
    assert not followed.following.step(followed.token)
    assert len(in_flight(followed.connection)) == 1
    assert followed.outcomes == Outcomes()


def test_a_leader_that_lost_the_lock_meanwhile_records_nothing(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.enqueue()
    followed.work()
    record = Following._record

    def lose(self: Following, token: str, ended: Any) -> bool:
        followed.connection.set(LOCK, "another")
        return record(self, token, ended)

    monkeypatch.setattr(Following, "_record", lose)
    assert not followed.following.sweep(followed.token)
    assert followed.outcomes == Outcomes()
    assert len(in_flight(followed.connection)) == 1
