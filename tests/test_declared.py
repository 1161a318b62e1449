"""Schedules declared in ready hooks, and how they come to Redis."""

from __future__ import annotations

import importlib
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from redis import Redis
from redis.connection import AbstractConnection

from django_rediscron import (
    InvalidScheduleError,
    RedisCronJob,
    UnknownQueueError,
    get_scheduler,
    register,
)
from django_rediscron.core.store.keys import EVENTS, LAST_UPDATE, job_key
from django_rediscron.sync import declarations as declared
from django_rediscron.sync import sync
from django_rediscron.sync.declarations import declarations
from django_rediscron.unreachable import UnreachableError

from .tasks import echo


def _line() -> int:
    return sys._getframe(1).f_lineno


# Declaring


def test_a_ready_hook_only_declares(starting: None) -> None:
    # The Redis of this queue is away: touching it would raise.
    job = register(echo, "nowhere", id="billing", interval=600)
    place = f"tests/test_declared.py:{_line() - 1}"

    assert (job.id, job.interval, job.connection) == ("billing", 600, None)
    assert declarations()[0].place == place


def test_the_application_is_known_where_a_hook_declares(
    starting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "REDISCRON_TEST_DECLARED", '[{"queue_name": "default", "id": "billing", "interval": 600}]'
    )
    apps.get_app_config("tests_app").ready()

    assert declarations()[0].application == "tests_app"
    assert "apps.py:" in declarations()[0].place


def test_the_same_declaration_twice_is_no_error(starting: None) -> None:
    for _ in range(2):
        register(echo, "default", id="billing", args=("a",), interval=600)

    assert [each.job.id for each in declarations()] == ["billing"]


@pytest.mark.parametrize(
    "difference", [{"interval": 900}, {"args": ("b",)}, {"enabled": True}, {"result_ttl": 1}]
)
def test_two_declarations_with_one_id_are_an_error_that_names_both(
    starting: None, difference: dict[str, Any]
) -> None:
    register(echo, "default", id="billing", interval=600)
    first = _line() - 1
    with pytest.raises(InvalidScheduleError, match="'billing' is declared twice") as error:
        register(echo, "default", **{"id": "billing", "interval": 600, **difference})
    second = _line() - 1

    assert f"tests/test_declared.py:{first}" in str(error.value)
    assert f"tests/test_declared.py:{second}" in str(error.value)


def test_a_loop_that_declares_one_id_again_and_again_is_told_so(starting: None) -> None:
    def declare(*intervals: int) -> None:
        for interval in intervals:
            register(echo, "default", id="billing", interval=interval)

    with pytest.raises(InvalidScheduleError, match=r"by the same line, .*:\d+; if a loop") as error:
        declare(5, 6)
    assert str(error.value).count("tests/test_declared.py") == 1


def test_queues_that_are_not_set_are_asked_for(starting: None) -> None:
    with override_settings(RQ_QUEUES=None), pytest.raises(ImproperlyConfigured) as error:
        register(echo, "default", id="billing", interval=5)
    assert str(error.value).startswith("RQ_QUEUES is not set; add your queues, such as RQ_QUEUES =")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"interval": -5}, "got -5"),
        ({"interval": 5, "cron": "* * * * *"}, "mutually exclusive"),
        ({"cron": "0 0 31 2 *"}, "0 0 31 2"),
        ({"interval": 5, "args": (object(),)}, "must be JSON"),
        ({"interval": 5, "args": "x"}, r"for one argument write \('x',\)"),
        (
            {"interval": 5, "start_at": datetime(2026, 1, 1)},
            "use datetime.*tzinfo=",
        ),
    ],
)
def test_what_could_not_run_is_refused(
    starting: None, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidScheduleError, match=reason):
        register(echo, "default", id="billing", **options)
    assert not declarations()


def test_an_unknown_queue_is_refused(starting: None) -> None:
    with pytest.raises(UnknownQueueError) as error:
        register(echo, "reprots", id="billing", interval=600)
    assert "'reprots' is not in RQ_QUEUES" in str(error.value)
    assert "'reports'" in str(error.value)


def test_results_are_kept_as_long_as_the_queue_says(starting: None) -> None:
    def result_ttl(queue_name: str, **options: Any) -> int:
        job = register(echo, queue_name, id=f"{queue_name}{options}", interval=5, **options)
        return int(job.job_options["result_ttl"])

    assert result_ttl("reports") == 77
    assert result_ttl("reports", result_ttl=0) == 0
    assert result_ttl("default") == 500
    with override_settings(RQ={"DEFAULT_RESULT_TTL": 0}):
        assert result_ttl("elsewhere") == 0


# After start-up


def test_after_start_up_register_is_refused_and_writes_nothing(
    connection: Redis, rq_queues: None
) -> None:
    with pytest.raises(InvalidScheduleError) as error:
        register(echo, "nowhere", id="billing", interval=600)  # its Redis is away

    for part in ("'billing'", "after start-up", "AppConfig.ready()", "get_scheduler().register("):
        assert part in str(error.value)
    assert f"tests/test_declared.py:{_line() - 4}" in str(error.value)
    assert connection.keys("*") == []
    assert not declarations()


