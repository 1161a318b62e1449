"""System checks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags
from django.test import override_settings
from redis import Redis

from django_rediscron import register
from tests.forks import ROOT, run_python


def _run(**kwargs: Any) -> list[CheckMessage]:
    found = checks.run_checks(**kwargs)
    return [each for each in found if str(each.id).startswith("django_rediscron.")]


def test_queues_are_all_the_set_up() -> None:
    assert _run() == []


@pytest.mark.parametrize(
    ("value", "id", "words"),
    [
        ("default", "E001", "REDISCRON should be a dictionary, got 'default'."),
        ({"LOCK_TLL": 5}, "E002", "REDISCRON has an unknown key: 'LOCK_TLL'."),
        ({"LOCK_TTL": 0}, "E003", 'REDISCRON["LOCK_TTL"] should be a positive number of seconds'),
        ({"LOCK_TTL": True}, "E003", "got True."),
        ({"LOCK_TTL": 0.5}, "E003", "between 1 and 86400, got 0.5."),
        ({"MAX_SLEEP_INTERVAL": float("inf")}, "E003", "got inf."),
        ({"MAX_SLEEP_INTERVAL": "soon"}, "E003", "got 'soon'."),
        ({"LATE_AFTER": 0}, "E003", 'LATE_AFTER"] should be a positive number of seconds, got 0.'),
        ({"LATE_AFTER": "soon"}, "E003", "got 'soon'."),
        ({"HEARTBEAT_URL": "hc-ping.com/secret"}, "E003", "should be a URL that begins with http"),
        ({"HEARTBEAT_URL": 5}, "E003", "got 5."),
        ({"KEEP_RUNS": -1}, "E003", "should be a whole number from 0 to 100000, got -1."),
        ({"KEEP_RUNS": "many"}, "E003", "got 'many'."),
        ({"METRICS_SCHEDULES": -1}, "E003", "should be a whole number from 0 on, got -1."),
        ({"QUEUE": ["default"]}, "E003", "should be the name of a queue"),
        ({"ALLOWED_FUNCTIONS": "a.b"}, "E003", "should be a list of dotted names"),
        ({"ALLOWED_FUNCTIONS": ["*.tasks.*"]}, "E003", "whose first part has no '*'"),
        ({"ALLOWED_FUNCTIONS": ["a.b", "x"]}, "E003", "but it contains 'x'."),
        ({"QUEUE": "reprots"}, "E005", "got 'reprots'."),
    ],
)
def test_settings_of_the_wrong_shape(value: object, id: str, words: str) -> None:
    with override_settings(REDISCRON=value):
        (message,) = _run()
    assert message.id == f"django_rediscron.{id}"
    assert words in message.msg
    assert message.hint


def test_an_unknown_key_that_is_nearly_known() -> None:
    with override_settings(REDISCRON={"lock_tll": 5}):
        (message,) = _run()
    assert str(message.hint).startswith("Did you mean 'LOCK_TTL'?")


def test_declared_schedules_that_cannot_run_are_named(starting: None) -> None:
    register("tests.tasks.no_such", "default", id="a", interval=5)
    register("tests.tasks.echo", "default", id="b", interval=5)
    register("tests.tasks.also_not", "default", id="c", interval=5)

    first, second = _run()

    assert first.id == second.id == "django_rediscron.E007"
    assert first.msg.startswith("Schedule 'a', declared at tests/test_checks.py:")
    assert "'tests.tasks.no_such' cannot be imported" in first.msg
    assert "'tests.tasks.also_not'" in second.msg
    assert _run(tags=["django_rediscron"]) == [], "what the commands ask for"
    with override_settings(RQ_QUEUES=None):
        assert [each.id for each in _run()] == ["django_rediscron.E004"]


@pytest.mark.parametrize("queues", [None, [], {}, {"default": "redis://localhost"}])
def test_queues_of_the_wrong_shape(queues: object) -> None:
    from django_rediscron.checks import check_queues

    with override_settings(RQ_QUEUES=queues):
        (message,) = check_queues()
    assert message.id == "django_rediscron.E004"
    assert message.hint


def test_a_project_whose_main_queue_has_another_name() -> None:
    from django_rediscron.checks import check_queues
    from django_rediscron.conf import conf

    with override_settings(RQ_QUEUES={"high": {}, "low": {}}):
        assert check_queues() == []
        assert conf.QUEUE == "high"


def test_django_rq_is_missing() -> None:
    apps = [app for app in settings.INSTALLED_APPS if app != "django_rq"]
    with override_settings(INSTALLED_APPS=apps):
        (message,) = _run()
    assert message.id == "django_rediscron.E006"


# Eviction


@pytest.fixture
def small(connection: Redis) -> Iterator[Redis]:
    """A server with a limit, whose policy a test sets."""
    before = connection.config_get("maxmemory*")
    connection.config_set("maxmemory", "512mb")
    yield connection
    for name in ("maxmemory", "maxmemory-policy"):
        connection.config_set(name, before[name])


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_redis_that_may_evict_schedules(small: Redis, policy: str) -> None:
    small.config_set("maxmemory-policy", policy)

    found = _run(databases=["default"])

    # One for each database that queues live in; the queue whose Redis is away gets none.
    assert [each.id for each in found] == ["django_rediscron.W001"] * 2
    assert f"maxmemory-policy {policy}" in found[0].msg
    assert "'default', 'reports'" in found[0].msg
    assert _run(databases=["default"], tags=[Tags.database]) == found
    assert _run() == []


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru", "volatile-ttl"])
def test_a_redis_that_keeps_what_has_no_ttl(small: Redis, policy: str) -> None:
    small.config_set("maxmemory-policy", policy)
    assert _run(databases=["default"]) == []


def test_a_redis_without_a_limit_evicts_nothing(small: Redis) -> None:
    small.config_set("maxmemory", "0")
    small.config_set("maxmemory-policy", "allkeys-lru")
    assert _run(databases=["default"]) == []


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server of the project below."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def project(listener: socket.socket) -> dict[str, str]:
    """The environment of a project that declares a schedule."""
    return {
        **os.environ,
        "REDISCRON_TEST_URL": f"redis://127.0.0.1:{listener.getsockname()[1]}/0",
        "REDISCRON_TEST_DECLARED": '[{"queue_name": "default", "id": "a", "interval": 5}]',
    }


@pytest.mark.parametrize(
    "command", [["migrate", "--verbosity", "0"], ["check"], ["test", "tests.app"]]
)
def test_start_up_and_other_commands_open_no_connection(
    listener: socket.socket, command: list[str]
) -> None:
    done = run_python("-m", "django", *command, env=project(listener))
    assert done.returncode == 0 or "NO TESTS RAN" in done.stderr, done
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_database_check_asks_redis(listener: socket.socket) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "check", "--database", "default"],
        cwd=ROOT,
        env=project(listener),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    listener.settimeout(30)
    listener.accept()[0].close()  # it did ask
    listener.close()  # and is refused from now on
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
