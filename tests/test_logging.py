"""Logs: standard loggers, nothing imposed on the host, and attributes for a JSON formatter."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import history_key, job_key
from tests import tasks
from tests.forks import ROOT, run_python

PACKAGE = ROOT / "django_rediscron"
DEPLOY = ROOT / "docs" / "deploy.md"


# Records


def test_a_record_of_an_enqueued_job_names_schedule_occurrence_and_job(
    connection: Redis, leader: RedisCronScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    leader.register(tasks.echo, "metrics", id="visits", interval=300)
    with caplog.at_level(logging.INFO, "django_rediscron"):
        leader.enqueue_jobs()
    (record,) = [record for record in caplog.records if hasattr(record, "rq_job_id")]
    assert record.name == "django_rediscron.core.dispatch.batch"
    assert record.__dict__["schedule_id"] == "visits"
    assert [record.__dict__["rq_job_id"].encode()] == connection.lrange("rq:queue:metrics", 0, -1)
    nominal = RedisCronJob.fetch("visits", connection).latest_enqueue_time
    assert datetime.fromisoformat(record.__dict__["occurrence"]) == nominal
    assert "visits" in record.getMessage()


def test_the_occurrence_is_the_time_that_the_run_was_due_not_that_of_the_pass(
    connection: Redis, leader: RedisCronScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    job = leader.register(tasks.echo, "metrics", id="visits", interval=300)
    assert job.next_enqueue_time is not None
    due = job.next_enqueue_time - timedelta(seconds=100)
    connection.hset(job.key, "next_enqueue_time", due.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    with caplog.at_level(logging.INFO, "django_rediscron"):
        leader.enqueue_jobs()
    (occurrence,) = [r.occurrence for r in caplog.records if hasattr(r, "occurrence")]
    assert datetime.fromisoformat(occurrence) == due


def test_a_record_of_an_error_names_the_schedule(
    connection: Redis, leader: RedisCronScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    leader.register(tasks.echo, "metrics", id="broken", interval=300)
    connection.hset(job_key("broken"), "func_name", "tests.tasks.no_such_function")
    leader.register(tasks.echo, "metrics", id="blocked", interval=300)
    connection.set(history_key("blocked"), "something")
    leader.enqueue_jobs()
    errors = {
        record.__dict__["schedule_id"]: record
        for record in caplog.records
        if record.levelno == logging.ERROR
    }
    assert errors.keys() == {"broken", "blocked"}
    assert "no_such_function" in errors["broken"].getMessage()
    assert "is not a sorted set" in errors["blocked"].getMessage()
    assert not any(hasattr(record, "rq_job_id") for record in errors.values())


def test_each_module_logs_under_its_own_name() -> None:
    names = {
        call
        for path in PACKAGE.rglob("*.py")
        for call in re.findall(r"getLogger\((.*?)\)", path.read_text(encoding="utf-8"))
    }
    assert names == {"__name__", "PACKAGE_LOGGER", "RQ_LOGGER", "name"}


# Handlers and levels are the host's

LOGGERS = ("django_rediscron", "django_rediscron.core.scheduler", "rq", "rq.cron")

HANDLERS = """
import json, logging, logging.config, sys
configuration = json.loads(sys.argv[1])
if configuration:
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **configuration})
from redis import Redis
from django_rediscron import RedisCronScheduler
RedisCronScheduler(Redis())
print(json.dumps({name: len(logging.getLogger(name).handlers) for name in json.loads(sys.argv[2])}))
"""
CONSOLE = {"console": {"class": "logging.StreamHandler"}}
BY_ROOT = {"handlers": CONSOLE, "root": {"handlers": ["console"]}}
BY_PACKAGE = {"handlers": CONSOLE, "loggers": {"django_rediscron": {"handlers": ["console"]}}}


def handlers(configuration: dict[str, object]) -> dict[str, int]:
    """How many each logger has in a process that configured logging so and made a scheduler."""
    arguments = (json.dumps(configuration), json.dumps(LOGGERS))
    return dict(json.loads(run("-c", HANDLERS, *arguments).stdout))


def test_no_handler_is_added_where_the_host_configured_logging() -> None:
    assert handlers(BY_ROOT) == dict.fromkeys(LOGGERS, 0)
    ours = {name: count for name, count in handlers(BY_PACKAGE).items() if "rediscron" in name}
    assert ours == {"django_rediscron": 1, "django_rediscron.core.scheduler": 0}


def test_where_nobody_configured_logging_its_lines_are_seen() -> None:
    assert handlers({})["django_rediscron"] > 0


# The example of the documentation


def test_the_json_formatter_of_the_documentation_finds_the_attributes(
    connection: Redis, tmp_path: Path
) -> None:
    project(tmp_path)
    RedisCronScheduler(connection).register(tasks.echo, "default", id="日報", interval=300)
    RedisCronScheduler(connection).register(tasks.echo, "default", id="broken", interval=300)
    connection.hset(job_key("broken"), "func_name", "tests.tasks.no_such_function")

    done = scheduler(tmp_path)
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    (entry,) = [entry for entry in entries if "rq_job_id" in entry]
    assert entry["schedule_id"] == "日報"
    assert [entry["rq_job_id"].encode()] == connection.lrange("rq:queue:default", 0, -1)
    assert datetime.fromisoformat(entry["occurrence"]).tzinfo is not None
    assert entry["level"] == "INFO"
    assert "日報" in entry["message"]
    (entry,) = [entry for entry in entries if entry["level"] == "ERROR"]
    assert entry["schedule_id"] == "broken"
    assert done.stdout == "", "nobody else prints log lines"


def test_levels_in_djangos_logging_are_respected(connection: Redis, tmp_path: Path) -> None:
    RedisCronScheduler(connection).register(tasks.echo, "default", id="a", interval=300)
    project(tmp_path, "LOGGING['loggers'] = {'django_rediscron': {'level': 'WARNING'}}")
    assert scheduler(tmp_path).stderr == ""
    assert connection.llen("rq:queue:default") == 1


def project(folder: Path, more_settings: str = "") -> None:
    """The package `mysite` as the documentation has it."""
    text = DEPLOY.read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```python\n# mysite/(\w+\.py)\n(.*?)```", text, re.DOTALL))
    assert blocks.keys() == {"logs.py", "settings.py"}
    package = folder / "mysite"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "logs.py").write_text(blocks["logs.py"], encoding="utf-8")
    settings = ("from tests.settings import *", blocks["settings.py"], more_settings)
    (package / "settings.py").write_text("\n".join(settings), encoding="utf-8")


def scheduler(folder: Path) -> subprocess.CompletedProcess[str]:
    """One pass of `manage.py rqcron_scheduler` in that project."""
    return run(
        *("-m", "django", "rqcron_scheduler", "--burst"),
        PYTHONPATH=os.pathsep.join([str(ROOT), str(folder)]),
        DJANGO_SETTINGS_MODULE="mysite.settings",
    )


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_python(*arguments, env={**os.environ, **environment}, check=True)
