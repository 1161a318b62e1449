"""The verbs of `rqrcron` that tell the story of schedules."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker

from django_rediscron import RedisCronJob, RedisCronScheduler, Run, Skip, acting_as
from django_rediscron.cli.story.history import read_events
from django_rediscron.cli.verb import command_line_actor
from django_rediscron.core.store.keys import (
    LOCK,
    job_key,
    outcomes_key,
    runs_key,
    skipped_key,
)
from django_rediscron.core.story.following import Following
from django_rediscron.core.story.skips import Failure
from django_rediscron.core.timing.cron_times import utc_text

from .forks import ROOT
from .tasks import echo, fail
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


def test_history_tells_what_workers_did(leader: RedisCronScheduler, told: Any) -> None:
    connection = leader.connection
    leader.register(echo, "default", id="fine", interval=60)
    leader.register(fail, "default", id="broken", interval=60)
    leader.enqueue_jobs()
    RedisCronJob.fetch("fine", connection).enqueue(connection)
    waiting = json.loads(told("history", "--json"))["runs"]
    assert [run["status"] for run in waiting] == ["queued"] * 3

    SimpleWorker([Queue("default", connection=connection)], connection=connection).work(burst=True)
    assert Following(connection).sweep(connection.get(LOCK).decode())

    runs = json.loads(told("history", "--json"))["runs"]
    assert {(run["id"], run["cause"], run["status"], run["attempts"]) for run in runs} == {
        ("fine", "hand", "finished", 1),
        ("fine", "schedule", "finished", 1),
        ("broken", "schedule", "failed", 1),
    }
    assert "Outcomes      1 failed" in told("show", "broken")


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
@pytest.mark.usefixtures("night")
def test_history_of_deleted_schedules(connection: Redis, told: Any) -> None:
    create("daily", connection, interval=60)
    RedisCronJob.fetch("billing", connection).delete()
    assert "No runs on record" in told("history")
    assert "ValueError" in told("history", "--deleted")
    assert "ValueError" in told("history", "bill*", "--deleted")
    assert "no schedule has an id like" in told("history", "bill*", status=1)


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


# why


@pytest.mark.usefixtures("night")
def test_why_answers_for_a_time_that_history_prints(told: Any) -> None:
    times = [line.split()[0] for line in told("history", "billing").splitlines()[3:]]
    answers = [told("why", "billing", time) for time in times]
    assert [answer.split(": ")[0] for answer in answers] == [
        "2026-06-03T04:00:00Z  ran",
        "2026-06-03T03:30:00Z  none",
        "2026-06-03T03:00:00Z  ran",
    ]
    assert "ValueError: \\x1b[2Jno 客户" in told("why", "billing", "2026-06-03", "04:00Z")

    found = json.loads(told("why", "billing", "2026-06-03T04:00Z", "--json"))
    assert (found["id"], found["verdict"], found["also"]) == ("billing", "ran", [])
    assert found["occurrence"] == "2026-06-03T04:00:00.000000Z"
    history = json.loads(told("history", "billing", "--json"))["runs"]
    assert {"id": "billing", **found["run"]} == history[0]


@pytest.mark.usefixtures("edited")
def test_why_without_a_time_tells_the_latest_occurrence_and_the_next(told: Any) -> None:
    *_, line = told("why", "mail").splitlines()
    assert re.fullmatch(r"\S+Z  disabled: .* by cli:bob@web1\.", line)
    found = json.loads(told("why", "mail", "--json"))
    assert [answer["verdict"] for answer in (found, *found["also"])][-1] == "disabled"


# changes


@pytest.fixture
def edited(connection: Redis) -> None:
    """A schedule that was created, edited and disabled."""
    with acting_as("code:mysite"):
        job = create("mail", connection, interval=600, kwargs={"to": "b", "token": "hunter2"})
    job.interval, job.kwargs = 900, {"to": "a", "token": "s3cret"}
    job.save(actor="admin:alice")
    job.disable(actor="cli:bob@web1")


def untimed(text: str) -> list[str]:
    return re.sub(r"20\d\d-\S+Z", "TIME", text).splitlines()


@pytest.mark.usefixtures("edited")
def test_changes_say_who_did_what_and_hide_secrets(told: Any) -> None:
    assert untimed(told("changes", "mail", "--since", "1h")) == [
        "TIME  revision 2  disabled by cli:bob@web1",
        "TIME  revision 1  updated by admin:alice",
        "    interval: 600 -> 900",
        '    kwargs: {"to": "b", "token": "********"} -> {"to": "a", "token": "********"}',
        "TIME  revision 0  created by code:mysite",
    ]
    assert told("changes", "mail", "--limit", "1").count("revision") == 1
    assert told("changes", "mail", "--since", "2100-01-01") == "No changes on record\n"


@pytest.mark.usefixtures("edited")
def test_changes_for_programs(told: Any) -> None:
    found = json.loads(told("changes", "mail", "--json"))
    assert found["id"] == "mail"
    assert [each["action"] for each in found["changes"]] == ["disabled", "updated", "created"]
    assert found["changes"][1]["fields"]["interval"] == ["600", "900"]
    assert (
        found["changes"][0].items()
        >= {
            "revision": 2,
            "actor": "cli:bob@web1",
            "action": "disabled",
            "reason": "",
            "fields": {"enabled": ["1", "0"]},
        }.items()
    )
    assert "hunter2" not in told("changes", "mail", "--json")


# revert


@pytest.mark.usefixtures("edited")
@pytest.mark.parametrize("django", [False, True])
def test_revert_writes_an_earlier_definition_and_says_what_changes(
    connection: Redis, told: Any, django: bool
) -> None:
    def output(*arguments: str) -> list[str]:
        return untimed(manage("rqrcron", *arguments).stdout if django else told(*arguments))

    assert output("revert", "mail", "1") == [
        f"TIME  revision 3  reverted by {command_line_actor()}: to revision 1",
        "    enabled: 0 -> 1",
    ]
    assert output("revert", "mail", "1") == ["Nothing to change: mail is defined as in revision 1"]
    RedisCronJob.fetch("mail", connection).delete()
    assert "    enabled: 1 -> 1" not in output("changes", "mail", "--limit", "1")
    assert "    enabled: 1 -> 1" not in output("revert", "mail", "0")
    restored = RedisCronJob.fetch("mail", connection)
    assert (restored.interval, restored.kwargs["token"]) == (600, "hunter2")


@pytest.mark.usefixtures("edited")
def test_revert_refuses_what_cannot_be_saved(connection: Redis, told: Any) -> None:
    assert "'mail' is not on record" in told("revert", "mail", "7", status=1)
    assert "did you mean 'mail'?" in told("revert", "mial", "1", status=1)
    assert "'now'" in told("revert", "mail", "now", status=2)
    assert RedisCronJob.fetch("mail", connection).revision == 2


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
    off = RedisCronJob.fetch("mail", connection).disabled_at
    assert off is not None
    assert page.splitlines()[:21] == [
        "mail",
        "",
        "Function      tests.tasks.echo(to='a', token='********')",
        "Queue         default",
        "When          Every 15 minutes",
        "State         disabled, revision 2",
        f"Disabled      since {utc_text(off)}, by cli:bob@web1",
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


# How it is printed


def test_the_newest_of_many_schedules_are_found(connection: Redis) -> None:
    """Though at first a few of each are read."""
    chance = random.Random(1)
    ids = [f"job {number}" for number in range(6)]
    for id in ids:
        minutes = sorted(chance.sample(range(10_000 if chance.random() < 0.5 else 50), 12))
        record(connection, id, *(ended(THREE + minute * HOUR / 60) for minute in minutes[:8]))
        for minute in minutes[8:]:
            skip = Skip.overlapping(THREE + minute * HOUR / 60, THREE)
            connection.lpush(skipped_key(id), skip.to_text())
    everything = read_events(ids, connection, 1000)
    assert len(everything) == 6 * 12
    for limit in (1, 2, 3, 5, 8, 20, 60):
        found = read_events(ids, connection, limit)
        assert [each.time for each in found] == [each.time for each in everything[:limit]]
    since = everything[9].time
    found = read_events(ids, connection, 1000, since)
    assert {each.time for each in found} == {e.time for e in everything if e.time >= since}


@pytest.mark.slow
@pytest.mark.usefixtures("night")
def test_lines_fit_a_terminal(redis_url: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "django_rediscron.cli", "show", "billing", "-u", redis_url]
    env = {**os.environ, "COLUMNS": "80", "LINES": "24", "PYTHONUTF8": "1"}
    process = subprocess.Popen(command, stdout=theirs, cwd=ROOT, env=env)
    os.close(theirs)
    output = b""
    with suppress(OSError):  # as the end of a terminal is told
        while read := os.read(ours, 4096):
            output += read
    os.close(ours)
    assert process.wait(60) == 0
    lines = output.decode().splitlines()
    assert "2026-06-03T03:00:00Z  finished  +2.0s    5m0s" in lines
    assert max(map(len, lines)) <= 80
    assert any(line.endswith("...") for line in lines)


@pytest.mark.usefixtures("night", "leader")
@pytest.mark.parametrize(
    ("verb", "parts"),
    [
        ("history", ["runs", "skips"]),
        ("why", []),
        ("changes", ["changes"]),
        ("show", ["outcomes", "reigns"]),
    ],
)
def test_help_names_every_key_of_the_json(verb: str, parts: list[str], told: Any) -> None:
    found = json.loads(told(verb, "billing", "--json"))
    keys = set(found)
    for part in parts:
        keys.update(found[part] if isinstance(found[part], dict) else found[part][0])
    assert keys <= set(re.findall(r"\w+", rqrcron(verb, "--help").stdout))


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
        (["changes", "\udcff"], 1, "there is no schedule '\\udcff', and none is on record"),
        (["show", "biling"], 1, "did you mean 'billing'?"),
        (["why", "biling", "03:00"], 1, "did you mean 'billing'?"),
        (["why", "billing", "soon"], 2, "TIME: time must be a time of day such as 03:00, or "),
        (["history", "x*"], 1, "no schedule has an id like 'x*'"),
        (["history", "--limit", "0"], 2, "'--limit'"),
        (["history", "--since", "soon"], 2, "'soon' is neither a time such as "),
    ],
)
def test_what_cannot_be_told_is_one_line(
    arguments: list[str], status: int, reason: str, told: Any
) -> None:
    assert reason in told(*arguments, status=status).splitlines()[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("night")
def test_a_project_tells_the_same(told: Any) -> None:
    def ours(*arguments: str) -> subprocess.CompletedProcess[str]:
        return manage("rqrcron", *arguments)

    verbs = (
        ["history", "billing"],
        ["history", "--json"],
        ["changes", "billing"],
        ["show", "billing", "--json"],
        ["why", "billing", "2026-06-03T04:00Z"],
    )
    for verb in verbs:
        assert ours(*verb).stdout == told(*verb)
    refused = ours("history", "biling")
    assert refused.returncode == 1
    assert refused.stderr == (
        "CommandError: there is no schedule 'biling', and none is on record; "
        "did you mean 'billing'?\n"
    )
