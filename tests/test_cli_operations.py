"""The verbs of `rqrcron` that operate many schedules, and the list of the runs to come."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis

from django_rediscron import RedisCronJob, cli
from django_rediscron.core.store.keys import job_key
from django_rediscron.core.timing.cron_times import utc_text
from django_rediscron.terminal import with_progress

from .forks import ROOT
from .tasks import echo
from .test_cli import environment, verbs_on

SOON = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=1)
HOUR = timedelta(hours=1)


def create(connection: Redis, id: str, queue: str = "default", **options: Any) -> RedisCronJob:
    options = {"interval": 3600, "start_at": SOON, **options}
    job = RedisCronJob(id, queue, func=echo, connection=connection, **options)
    job.save()
    return job


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Any:
    return verbs_on(redis_url)


@pytest.fixture
def schedules(connection: Redis) -> None:
    create(connection, "billing:daily", "reports", start_at=SOON + HOUR / 2)
    create(connection, "billing:hourly", tags=["money", "ops"])
    create(connection, "mail", enabled=False)
    create(connection, "broken")
    connection.hset(job_key("broken"), "interval", "often")
    create(connection, "kept")
    connection.hset(
        job_key("kept"),
        mapping={"source": "code", "application": "site", "place": "apps.py:7", "locked": "1"},
    )


def enabled(connection: Redis) -> set[str]:
    ids = ("billing:daily", "billing:hourly", "mail", "broken", "kept")
    return {id for id in ids if connection.hget(job_key(id), "enabled") in (None, b"1")}


# next


def test_runs_to_come_are_one_list_in_the_order_of_time(schedules: None, told: Any) -> None:
    heading, *lines = told("next", "--count", "4").splitlines()
    assert heading.split() == ["TIME", "IN", "ID", "QUEUE"]
    assert [line.split()[::2] for line in lines] == [
        [f"{SOON:%FT%TZ}", "billing:hourly"],
        [f"{SOON:%FT%TZ}", "kept"],
        [f"{SOON + HOUR / 2:%FT%TZ}", "billing:daily"],
        [f"{SOON + HOUR:%FT%TZ}", "billing:hourly"],
    ]
    assert [line.split()[3] for line in lines] == ["default", "default", "reports", "default"]


def test_runs_to_come_end_when_they_are_to(schedules: None, told: Any) -> None:
    until = f"{SOON + 24 * HOUR:%FT%TZ}"
    found = json.loads(told("next", "billing:*", "--until", until, "--json"))["next"]
    assert len(found) == 25 + 24
    assert found[1] == {
        "id": "billing:daily",
        "time": f"{SOON + HOUR / 2:%FT%T.000000Z}",
        "queue": "reports",
        "paused": False,
    }
    assert len(told("next").splitlines()) == 1 + 20
    assert told("next", "mail") == "No runs to come\n"
    assert "no schedule 'mial', and none is on record; did you" in told("next", "mial", status=1)
    assert "'soon' is neither a time" in told("next", "--until", "soon", status=2)


# enable, disable, run, delete


def test_what_became_of_each_is_told(schedules: None, connection: Redis, told: Any) -> None:
    """One that cannot be changed keeps no other from it."""
    assert told("disable", "*", status=1).splitlines() == [
        "billing:daily   disabled",
        "billing:hourly  disabled",
        "broken          not disabled      it cannot be read: field 'interval' must be a "
        "whole number, got 'often'",
        "kept            not disabled      nothing was saved of 'kept': is locked; change it "
        "where it is declared: apps.py:7",
        "mail            disabled already",
    ]
    assert enabled(connection) == {"broken", "kept"}
    (change,) = RedisCronJob.fetch("billing:daily", connection).get_changes(connection, 0, 0)
    assert (change.what, change.actor.partition(":")[0]) == ("disabled", "cli")


def test_a_reason_and_an_end_are_kept(schedules: None, connection: Redis, told: Any) -> None:
    """Also of what is disabled already, for another reason."""
    until = f"{SOON:%FT%TZ}"
    options = ("--reason", "the bank is closed", "--until", until)
    lines = ["billing:daily  {}", "mail           {}"]
    ids = ("billing:daily", "mail")
    assert told("disable", *ids, *options, "--dry-run").splitlines() == [
        line.format("would be disabled") for line in lines
    ]
    assert told("disable", *ids, *options).splitlines() == [
        line.format("disabled") for line in lines
    ]
    for id in ids:
        job = RedisCronJob.fetch(id, connection)
        assert (job.disabled_reason, job.disabled_until) == ("the bank is closed", SOON)
    assert told("disable", *ids, *options).splitlines() == [
        line.format("disabled already") for line in lines
    ]
    told("disable", "mail", "--until", "2h")
    moved = RedisCronJob.fetch("mail", connection).disabled_until
    assert moved is not None
    assert moved > SOON

    off = RedisCronJob.fetch("billing:daily", connection)
    assert off.disabled_at is not None
    since, why = utc_text(off.disabled_at), "the bank is closed\n"
    said = f"since {since}, by {off.disabled_by}, until"
    assert f"Disabled  {said} {until}: {why}" in told("show", off.id)
    assert f"disabled billing:daily: {said} {utc_text(SOON)}: {why}" in told("info")
    facts = {job["id"]: job for job in json.loads(told("info", "--json"))["jobs"]}
    assert facts[off.id]["disabled_until"] == utc_text(SOON)
    assert f"{off.disabled_by}, until {until}: the bank is closed\n" in told("changes", off.id)
    (change, *_) = json.loads(told("changes", off.id, "--json"))["changes"]
    assert change["until"] == utc_text(SOON)


def test_a_wrong_reason_or_end_is_refused(schedules: None, connection: Redis, told: Any) -> None:
    for arguments, complaint in {
        ("--until", "2020-01-01"): "TIME must be in the future, got 2020-01-01",
        ("--until", "soon"): "'soon' is neither a time",
        ("--reason", "x" * 201): "reason must be one line of at most 200 characters",
        ("--reason", "a\nb"): "reason must be one line",
    }.items():
        assert complaint in told("disable", "mail", *arguments, status=2)
    assert "No such option" in told("enable", "mail", "--until", "2h", status=2)


def test_it_is_told_to_programs(schedules: None, connection: Redis, told: Any) -> None:
    found = json.loads(told("enable", "mail", "billing:hourly", "--json"))
    assert found == {
        "action": "enable",
        "dry_run": False,
        "schedules": [
            {"id": "mail", "outcome": "enabled", "done": True, "error": None},
            {"id": "billing:hourly", "outcome": "enabled already", "done": False, "error": None},
        ],
    }
    (run,) = json.loads(told("run", "mail", "--json"))["schedules"]
    (job_id,) = RedisCronJob.fetch("mail", connection).get_job_ids(connection)
    assert run == {
        "id": "mail", "outcome": "enqueued", "done": True, "error": None, "job_id": job_id,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["--queue", "reports"], ["billing:daily"]),
        (["--function", "tests.tasks.echo", "--state", "disabled"], ["mail"]),
        (["--function", "*.echo", "billing:*"], ["billing:daily", "billing:hourly"]),
        (["--tag", "money", "--queue", "default"], ["billing:hourly"]),
        (["--tag", "mon"], []),
        (["--state", "finished"], []),
        (["--function", "tests.tasks"], []),
    ],
)
def test_schedules_are_chosen_by_what_they_are(
    options: list[str], chosen: list[str], schedules: None, told: Any
) -> None:
    found = json.loads(told("run", *options, "--dry-run", "--json"))
    assert [each["id"] for each in found["schedules"]] == chosen
    assert {each["outcome"] for each in found["schedules"]} <= {"would be enqueued"}
    if not chosen:
        assert told("run", *options, "--dry-run") == "No schedules match\n"


def test_schedules_of_a_tag_are_listed(schedules: None, told: Any) -> None:
    assert [line.split()[0] for line in told("info", "--tag", "ops").splitlines()[:2]] == [
        "billing:hourly",
        "1",
    ]
    (job,) = json.loads(told("info", "--tag", "money", "--json"))["jobs"]
    assert (job["id"], job["tags"]) == ("billing:hourly", ["money", "ops"])


def test_a_dry_run_changes_nothing(schedules: None, connection: Redis, told: Any) -> None:
    before = {key: connection.dump(key) for key in connection.scan_iter()}
    assert told("delete", "*", "--dry-run", status=1).splitlines() == [
        "billing:daily   would be deleted",
        "billing:hourly  would be deleted",
        "broken          would be deleted",
        "kept            not deleted       it is locked by the code: apps.py:7",
        "mail            would be deleted",
    ]
    told("disable", "billing:*", "--dry-run")
    assert {key: connection.dump(key) for key in connection.scan_iter()} == before


def test_more_than_one_is_deleted_only_if_that_was_confirmed(
    schedules: None, connection: Redis, redis_url: str, told: Any
) -> None:
    assert "name the schedules to delete; '*' means all" in told("delete", status=2)
    assert "Delete 2 schedules? Answer with --yes" in told("delete", "billing:*", status=2)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"n\n")
        asked = subprocess.run(
            [sys.executable, "-m", "django_rediscron.cli", "delete", "billing:*", "-u", redis_url],
            check=False,
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
            env=environment(),
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert (asked.returncode, "Delete 2 schedules? [y/N]" in asked.stderr) == (1, True)
    assert connection.exists(job_key("billing:daily"), job_key("billing:hourly")) == 2
    assert told("delete", "broken") == "broken  deleted\n"
    assert told("delete", "billing:*", "--yes").count("deleted\n") == 2
    assert connection.exists(job_key("broken"), job_key("billing:daily")) == 0
    assert "no schedule 'broken'" not in told("delete", "broken", status=1)


def test_progress_is_shown_on_a_terminal_after_a_second(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("django_rediscron.terminal.UNSHOWN", -1)
    assert list(with_progress(range(3), 3)) == [0, 1, 2]
    assert capfd.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert list(with_progress(range(3), 3)) == [0, 1, 2]
    assert "100%" in capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [("info",), ("show", "*"), ("history",), ("changes",), ("why", "*"), ("next",), ("reindex",),
     ("disable", "*"), ("enable", "*"), ("edit", "*", "max_runs=3"), ("export", "--json"),
     ("run", "*", "--yes"), ("delete", "*", "--yes")],
    ids=" ".join,
)  # fmt: skip
def test_each_verb_that_may_take_long_shows_it(
    arguments: tuple[str, ...],
    connection: Redis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for id in ("a", "b"):
        create(connection, id)
    monkeypatch.setattr("django_rediscron.terminal.UNSHOWN", -1)
    for is_terminal in (False, True):
        monkeypatch.setattr("sys.stderr.isatty", lambda is_terminal=is_terminal: is_terminal)
        cli.main([*arguments, "--url", redis_url], standalone_mode=False)
        assert ("%" in capfd.readouterr().err) == is_terminal
        for id in ("a", "b"):
            create(connection, id)