def test_a_module_that_is_imported_late_does_not_undo_what_people_edited(
    connection: Redis, rq_queues: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    get_scheduler().register(echo, "default", id="billing", interval=900)
    before = connection.hgetall(job_key("billing"))
    (tmp_path / "late_tasks.py").write_text(
        "from django_rediscron import register\n"
        "from tests.tasks import echo\n"
        "register(echo, 'default', id='billing', interval=600)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(InvalidScheduleError, match=r"late_tasks\.py:3"):
        importlib.import_module("late_tasks")
    assert connection.hgetall(job_key("billing")) == before


def test_registering_at_run_time_again_keeps_what_people_switched_off(
    connection: Redis, rq_queues: None
) -> None:
    scheduler = get_scheduler()
    scheduler.register(echo, "default", id="billing", interval=600).disable()
    scheduler.register(echo, "default", id="billing", interval=900)

    stored = RedisCronJob.fetch("billing", connection)
    assert (stored.interval, stored.enabled) == (900, False)


# Sync


def test_sync_writes_what_is_declared_and_nothing_the_second_time(
    connection: Redis, starting: None
) -> None:
    register(echo, "default", id="billing", args=("a",), interval=600)
    register(echo, "reports", id="mail", cron="*/5 * * * *", meta={"z": 1, "a": 2}, enabled=False)

    report = sync()
    assert (report.created, report.updated, report.unchanged) == (["billing", "mail"], {}, 0)
    assert RedisCronJob.fetch("billing", connection).args == ("a",)
    assert RedisCronJob.fetch("mail", connection).enabled is False

    before = {key: _dump(connection, key) for key in ("billing", "mail")}
    updated_at = connection.get(LAST_UPDATE)
    with connection.pubsub() as pubsub:
        pubsub.subscribe(EVENTS)
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
        report = sync()
        assert (report.created, report.updated, report.unchanged) == ([], {}, 2)
        connection.publish(EVENTS, "the next message")
        assert pubsub.get_message(timeout=5)["data"] == b"the next message"
    assert {key: _dump(connection, key) for key in ("billing", "mail")} == before
    assert connection.get(LAST_UPDATE) == updated_at

    connection.delete(job_key("mail"))  # as a server that lost it
    assert sync().created == ["mail"]


def test_sync_changes_what_differs_and_says_from_what_to_what(
    connection: Redis, starting: None
) -> None:
    register(echo, "default", id="billing", interval=900, meta={"team": "b"})
    register(echo, "default", id="mail", interval=5)
    _store(connection, id="billing", interval=600, enabled=False)
    _store(connection, id="mail", interval=5)
    created_at = RedisCronJob.fetch("billing", connection).created_at

    report = sync()

    assert report.created == []
    assert report.updated == {
        "billing": {
            "interval": ("600", "900"),
            "meta": ("{}", '{"team":"b"}'),
            "source": ("runtime", "code"),
        },
        "mail": {"source": ("runtime", "code")},
    }
    stored = RedisCronJob.fetch("billing", connection)
    assert (stored.interval, stored.enabled, stored.created_at) == (900, False, created_at)


def test_check_writes_nothing(connection: Redis, starting: None) -> None:
    register(echo, "default", id="billing", interval=900)
    register(echo, "default", id="mail", interval=5)
    _store(connection, id="billing", interval=600)

    report = sync(check=True)

    assert report.differs
    assert (report.created, list(report.updated)) == (["mail"], ["billing"])
    assert RedisCronJob.fetch("billing", connection).interval == 600
    assert not connection.exists(job_key("mail"))


def test_sync_heals_what_cannot_be_read(connection: Redis, starting: None) -> None:
    register(echo, "default", id="billing", interval=600)
    register(echo, "default", id="mail", interval=600)
    connection.rpush(job_key("billing"), "a list")
    connection.hset(job_key("mail"), mapping={"id": "mail", "interval": "often"})

    report = sync()

    assert list(report.updated) == ["billing", "mail"]
    assert all(list(changes) == ["damaged"] for changes in report.updated.values())
    assert RedisCronJob.fetch("billing", connection).interval == 600
    assert RedisCronJob.fetch("mail", connection).interval == 600
    assert not sync().differs


def test_each_redis_gets_its_own(connection: Redis, starting: None) -> None:
    from django_rediscron.queues import get_connection

    other = get_connection("elsewhere")
    other.flushdb()
    register(echo, "elsewhere", id="far", interval=600)
    register(echo, "default", id="near", interval=600)
    register(echo, "reports", id="same server", interval=600)

    report = sync("default")
    assert (report.created, report.elsewhere) == (["near", "same server"], ["far"])
    assert not other.exists(job_key("far"))

    report = sync()
    assert (report.created, report.unchanged, report.elsewhere) == (["far"], 2, [])
    assert RedisCronJob.fetch("far", other).queue_name == "elsewhere"
    assert not connection.exists(job_key("far"))
    other.flushdb()


def test_sync_names_the_redis_that_does_not_answer(starting: None) -> None:
    register(echo, "nowhere", id="billing", interval=600)
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1/0") as error:
        sync()
    assert "secret" not in str(error.value)


def test_many_are_read_and_written_in_a_handful_of_round_trips(
    connection: Redis, starting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2000):
        register(echo, "default", id=f"number {number}", interval=600)
    sent: list[object] = []
    send = AbstractConnection.send_packed_command

    def counted(self: AbstractConnection, *args: Any, **options: Any) -> None:
        sent.append(args)
        send(self, *args, **options)

    def round_trips() -> int:
        sent.clear()
        sync("default")
        return len(sent)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    assert round_trips() <= 14  # with those of a new connection
    assert round_trips() <= 9
    declared._declared.clear()
    for number in range(2000):
        register(echo, "default", id=f"number {number}", interval=900)
    assert round_trips() <= 12  # with those of a script which the server does not know yet
    assert RedisCronJob.fetch("number 1999", connection).interval == 900


def _store(connection: Redis, **options: Any) -> None:
    RedisCronJob(queue_name="default", func=echo, connection=connection, **options).save()


def _dump(connection: Redis, id: str) -> dict[bytes, bytes]:
    return connection.hgetall(job_key(id))
