"""Two projects in one Redis: one scheduler leads, and enqueues what both declare.

Seen to fail, each with this taken out: `Applications.target` (own settings were looked at, and
functions imported), `set_zone`, `begin_pass`, the application in `check_health`, `_whose`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch.applications import describe, publish
from django_rediscron.core.store.keys import APPLICATIONS, job_key
from django_rediscron.core.store.rq_queues import use_queue_factory
from tests import tasks
from tests.app import queues
from tests.clock import Clock, set_clock
from tests.forks import run_python
from tests.processes import close, start_python, wait_until

NOON = datetime(2026, 3, 23, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)

# Two projects as processes

SETTINGS = """
SECRET_KEY = "x"
USE_TZ = True
TIME_ZONE = {zone!r}
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
INSTALLED_APPS = ["django_rq", "django_rediscron", "{name}"]
RQ_QUEUES = {{
    "{name}": {{"URL": {url!r}, "DEFAULT_TIMEOUT": 77}},
    "{name}-json": {{"URL": {url!r}, "SERIALIZER": "rq.serializers.JSONSerializer"}},
    "{name}-here": {{"URL": {url!r}, "ASYNC": False}},
}}
REDISCRON = {{"QUEUE": "{name}", "APPLICATION": "{name}"}}
"""

APPS = """
from django.apps import AppConfig

class Config(AppConfig):
    name = "{name}"

    def ready(self):
        from django_rediscron import register
        from .tasks import work
        register(work, "{name}", id="{name}:plain", args=("plain",), interval=1)
        register(work, "{name}-json", id="{name}:json", args=("json",), interval=1)
        {more}
"""

TASKS = """
def work(word):
    return "{name} did " + word
