"""What became of the jobs of a schedule, by RQ's own records."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from django_rediscron import Outcomes, RedisCronJob, Run
from django_rediscron.core.store.keys import history_key, outcomes_key, runs_key
from django_rediscron.core.story.in_flight import entry_text, terms
from django_rediscron.core.story.outcomes import read_outcomes
from django_rediscron.core.story.runs import read_recent, read_runs, read_runs_of
from django_rediscron.core.timing.cron_times import utc_text

MINUTE, MICROSECOND = timedelta(minutes=1), timedelta(microseconds=1)
NOW = datetime(2026, 6, 1, 9, 30, 15, 123457, tzinfo=timezone.utc)


@pytest.fixture
def enqueue(connection: Redis) -> Callable[[str], Job]:
    def make(id: str, func_name: str = "tests.tasks.echo") -> Job:
        job = RedisCronJob(id, "default", func_name=func_name, interval=60, connection=connection)
        job.save()
        return job.enqueue(connection)

    return make


def test_the_newest_runs_and_their_outcomes(
    connection: Redis, enqueue: Callable[[str], Job]
) -> None:
    first = enqueue("a")
    SimpleWorker([Queue("default", connection=connection)], connection=connection).work(burst=True)
    second = enqueue("a")
    runs = read_runs(["a", "never"], connection, 10)
    newest, oldest = runs["a"]
    assert runs["never"] == []
    assert (newest.job_id, newest.status, newest.duration) == (second.id, "queued", None)
    assert (oldest.job_id, oldest.status, oldest.queue_name) == (first.id, "finished", "default")
    assert oldest.duration is not None
    assert oldest.started_at is not None
    assert oldest.enqueued_at <= oldest.started_at
    assert [run.job_id for run in read_runs(["a"], connection)["a"]] == [second.id]


def test_what_rq_has_forgotten_is_still_a_run(
    connection: Redis, enqueue: Callable[[str], Job]
) -> None:
    job = enqueue("a")
    connection.delete(job.key)
    (run,) = read_runs(["a"], connection)["a"]
    assert (run.job_id, run.status, run.started_at, run.queue_name) == (job.id, "", None, "")


def test_keys_of_another_kind_harm_nobody(connection: Redis, enqueue: Callable[[str], Job]) -> None:
    job = enqueue("a")
    connection.set("rq:cron_job:b:jobs", "not a history")
    connection.set(job.key, "not a job")
    runs = read_runs(["a", "b"], connection)
    assert runs["b"] == []
    assert [run.status for run in runs["a"]] == [""]


# Recorded runs, and those in flight

NOON = datetime(2026, 3, 23, 12, 0, 0, 250, tzinfo=timezone.utc)
UUID = "0191d3c4-7a60-4f5e-8c3b-27fd1e1a9b40"


@pytest.mark.parametrize(
    "run",
    [
        Run("job", NOON, "unknown", ended_at=NOON + MINUTE, cause="hand"),
        Run(
            *("an id", NOON, "failed", NOON - MICROSECOND, NOON + MINUTE, "worker 1\n", "q%20 ü"),
            *(NOON - MINUTE, "schedule", 3, "ValueError: a  reason", True),
        ),
        Run("x", NOON, "stopped", NOON, NOON, "", "", NOON, "backfill", 12),
        Run(UUID, NOON, "failed", NOON, NOON, UUID.replace("-", ""), "default", error="Error: x"),
        Run(UUID.upper(), NOON, "failed", NOON, NOON, f"{{{UUID}}}"),
        Run("!" + UUID, NOON, "failed", NOON, NOON, "*"),
    ],
)
def test_a_record_is_read_as_it_was_written(run: Run) -> None:
    assert Run.from_text(run.to_text()) == run


@pytest.mark.parametrize(
    ("status", "error"), [("finished", ""), ("failed", "ConnectionError: bank.example")]
)
def test_a_record_takes_at_most_150_bytes_of_memory(
    status: str, error: str, connection: Redis
) -> None:
    """With a worker named by RQ, in a list as long as they are by default."""
    due, started = NOW - timedelta(seconds=0.25), NOW + timedelta(minutes=20)
    for _ in range(100):
        names = (uuid.uuid4().hex, "default")
        times = (started, started + timedelta(hours=1, microseconds=123457))
        run = Run(str(uuid.uuid4()), NOW, status, *times, *names, due, attempts=1, error=error)
        connection.lpush(runs_key("a"), run.to_text())
    assert connection.memory_usage(runs_key("a"), samples=0) <= 100 * 150


@pytest.mark.parametrize(
    "text", ["", "job f", "job ? s 1 - - - 1", '{"at": 1}', f"j f s {10**30}", "!x f s 1 - - - 1"]
)
def test_what_is_no_record_is_left_out(text: str, connection: Redis) -> None:
    assert Run.from_text(text) is None
    connection.rpush(runs_key("a"), text)
    assert read_runs_of("a", connection) == []


def test_runs_in_flight_are_as_rq_says_and_records_as_they_were_written(
    connection: Redis, enqueue: Callable[[str], Job]
) -> None:
    waiting, other = enqueue("a"), enqueue("b c")
    ended = Run("ended", NOON, "finished", NOON, NOON + MINUTE, attempts=1, occurrence=NOON)
    connection.rpush(runs_key("a"), ended.to_text(), "damaged")
    for job, id, entry in (
        (waiting, "a", entry_text(NOON, NOW, terms("schedule", "rq:job:", 2, 60), "a")),
        (other, "b c", entry_text(None, NOW, terms("hand", "rq:job:"), "b c")),
    ):
        connection.hset("rq:cron_jobs:in_flight", job.id, entry)
        connection.zadd(history_key(id), {job.id: 1})
    newest, oldest = read_runs_of("a", connection)
    assert oldest == ended
    assert (newest.job_id, newest.status, newest.queue_name) == (waiting.id, "queued", "default")
    assert (newest.occurrence, newest.enqueued_at, newest.attempts) == (NOON, NOW, 0)
    assert read_runs_of("a", connection, 1) == [ended]
    assert read_runs_of("a", connection, 0, -2) == [newest]

    recent = read_recent(["b c", "never", "a"], connection, 1)
    assert [len(runs) for runs in recent.values()] == [1, 0, 1]
    assert (recent["b c"][0].cause, recent["b c"][0].occurrence) == ("hand", None)

    connection.delete(waiting.key)
    assert read_runs_of("a", connection)[0].status == "unknown"


def test_keys_of_another_kind_hold_no_story(
    connection: Redis, enqueue: Callable[[str], Job]
) -> None:
    enqueue("a")
    for key in ("rq:cron_jobs:in_flight", runs_key("a"), outcomes_key("a")):
        connection.set(key, "something else")
    assert read_runs_of("a", connection) == []
    assert read_outcomes(["a", "b"], connection) == {"a": Outcomes(), "b": Outcomes()}


def test_outcomes_are_read_as_far_as_they_are_known(connection: Redis) -> None:
    fields = {"finished": 3, "failed": "some", "failures": 1, "last_failure": utc_text(NOON)}
    connection.hset(outcomes_key("a"), mapping=fields)
    (found,) = read_outcomes(["a"], connection).values()
    assert found == Outcomes(None, NOON, 1, {"finished": 3})
