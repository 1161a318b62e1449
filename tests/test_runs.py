"""What became of the jobs of a schedule, by RQ's own records."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from django_rediscron import RedisCronJob
from django_rediscron.core.story.runs import read_runs


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
