"""`rqrcron pause` and `rqrcron resume`, and what else shows that something is paused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis

from django_rediscron import RedisCronJob, RedisCronScheduler, pause, read_pauses, resume, why
from django_rediscron.core.monitoring.health import check_health
from django_rediscron.core.monitoring.measurements import read_metrics

from .tasks import echo
from .test_cli import verbs_on

SOON = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=1)


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Any:
    return verbs_on(redis_url)


@pytest.fixture
def schedules(connection: Redis) -> None:
    for id, queue in (("a", "default"), ("b", "mails")):
        RedisCronJob(
            id, queue, echo, interval=3600, start_at=SOON, connection=connection
        ).save()  # fmt: skip


def test_everything_is_paused_and_resumed(schedules: None, told: Any, connection: Redis) -> None:
    printed = told("pause", "--reason", "a migration", "--until", f"{SOON:%FT%TZ}")
    (paused,) = read_pauses(connection)
    assert (paused.queue, paused.reason, paused.until) == (None, "a migration", SOON)
    assert paused.by.startswith("cli:")
    assert printed.startswith("everything: paused since ")
    assert printed.endswith(f", by {paused.by}, until {SOON:%FT%TZ}: a migration\n")
    assert told("resume") == "everything: resumed\n"
    assert told("resume") == "everything: not paused\n"
    assert read_pauses(connection) == []


def test_a_queue_is_paused_by_itself(schedules: None, told: Any, connection: Redis) -> None:
    told("pause", "--queue", "mails", "--missed", "catch_up")
    (paused,) = read_pauses(connection)
    assert (paused.queue, paused.missed) == ("mails", "catch_up")
    assert told("resume").startswith("everything: not paused\nqueue 'mails': paused since ")
    assert told("resume", "--queue", "mails") == "queue 'mails': resumed\n"
    error = told("pause", "--queue", "mial", status=1)
    assert "there is no queue 'mial'; the queues are 'default', 'mails'" in error


def test_a_dry_run_pauses_nothing(schedules: None, told: Any, connection: Redis) -> None:
    assert told("pause", "--dry-run") == "everything: would be paused\n"
    assert read_pauses(connection) == []
    told("pause")
    assert told("pause", "--dry-run").startswith("everything: would be paused anew\n")
    assert told("resume", "--dry-run").startswith("everything: would be resumed\n")
    assert len(read_pauses(connection)) == 1


def test_programs_are_told_the_same(schedules: None, told: Any) -> None:
    facts = json.loads(told("pause", "--queue", "mails", "--json"))["paused"]
    assert [(each["queue"], each["until"], each["missed"]) for each in facts] == [
        ("mails", None, "skip")
    ]
    ended = json.loads(told("resume", "--queue", "mails", "--json"))
    assert (ended["resumed"]["queue"], ended["paused"]) == ("mails", [])


def test_wrong_ends_and_reasons_are_refused(told: Any) -> None:
    assert "must be in the future" in told("pause", "--until", "2026-01-01", status=2)
    assert "reason must be one line" in told("pause", "--reason", "a\nb", status=2)


def test_it_is_shown_wherever_states_are(schedules: None, told: Any, connection: Redis) -> None:
    pause(connection, "mails", reason="a migration", actor="me")
    table = told("info").splitlines()
    assert "paused" in next(line for line in table if line.startswith("b "))
    assert "paused" not in next(line for line in table if line.startswith("a "))
    (line,) = (line for line in table if line.startswith("paused "))
    assert "queue 'mails': since " in line
    assert line.endswith(", by me: a migration")
    found = json.loads(told("info", "--json"))
    assert {each["id"]: each["state"] for each in found["jobs"]} == {"a": "enabled", "b": "paused"}
    assert [each["reason"] for each in found["paused"]] == ["a migration"]
    page = told("show", "b")
    assert "paused, revision" in page
    assert "queue 'mails', since" in page
    lines = told("next", "--count", "2").splitlines()[1:]
    assert [line.split()[-1] for line in lines] == ["default", "paused"]
    assert told("next", "--state", "paused", "--count", "1").split()[-2:] == ["mails", "paused"]
    pause(connection)
    ids = told("disable", "--state", "paused", "--dry-run")
    assert [line.split()[0] for line in ids.splitlines()] == ["a", "b"]


def test_why_says_so_beforehand(schedules: None, told: Any, connection: Redis) -> None:
    pause(connection, reason="a migration", until=SOON + timedelta(minutes=1), actor="me")
    (answer,) = why("a", SOON, connection)
    assert answer.verdict == "paused"
    assert "everything is paused since " in answer.sentence
    assert "by me, until " in answer.sentence
    assert answer.facts["reason"] == "a migration"
    (later,) = why("a", SOON + timedelta(hours=1), connection)
    assert later.verdict == "coming"


@pytest.mark.parametrize("missed", ["skip", "catch_up"])
def test_why_says_so_afterwards(connection: Redis, told: Any, missed: Any) -> None:
    RedisCronJob("a", "default", echo, interval=3600, connection=connection).save()
    due = RedisCronJob.fetch("a", connection).next_enqueue_time
    assert due is not None
    pause(connection, "default", reason="a migration", actor="me", missed=missed)
    RedisCronScheduler(connection).start(burst=True)
    (answer,) = why("a", due, connection)
    assert answer.verdict == "paused"
    assert "queue 'default'" in answer.sentence
    assert "by me: a migration" in answer.sentence
    if missed == "skip":
        assert "paused by me: a migration" in told("history", "a")


def test_a_probe_succeeds_and_says_so(schedules: None, connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection)
    scheduler.register_birth()
    scheduler.heartbeat()
    pause(connection, reason="a migration", actor="me")
    health = check_health(connection)
    assert health.ok
    assert health.paused == ["*"]
    assert "; everything is paused since " in health.message
    assert health.message.endswith(", by me: a migration")
    scheduler.register_death()


def test_metrics_tell_what_is_paused(connection: Redis) -> None:
    pause(connection)
    pause(connection, "mails")
    (family,) = (each for each in read_metrics(connection) if each.name == "rediscron_paused")
    assert [labels for _, labels, value in family.samples if value == 1] == [
        (("queue", "*"),),
        (("queue", "mails"),),
    ]


def test_changes_name_who_paused_and_who_resumed(told: Any, connection: Redis) -> None:
    assert told("changes") == "No changes on record\n"
    pause(connection, "mails", reason="one", actor="me")
    pause(connection, "mails", reason="two", until=3600, actor="me")
    resume(connection, "mails", actor="you")
    pause(connection, actor="me")
    lines = [line.split("  ", 1)[1] for line in told("changes").splitlines()]
    assert [lines[0], lines[1], lines[3]] == [
        "everything paused by me",
        "queue 'mails' resumed by you",
        "queue 'mails' paused by me: one",
    ]
    assert lines[2].startswith("queue 'mails' paused by me, until ")
    facts = json.loads(told("changes", "--limit", "2", "--json"))
    assert facts["id"] is None
    assert [(each["action"], each["actor"], each["queue"]) for each in facts["changes"]] == [
        ("paused", "me", None),
        ("resumed", "you", "mails"),
    ]
