"""`rqrcron edit`: fields of schedules, changed at a terminal."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from redis import Redis

from django_rediscron import InvalidScheduleError, RedisCronJob
from django_rediscron.cli import main
from django_rediscron.core.files.editing import DEFAULT, EDITABLE, edit_of, value_of, write
from django_rediscron.core.store.keys import job_key
from django_rediscron.core.store.reading import read_schedules

from .test_cli import verbs_on
from .test_cli_operations import create, schedules
from .test_files import a_job, at_random, definitions

__all__ = ["schedules"]

TEXTS = {
    "function": ("tests.tasks.fail", "tests.tasks.fail"),
    "queue": ("reports", "reports"),
    "interval": ("10m", "10m"),
    "cron": ("0 3 * * *", "0 3 * * *"),
    "args": ('[1, "two"]', [1, "two"]),
    "kwargs": ('{"country": "FR"}', {"country": "FR"}),
    "timezone": ("Europe/Paris", "Europe/Paris"),
    "start_at": ("2026-06-03T02:00:00+02:00", "2026-06-03T02:00:00+02:00"),
    "end_at": ("", DEFAULT),
    "max_runs": ("3", 3),
    "jitter": ("1.5", 1.5),
    "misfire_grace": ("null", None),
    "catch_up": ("all", "all"),
    "max_failures": ("ten", "ten"),
    "notify": ("false", False),
    "tags": ("ops, money", ["ops", "money"]),
    "retry": ('{"max": 3, "intervals": ["1m", "10m"]}', {"max": 3, "intervals": ["1m", "10m"]}),
    "description": ("10", "10"),
    "result_ttl": ("1d", "1d"),
    "at_front": ("yes", "yes"),
}


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Any:
    return verbs_on(redis_url)


def edited(connection: Redis, id: str, **texts: str) -> RedisCronJob:
    ((stored, _),) = read_schedules([id], connection)
    values = {name: value_of(name, text) for name, text in texts.items()}
    write(edit_of(stored, values, connection), connection)  # type: ignore[arg-type]
    return RedisCronJob.fetch(id, connection)


@pytest.mark.parametrize("keyword", TEXTS)
def test_a_text_says_a_value(keyword: str) -> None:
    text, value = TEXTS[keyword]
    assert value_of(keyword, text) == value


@pytest.mark.parametrize("keyword", ["args", "kwargs", "meta"])
def test_what_must_be_json_is_told(keyword: str) -> None:
    with pytest.raises(InvalidScheduleError, match=f"^{keyword} must be in JSON, such as '"):
        value_of(keyword, "country=FR")


def test_each_kind_of_value_is_written(connection: Redis) -> None:
    create(connection, "a", tags=["old"], max_runs=5)
    job = edited(
        connection,
        "a",
        cron="0 3 * * *",
        timezone="Europe/Paris",
        kwargs='{"country": "FR"}',
        start_at="2026-06-03T02:00:00+02:00",
        max_runs="",
        jitter="1m",
        tags="ops,money",
        retry='{"max": 3, "intervals": ["1m"]}',
        job_timeout="1h",
        result_ttl="null",
        description="10",
    )
    assert (job.interval, job.cron, job.timezone) == (None, "0 3 * * *", "Europe/Paris")
    assert job.kwargs == {"country": "FR"}
    assert job.start_at == datetime(2026, 6, 3, tzinfo=timezone.utc)
    assert (job.max_runs, job.jitter, job.tags) == (None, 60, ("money", "ops"))
    assert (job.job_options["retry"].intervals, job.job_options["job_timeout"]) == ([60], 3600)
    assert (job.job_options["result_ttl"], job.job_options["description"]) == (None, "10")
    assert edited(connection, "a", interval="90").cron is None
    assert edited(connection, "a", interval="", cron="@daily").interval is None


@at_random
@given(definition=definitions())
def test_nothing_else_is_changed(connection: Redis, definition: dict[str, Any]) -> None:
    a_job("a", connection, **definition).save()
    before = connection.hgetall(job_key("a"))
    assert edited(connection, "a", max_failures="99").max_failures == 99
    after = connection.hgetall(job_key("a"))
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert names <= {b"max_failures", b"revision", b"updated_at"}
    connection.flushdb()


def test_what_others_change_meanwhile_stays(connection: Redis) -> None:
    create(connection, "a")
    ((stored, _),) = read_schedules(["a"], connection)
    step = edit_of(stored, {"max_runs": 7}, connection)  # type: ignore[arg-type]
    other = RedisCronJob.fetch("a", connection)
    other.queue_name = "reports"
    other.save()
    other.disable(reason="the bank is closed")
    write(step, connection)
    job = RedisCronJob.fetch("a", connection)
    assert (job.queue_name, job.max_runs) == ("reports", 7)
    assert (job.enabled, job.disabled_reason) == (False, "the bank is closed")
    assert edited(connection, "a", enabled="false").disabled_reason == "the bank is closed"
    assert edited(connection, "a", enabled="true").enabled


def test_fields_are_told_before_and_after(schedules: None, connection: Redis, told: Any) -> None:
    """One that cannot be changed keeps no other from it, and a dry run changes nothing."""
    connection.hset(job_key("billing:daily"), "kwargs", '{"password": "hush", "to": "a"}')
    arguments = ("billing:*", "broken", "kept", "interval=10m", "tags=ops", "max_runs=")
    before = {key: connection.dump(key) for key in connection.scan_iter()}
    would = told("edit", *arguments, "--dry-run", status=1)
    assert {key: connection.dump(key) for key in connection.scan_iter()} == before
    assert would.splitlines() == [
        "billing:daily   would be updated",
        "    interval: 3600 -> 600",
        "    tags: none -> ops",
        "billing:hourly  would be updated",
        "    interval: 3600 -> 600",
        "    tags: money ops -> ops",
        "broken          not updated       it cannot be read: field 'interval' must be a whole "
        "number, got 'often'",
        "kept            not updated       it is locked by the code; change it where it is "
        "declared: apps.py:7",
    ]
    done = told("edit", *arguments, status=1)
    assert done.splitlines()[:3] == ["billing:daily   updated", *would.splitlines()[1:3]]
    job = RedisCronJob.fetch("billing:hourly", connection)
    assert (job.interval, job.tags) == (600, ("ops",))
    assert told("edit", "billing:hourly", "interval=600") == "billing:hourly  unchanged\n"
    (change, *_) = job.get_changes(connection)
    assert (change.what, change.actor.partition(":")[0]) == ("updated", "cli")

    kwargs = 'kwargs={"password": "********", "to": "b"}'
    found = json.loads(told("edit", "--tag", "ops", "--queue", "reports", kwargs, "--json"))
    assert found == {
        "action": "edit",
        "dry_run": False,
        "schedules": [
            {
                "id": "billing:daily",
                "outcome": "updated",
                "done": True,
                "error": None,
                "changes": {
                    "kwargs": [
                        '{"password": "********", "to": "a"}',
                        '{"password": "********", "to": "b"}',
                    ]
                },
            }
        ],
    }
    assert RedisCronJob.fetch("billing:daily", connection).kwargs == {"password": "hush", "to": "b"}


def test_an_edit_that_cannot_be_is_refused(schedules: None, told: Any) -> None:
    for words, complaint in {
        ("mail",): "say what to change, such as interval=10m",
        ("interval=10m",): "name the schedules to edit; '*' means all",
        ("mail", "intervall=10m"): "unknown field 'intervall'; did you mean interval?",
        ("mail", "interval=1m", "interval=2m"): "interval is given twice",
        ("mail", "args=1,2"): "args must be in JSON, such as '[1, \"two\"]'",
    }.items():
        assert complaint in told("edit", *words, status=2)
    for word, complaint in {
        "interval=": "either interval or cron is needed, got neither",
        "interval=-5": "interval must be a positive whole number of seconds, got -5",
        "function=": "function is missing",
        "function=tests.tasks.nothing": "tests.tasks.nothing",
        "max_runs=ten": "max_runs must be a whole number or null, got 'ten'",
        "at_front=yes": "at_front must be true or false, got 'yes'",
        "cron=61 * * * *": "minute must be 0-59, got '61'",
    }.items():
        assert complaint in told("edit", "mail", word, "--dry-run", status=1)


def test_the_help_names_all_fields() -> None:
    help = main.commands["edit"].help or ""
    (names,) = [part for part in help.split("\n\n") if "The fields are" in part]
    assert (
        names.split("are ")[1].replace(" and ", ", ").replace("\n", " ").rstrip(".").split(", ")
        == EDITABLE
    )
