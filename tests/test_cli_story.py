"""The verbs of `rqrcron` that tell the story of schedules."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis

from django_rediscron import RedisCronJob, RedisCronScheduler, Run, Skip
from django_rediscron.core.schedule.missed import Failure
from django_rediscron.core.store.keys import (
    changes_key,
    job_key,
    outcomes_key,
    runs_key,
    skipped_key,
)
from django_rediscron.core.timing.cron_times import utc_text

from .tasks import echo
from .test_cli import rqrcron
from .test_commands import manage

THREE = datetime(2026, 6, 3, 3, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Any:
    def run(*arguments: str, status: int = 0) -> str:
        done = rqrcron(*arguments, "--url", redis_url)
        assert done.returncode == status, done
        assert (done.stdout if status else done.stderr) == ""
        return done.stderr if status else done.stdout

    return run


def create(id: str, connection: Redis, **options: Any) -> RedisCronJob:
    job = RedisCronJob(id, "default", func=echo, connection=connection, **options)
    job.save()
    return job


def record(connection: Redis, id: str, *runs: Run) -> None:
    """As the leader does, oldest first."""
    for run in runs:
        connection.lpush(runs_key(id), run.to_text())


def ended(occurrence: datetime | None, status: str = "finished", **facts: Any) -> Run:
    enqueued = facts.pop("enqueued_at", occurrence)
    started = enqueued + 2 * SECOND
    return Run(
        f"job at {enqueued:%H:%M}", enqueued, status, started, started + timedelta(minutes=5),
        "worker-1", "default", occurrence, **{"attempts": 1, **facts},
    )  # fmt: skip


@pytest.fixture
def night(connection: Redis) -> None:
    create("billing", connection, cron="0 * * * *")
    record(
        connection,
        "billing",
        ended(THREE),
        ended(None, enqueued_at=THREE + HOUR / 2, cause="hand"),
        ended(
            THREE + HOUR, "failed", error="ValueError: \x1b[2Jno 客户", attempts=3, is_too_long=True
        ),
    )
    skip = Skip(THREE + 2 * HOUR, THREE + 4 * HOUR, 3, "misfire", THREE + 5 * HOUR)
    failure = Failure(THREE + 5 * HOUR, THREE + 5 * HOUR, "there is no queue 'x'")
    connection.lpush(skipped_key("billing"), skip.to_text(), failure.to_text())


# history


@pytest.mark.usefixtures("night")
def test_history_merges_what_ran_and_what_did_not(told: Any) -> None:
    assert told("history", "billing").splitlines() == [
        "TIME                  STATUS    STARTED  RAN",
        "2026-06-03T08:00:00Z  error     -        -     there is no queue 'x'",
        "2026-06-03T07:00:00Z  skipped   -        -     "
        "misfire: later than misfire_grace; 3 since 2026-06-03T05:00:00Z",
        "2026-06-03T04:00:00Z  failed    +2.0s    5m0s  "
        r"3 attempts, longer than max_runtime, ValueError: \x1b[2Jno 客户",
        "2026-06-03T03:30:00Z  finished  +2.0s    5m0s  by hand",
        "2026-06-03T03:00:00Z  finished  +2.0s    5m0s",
    ]


@pytest.mark.usefixtures("night")
def test_history_of_all_schedules_is_limited_as_a_whole(connection: Redis, told: Any) -> None:
    create("日報", connection, interval=60)
    record(connection, "日報", ended(THREE + 3 * HOUR))
    assert told("history", "--limit", "3").splitlines()[1:] == [
        "2026-06-03T08:00:00Z  billing  error     -        -     there is no queue 'x'",
        "2026-06-03T07:00:00Z  billing  skipped   -        -     "
        "misfire: later than misfire_grace; 3 since 2026-06-03T05:00:00Z",
        "2026-06-03T06:00:00Z  日報     finished  +2.0s    5m0s",
    ]
    assert told("history", "日*", "--since", "2026-06-03T08:00+02:00").count("\n") == 2
    assert told("history", "--since", "1d") == "No runs on record\n"


@pytest.mark.usefixtures("night")
def test_history_for_programs(connection: Redis, told: Any) -> None:
    found = json.loads(told("history", "billing", "--json", "--limit", "3"))
    assert found["id"] == "billing"
    [run] = found["runs"]
    assert run == {
        "id": "billing",
        "occurrence": "2026-06-03T04:00:00.000000Z",
        "cause": "schedule",
        "job_id": "job at 04:00",
        "status": "failed",
        "enqueued_at": "2026-06-03T04:00:00.000000Z",
        "started_at": "2026-06-03T04:00:02.000000Z",
        "ended_at": "2026-06-03T04:05:02.000000Z",
        "seconds": 300.0,
        "attempts": 3,
        "worker": "worker-1",
        "queue": "default",
        "too_long": True,
        "error": "ValueError: \x1b[2Jno 客户",
    }
    assert [(skip["reason"], skip["count"]) for skip in found["skips"]] == [
        ("error", 1),
        ("misfire", 3),
    ]
    assert found["skips"][0]["text"] == "there is no queue 'x'"

    RedisCronJob.fetch("billing", connection).delete()
    found = json.loads(told("history", "billing", "--json"))
    assert [run["cause"] for run in found["runs"]] == ["schedule", "hand", "schedule"]


# changes


@pytest.fixture
def edited(connection: Redis) -> None:
    """A schedule that was created, edited and disabled, as scripts log it."""
    create("mail", connection, interval=900, kwargs={"to": "a", "token": "s3cret"}, enabled=False)
    stored = {name: text.decode() for name, text in hash_of("mail", connection).items()}
    kwargs = ['{"to":"b","token":"hunter2"}', stored["kwargs"]]
    entries = [
        {name: stored[name] for name in ("func_name", "queue_name", "interval", "kwargs")},
        logged(3, "disabled", "cli:bob@web1", {"enabled": ["1", "0"]}, reason="too much\nmail"),
        logged(2, "updated", "admin:alice", {"interval": ["600", "900"], "kwargs": kwargs}),
        logged(1, "created", "code:mysite", {}),
    ]
    connection.delete(changes_key("mail"))
    connection.rpush(changes_key("mail"), *map(json.dumps, entries))


def hash_of(id: str, connection: Redis) -> dict[str, bytes]:
    return {name.decode(): text for name, text in connection.hgetall(job_key(id)).items()}


def logged(revision: int, what: str, actor: str, fields: Any, reason: str = "") -> dict[str, Any]:
    at = utc_text(THREE + revision * HOUR)
    entry = {"at": at, "by": actor, "what": what, "revision": revision, "fields": fields}
    return {**entry, "reason": reason} if reason else entry


@pytest.mark.usefixtures("edited")
def test_changes_say_who_did_what_and_hide_secrets(told: Any) -> None:
    assert told("changes", "mail").splitlines() == [
        r"2026-06-03T06:00:00Z  revision 3  disabled by cli:bob@web1: too much\nmail",
        "2026-06-03T05:00:00Z  revision 2  updated by admin:alice",
        "    interval: 600 -> 900",
        '    kwargs: {"to": "b", "token": "********"} -> {"to": "a", "token": "********"}',
        "2026-06-03T04:00:00Z  revision 1  created by code:mysite",
    ]
    since = ("--since", "2026-06-03T05:00Z", "--limit", "1")
    assert told("changes", "mail", *since).count("revision") == 1
    assert told("changes", "mail", "--since", "1h") == "No changes on record\n"


@pytest.mark.usefixtures("edited")
def test_changes_for_programs(told: Any) -> None:
    found = json.loads(told("changes", "mail", "--json"))
    assert found["id"] == "mail"
    assert [each["action"] for each in found["changes"]] == ["disabled", "updated", "created"]
    assert found["changes"][1]["fields"]["interval"] == ["600", "900"]
    assert found["changes"][0] == {
        "revision": 3,
        "at": "2026-06-03T06:00:00.000000Z",
        "actor": "cli:bob@web1",
        "action": "disabled",
        "reason": "too much\nmail",
        "fields": {"enabled": ["1", "0"]},
    }
    assert "hunter2" not in told("changes", "mail", "--json")


# show


@pytest.mark.usefixtures("edited", "night")
def test_show_has_all_of_it_on_a_page(connection: Redis, told: Any) -> None:
    outcomes = {"finished": "7", "failed": "2", "failures": "2", "last_failure": utc_text(THREE)}
    connection.hset(outcomes_key("mail"), mapping=outcomes)
    record(connection, "mail", ended(THREE))
    leader = RedisCronScheduler(connection, name="web1:4711")
    leader.register_birth()
    leader.register_death()

    page = told("show", "mail")
    since, until = re.findall(r"(\S+) to (\S+) \(stopped\)  web1:4711\n", page)[0]
    assert since <= until
    assert page.splitlines()[:20] == [
        "mail",
        "",
        "Function      tests.tasks.echo(to='a', token='********')",
        "Queue         default",
        "When          Every 15 minutes",
        "State         disabled, revision 0",
        "Next          -",
        "Outcomes      7 finished, 2 failed",
        "Last failure  2026-06-03T03:00:00Z, 2 in a row",
        "",
        "Latest runs",
        "TIME                  STATUS    STARTED  RAN",
        "2026-06-03T03:00:00Z  finished  +2.0s    5m0s",
        "",
        "Latest changes",
        *told("changes", "mail").splitlines(),
    ]

    found = json.loads(told("show", "mail", "--json"))
    assert found["schedule"]["kwargs"] == {"to": "a", "token": "********"}
    assert found["outcomes"]["counts"] == {"finished": 7, "failed": 2}
    assert [run["status"] for run in found["runs"]] == ["finished"]
    assert found["changes"] == json.loads(told("changes", "mail", "--json"))["changes"]
    assert found["reigns"][0]["end"] == "stopped"


@pytest.mark.usefixtures("night")
def test_show_tells_what_is_left_of_a_schedule(connection: Redis, told: Any) -> None:
    connection.hset(job_key("billing"), "interval", "often")
    assert "State  damaged: " in told("show", "billing")
    assert json.loads(told("show", "billing", "--json"))["damaged"]
    RedisCronJob("billing", "default", func=echo, interval=5, connection=connection).delete()
    page = told("show", "billing")
    assert "State  deleted" in page
    assert "2026-06-03T03:00:00Z  finished" in page


# What goes wrong


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (
            ["history", "biling"],
            1,
            "there is no schedule 'biling', and none is on record; did you ",
        ),
        (["changes", "biling"], 1, "did you mean 'billing'?"),
        (["show", "biling"], 1, "did you mean 'billing'?"),
        (["history", "x*"], 1, "no schedule has an id like 'x*'"),
        (["history", "--limit", "0"], 2, "'--limit'"),
        (["history", "--since", "soon"], 2, "'soon' is neither a time such as "),
    ],
)
def test_what_cannot_be_told_is_one_line(
    arguments: list[str], status: int, reason: str, told: Any
) -> None:
    assert reason in told(*arguments, status=status).splitlines()[-1]


@pytest.mark.usefixtures("night")
def test_a_project_tells_the_same(told: Any) -> None:
    def ours(*arguments: str) -> subprocess.CompletedProcess[str]:
        return manage("rqrcron", *arguments)

    verbs = (
        ["history", "billing"],
        ["history", "--json"],
        ["changes", "billing"],
        ["show", "billing", "--json"],
    )
    for verb in verbs:
        assert ours(*verb).stdout == told(*verb)
    refused = ours("history", "biling")
    assert refused.returncode == 1
    assert refused.stderr == (
        "CommandError: there is no schedule 'biling', and none is on record; "
        "did you mean 'billing'?\n"
    )