"""


class Project:
    """A Django project of its own, which no other can import."""

    def __init__(self, folder: Path, name: str, url: str, zone: str, more: str = "pass") -> None:
        self.name = name
        self._folder = folder / f"{name}-site"
        package = self._folder / name
        package.mkdir(parents=True)
        told = {"name": name, "url": url, "zone": zone, "more": more}
        for file, text in (("settings", SETTINGS), ("apps", APPS), ("tasks", TASKS)):
            (package / f"{file}.py").write_text(text.format(**told))
        (package / "__init__.py").touch()
        root = str(Path(__file__).parent.parent)
        self._environment = {
            "DJANGO_SETTINGS_MODULE": f"{name}.settings",
            "PYTHONPATH": os.pathsep.join((str(self._folder), root)),
        }

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `manage.py`."""
        return run_python("-m", "django", *arguments, env={**os.environ, **self._environment})

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one that goes on."""
        return start_python("-m", "django", *arguments, **self._environment)


@pytest.fixture
def alpha(tmp_path: Path, redis_url: str, connection: Redis) -> Iterator[Project]:
    """The one whose scheduler leads."""
    project = Project(tmp_path, "alpha", redis_url, "UTC")
    scheduler = project.start("rqcron_scheduler")
    wait_until(lambda: connection.exists("rq:cron_jobs:lock"), timeout=60)
    yield project
    scheduler.terminate()
    scheduler.communicate()
    close(scheduler.stdout)


def test_a_leader_enqueues_what_another_project_declares(
    alpha: Project, tmp_path: Path, redis_url: str, connection: Redis
) -> None:
    beta = Project(tmp_path, "beta", redis_url, "Asia/Tokyo")
    refused = beta.manage("rqcron_scheduler")
    assert refused.returncode == 1
    assert "scheduler of application 'alpha'" in refused.stderr
    assert "run `manage.py rqrcron_sync` of 'beta'" in refused.stderr

    synced = beta.manage("rqrcron_sync")
    assert synced.returncode == 0, synced.stderr
    for queue_name in ("beta", "beta-json"):
        wait_until(lambda name=queue_name: connection.llen(f"rq:queue:{name}"), timeout=30)
    job_id = connection.lindex("rq:queue:beta", 0).decode()
    json_job_id = connection.lindex("rq:queue:beta-json", 0).decode()
    assert Job.fetch(job_id, connection).timeout == 77
    serializer = "rq.serializers.JSONSerializer"
    for options in (("beta",), ("beta-json", "--serializer", serializer)):
        worked = beta.manage("rqworker", *options, "--burst", "--max-jobs", "1")
        assert worked.returncode == 0, worked.stderr
    assert Job.fetch(job_id, connection).return_value() == "beta did plain"
    done = Job.fetch(json_job_id, connection, serializer=JSONSerializer)
    assert done.return_value() == "beta did json"
    assert beta.manage("rqcron_health").returncode == 0


def test_what_a_leader_cannot_enqueue_for_another_project_is_in_error_and_ill(
    alpha: Project, tmp_path: Path, redis_url: str, connection: Redis
) -> None:
    more = 'register(work, "beta-here", id="beta:here", args=("here",), interval=1)'
    beta = Project(tmp_path, "beta", redis_url, "UTC", more)
    assert beta.manage("rqrcron_sync").returncode == 0
    wait_until(lambda: connection.hget(job_key("beta:here"), "last_error"), timeout=30)

    error = RedisCronJob.fetch("beta:here", connection).last_error or ""
    for part in ("'alpha'", "'beta'", "ASYNC: False", "RQ_KEY_PREFIX"):
        assert part in error
    assert RedisCronJob.fetch("beta:plain", connection).last_error is None
    health = beta.manage("rqcron_health")
    assert health.returncode == 1
    assert health.stdout.startswith("schedules in error: of application 'beta', while the sched")
    assert "'beta:here'" in health.stdout
    assert alpha.manage("rqcron_health").returncode == 0


# What is published


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, NOON)


class Alpha(RedisCronScheduler):
    """The scheduler of a project."""

    application = "alpha"


@pytest.fixture
def leader(connection: Redis) -> RedisCronScheduler:
    scheduler = Alpha(connection, name="leader", lock_ttl=3600)
    scheduler.register_birth()
    return scheduler


def declare(connection: Redis, **options: Any) -> RedisCronJob:
    """A schedule of the project beta, which has functions of its own."""
    timing = {} if "interval" in options or "cron" in options else {"interval": 3600}
    job = RedisCronJob(
        "report", "metrics", tasks.echo, connection=connection, **{**timing, **options}
    )
    job.save()
    connection.hset(job_key("report"), "func_name", "beta.tasks.report")
    connection.hset(job_key("report"), mapping={"source": "code", "application": "beta"})
    return job


def beta_queues(connection: Redis, **options: Any) -> list[Queue]:
    return [Queue("metrics", connection=connection, **options)]


def test_a_cron_expression_without_a_zone_is_read_in_that_of_its_application(
    connection: Redis, leader: RedisCronScheduler, clock: Clock
) -> None:
    publish("beta", beta_queues(connection), "Asia/Tokyo", connection)
    declare(connection, cron="0 8 * * *")
    connection.hdel(job_key("report"), "next_enqueue_time")
    connection.zadd("rq:cron_jobs", {"report": clock.time.timestamp()})
    leader.enqueue_jobs()
    following = RedisCronJob.fetch("report", connection).next_enqueue_time
    assert following == datetime(2026, 3, 23, 23, tzinfo=timezone.utc)
    clock.time = following
    assert len(leader.enqueue_jobs()) == 1
    following = RedisCronJob.fetch("report", connection).next_enqueue_time
    assert following == datetime(2026, 3, 24, 23, tzinfo=timezone.utc)


def test_what_is_published_anew_counts_from_the_next_pass(
    connection: Redis, leader: RedisCronScheduler, clock: Clock
) -> None:
    def timeout() -> int:
        clock.advance(HOUR)
        assert len(leader.enqueue_jobs()) == 1
        (job_id, *_) = RedisCronJob.fetch("report", connection).get_job_ids(connection)
        return int(Job.fetch(job_id, connection).timeout)

    publish("beta", beta_queues(connection, default_timeout=5), None, connection)
    declare(connection)
    connection.hset(job_key("report"), "on_success", "beta.tasks.done 7")
    assert timeout() == 5
    publish("beta", beta_queues(connection, default_timeout=6), None, connection)
    assert timeout() == 6


def test_what_published_nothing_is_told_to_sync(
    connection: Redis, leader: RedisCronScheduler, clock: Clock
) -> None:
    declare(connection)
    clock.advance(HOUR)
    assert leader.enqueue_jobs() == []
    error = RedisCronJob.fetch("report", connection).last_error or ""
    assert "application 'beta'" in error
    assert "run `manage.py rqrcron_sync` of 'beta'" in error
    publish("beta", beta_queues(connection), None, connection)
    clock.advance(HOUR)
    assert len(leader.enqueue_jobs()) == 1


@pytest.mark.parametrize("text", ["{bad", "[]", "null", '{"queues": []}', '{"queues": {"a": 1}}'])
def test_what_others_wrote_there_counts_as_nothing(
    connection: Redis, leader: RedisCronScheduler, clock: Clock, text: str
) -> None:
    connection.hset(APPLICATIONS, "beta", text)
    declare(connection)
    clock.advance(HOUR)
    assert leader.enqueue_jobs() == []
    assert "rqrcron_sync" in (RedisCronJob.fetch("report", connection).last_error or "")


def test_the_same_settings_are_a_remedy(
    connection: Redis, leader: RedisCronScheduler, clock: Clock
) -> None:
    """Two settings modules of one project: what is special is as special here."""
    own = queues.TaggingQueue("metrics", connection=connection)
    publish("beta", [own], None, connection)
    declare(connection)
    connection.hset(job_key("report"), "func_name", "tests.tasks.echo")
    clock.advance(HOUR)
    assert leader.enqueue_jobs() == []
    assert "TaggingQueue" in (RedisCronJob.fetch("report", connection).last_error or "")
    use_queue_factory(lambda name, client: queues.TaggingQueue(name, connection=client))
    clock.advance(HOUR)
    assert len(leader.enqueue_jobs()) == 1
    assert connection.get("tagged") == b"1"


def test_only_what_is_not_rqs_own_is_published(connection: Redis) -> None:
    assert describe(Queue("metrics", connection=connection)) == {}
    plain = queues.ReportQueue("metrics", connection=connection, job_class=queues.ReportJob)
    assert describe(plain) == {}
    publish("beta", beta_queues(connection, serializer=JSONSerializer), "EST5", connection)
    found = json.loads(connection.hget(APPLICATIONS, "beta"))
    assert found == {"queues": {"metrics": {"serializer": "json"}}}
