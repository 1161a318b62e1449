"""Run now: one job at once, apart from the schedule."""

from __future__ import annotations

import sys
from collections.abc import Callable

from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.test import Client
from redis import Redis
from rq import Queue
from rq.job import Job

from django_rediscron import RedisCronJob
from django_rediscron.core.dispatch.applications import publish

from .conftest import LIST
from .forms import change_url, messages

Make = Callable[..., RedisCronJob]


def run_url(id: str) -> str:
    return f"{LIST}{quote(id)}/run/"


def test_enqueues_at_once_and_does_not_move_the_schedule(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    schedule("a/b", cron="0 3 * * *", args=("x",), kwargs={"y": 1})
    before = connection.hgetall("rq:cron_job:a/b")
    assert run_url("a/b") in operator.get(change_url("a/b")).text

    asked = operator.get(run_url("a/b"))
    assert "tests.tasks.echo" in asked.text
    assert connection.llen("rq:queue:default") == 0

    done = operator.post(run_url("a/b"))

    assert done.headers["Location"] == change_url("a/b")
    (job_id,) = RedisCronJob.fetch("a/b", connection).get_job_ids(connection)
    job = Job.fetch(job_id, connection=connection)
    assert (job.func_name, job.args, job.kwargs) == ("tests.tasks.echo", ("x",), {"y": 1})
    assert connection.lrange("rq:queue:default", 0, -1) == [job_id.encode()]
    assert connection.hgetall("rq:cron_job:a/b") == before
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id) == ("user-view-add-change-delete-run", "a/b")
    assert job_id in entry.get_change_message()
    (told,) = messages(done)
    assert f'/{job_id}/">{job_id}</a>' in told
    page = operator.get(change_url("a/b"))
    assert f'/{job_id}/">{job_id}</a>' in page.text
    assert "queued" in page.text


def test_what_another_project_declares_is_enqueued_by_its_name(
    operator: Client, schedule: Make, connection: Redis
) -> None:
    publish("beta", [Queue("beta", connection=connection, default_timeout=77)], None, connection)
    schedule("theirs")
    theirs = {"source": "code", "application": "beta", "queue_name": "beta"}
    # a module that can be imported, though it is none of ours, and is not the one that is meant
    connection.hset("rq:cron_job:theirs", mapping={**theirs, "func_name": "this.poem"})

    done = operator.post(run_url("theirs"))

    (job_id,) = RedisCronJob.fetch("theirs", connection).get_job_ids(connection)
    assert job_id in messages(done)[0]
    assert connection.lrange("rq:queue:beta", 0, -1) == [job_id.encode()]
    assert Job.fetch(job_id, connection=connection).timeout == 77
    assert "this" not in sys.modules

    connection.hset("rq:cron_job:theirs", "queue_name", "unpublished")
    told = messages(operator.post(run_url("theirs")))[-1]
    for part in ("beta", "unpublished", "RQ_KEY_PREFIX"):
        assert part in told
    connection.hset("rq:cron_job:theirs", "application", "gamma")
    told = messages(operator.post(run_url("theirs")))[-1]
    for part in ("gamma", "rqrcron_sync"):
        assert part in told


def test_what_cannot_run_is_told(operator: Client, schedule: Make, connection: Redis) -> None:
    schedule("job")
    connection.hset("rq:cron_job:job", "func_name", "tests.tasks.gone")
    response = operator.post(run_url("job"))
    assert "cannot be imported" in messages(response)[0]
    assert connection.llen("rq:queue:default") == 0
    assert not LogEntry.objects.exists()


def test_a_schedule_that_is_gone(operator: Client) -> None:
    assert operator.get(run_url("gone")).status_code == 404
    assert operator.post(run_url("gone")).status_code == 404


def test_needs_its_own_permission_and_no_other(
    client_with: Callable[..., Client], schedule: Make, connection: Redis
) -> None:
    schedule("job")
    everything_else = client_with("view", "add", "change", "delete")
    assert run_url("job") not in everything_else.get(change_url("job")).text
    assert everything_else.get(run_url("job")).status_code == 403
    assert everything_else.post(run_url("job")).status_code == 403
    assert connection.llen("rq:queue:default") == 0
    only = client_with("run")
    assert only.get(run_url("job")).status_code == 200
    assert only.post(run_url("job")).headers["Location"] == "/admin/"
    assert connection.llen("rq:queue:default") == 1


def test_needs_a_token(client_with: Callable[..., Client], schedule: Make) -> None:
    schedule("job")
    client = client_with("run")
    client.handler.enforce_csrf_checks = True
    assert client.post(run_url("job")).status_code == 403
