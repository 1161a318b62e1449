"""Every verb that takes schedules takes ids, patterns and conditions, and tells of each of many."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import CliRunner
from redis import Redis

from django_rediscron import RedisCronJob, cli
from django_rediscron.core.store import define_many
from django_rediscron.core.store.keys import job_key

from .tasks import echo
from .test_cli_operations import create, schedules

__all__ = ["schedules"]

MANY = 2000

Told = Callable[..., str]


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Told:
    """Runs a verb in this process; returns what it printed, of one that fails its errors, too."""

    def run(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(cli.main, [*arguments, "--url", redis_url])
        assert result.exit_code == status, (arguments, result.output[-2000:], result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit), arguments
        return result.output

    return run


def ids_of(key: str) -> Callable[[Any], list[str]]:
    return lambda found: [each["id"] for each in found[key]]


VERBS: dict[str, tuple[tuple[str, ...], Callable[[Any], list[str]]]] = {
    "info": ((), ids_of("jobs")),
    "show": ((), ids_of("pages")),
    "history": ((), ids_of("runs")),
    "changes": (("--limit", "1000"), ids_of("changes")),
    "why": ((), ids_of("answers")),
    "next": ((), ids_of("next")),
    "enable": (("--dry-run",), ids_of("schedules")),
    "disable": (("--dry-run",), ids_of("schedules")),
    "run": (("--dry-run",), ids_of("schedules")),
    "edit": (("max_runs=3", "--dry-run"), ids_of("schedules")),
    "delete": (("--dry-run",), ids_of("schedules")),
    "export": (("--format", "json"), lambda found: list(found["schedules"])),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["billing:*"], {"billing:daily", "billing:hourly"}),
        (["*", "--queue", "reports"], {"billing:daily"}),
        (["*", "--tag", "money"], {"billing:hourly"}),
        (["*", "--function", "tests.*", "--queue", "reports", "--state", "enabled"],
         {"billing:daily"}),
        (["*", "--tag", "none"], set()),
    ],
)  # fmt: skip
def test_schedules_are_chosen_in_the_same_way(
    verb: str, options: list[str], chosen: set[str], schedules: None, connection: Redis, told: Told
) -> None:
    for id in ("billing:daily", "billing:hourly", "mail"):
        RedisCronJob.fetch(id, connection).enqueue(connection)
    others, ids = VERBS[verb]
    form = () if verb == "export" else ("--json",)
    if verb == "info":
        options = ["--id", *options]
    assert set(ids(json.loads(told(verb, *options, *others, *form)))) == chosen
    if not chosen and verb != "export":  # which needs PyYAML for what it prints then
        assert told(verb, *options, *others).startswith("No ")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("option", ["--queue", "--function", "--tag", "--state"])
def test_an_unset_variable_does_not_stand_for_all(
    verb: str, option: str, schedules: None, told: Told
) -> None:
    others, _ = VERBS[verb]
    patterns = ("--id", "*") if verb == "info" else ("*",)
    assert option in told(verb, *patterns, option, "", *others, status=2)


@pytest.mark.parametrize("verb", VERBS)
def test_an_id_that_nothing_has_is_told(verb: str, schedules: None, told: Told) -> None:
    others, _ = VERBS[verb]
    option = ("--id",) if verb == "info" else ()
    assert "there is no schedule 'mial'" in told(verb, *option, "mial", *others, status=1)
    assert "no schedule has an id like 'x*'" in told(verb, *option, "x*", *others, status=1)


def test_the_listing_has_what_cannot_be_read_and_what_was_deleted(
    schedules: None, connection: Redis, told: Told
) -> None:
    """As long as it may be meant."""
    connection.hset(job_key("kept"), "declared", '{"queue_name": "default", "tags": "ops"}')
    connection.hdel(job_key("kept"), "locked")
    RedisCronJob.fetch("kept", connection).delete()
    listed = told("info", "--id", "b*")
    assert "damaged  broken: " in listed
    assert "kept" not in listed
    assert "kept: deleted by hand" in told("info", "--tag", "ops", "--queue", "default")
    for options in (["--tag", "money"], ["--id", "kep"], ["--state", "enabled"]):
        assert "kept" not in told("info", *options, status=int("kep" in options))
    found = json.loads(told("info", "--id", "broken", "--json"))
    assert (found["jobs"], [each["id"] for each in found["damaged"]]) == ([], ["broken"])


def test_each_of_several_is_named(schedules: None, connection: Redis, told: Told) -> None:
    connection.rename(job_key("mail"), job_key("ma*l"))  # an id may look like a pattern
    connection.zadd("rq:cron_jobs:disabled", {"ma*l": 1})
    assert re.match(r"\S+Z  revision 0  created", told("changes", "billing:daily"))
    lines = told("changes", "billing:*").splitlines()
    assert [line.split()[1] for line in lines] == ["billing:hourly", "billing:daily"]
    assert json.loads(told("changes", "billing:daily", "--json"))["id"] == "billing:daily"
    assert json.loads(told("changes", "billing:d*", "--json"))["id"] is None
    assert re.match(r"\S+Z  coming: ", told("why", "billing:daily"))
    assert re.match(r"\S+Z  billing:daily  coming: ", told("why", "billing:*"))
    assert json.loads(told("why", "billing:daily", "--json"))["id"] == "billing:daily"
    pages = told("show", "billing:*").split("\n\n\n")
    assert [page.splitlines()[0] for page in pages] == ["billing:daily", "billing:hourly"]
    assert told("show", "ma*l").splitlines()[0] == "ma*l"


def test_deleted_ones_are_shown_if_asked_for(
    schedules: None, connection: Redis, told: Told
) -> None:
    RedisCronJob.fetch("mail", connection).delete()
    for verb in ("show", "changes", "why"):
        assert "no schedule has an id like 'm*'" in told(verb, "m*", status=1)
        assert "mail" in told(verb, "m*", "--deleted")
    assert "name the schedules to show; '*' means all" in told("show", status=2)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_thousand_and_broken_ones(connection: Redis, told: Told) -> None:
    """Each is told, one that is broken keeps no other from it, and nothing breaks off."""
    ids = [f"job {number:04}" for number in range(MANY)]
    define_many([RedisCronJob(id, "default", func=echo, interval=3600) for id in ids], connection)
    broken = {"broken", "odd"}
    for id in broken:
        create(connection, id)
    connection.hset(job_key("broken"), "interval", "often")
    connection.delete(job_key("odd"))
    connection.lpush(job_key("odd"), "not a hash")

    for verb, options, outcome in (
        ("edit", ("max_runs=9",), "updated"),
        ("disable", ("--reason", "moving"), "disabled"),
        ("enable", (), "enabled"),
        ("run", ("--yes",), "enqueued"),
    ):
        found = json.loads(told(verb, "*", *options, "--json", status=1))["schedules"]
        outcomes = {each["id"]: each["outcome"] for each in found}
        assert outcomes == {
            **dict.fromkeys(ids, outcome),
            **dict.fromkeys(broken, f"not {outcome}"),
        }
        assert {each["id"] for each in found if each["error"]} == broken
    for verb in ("show", "why"):
        _, of = VERBS[verb]
        assert of(json.loads(told(verb, "job 00*", "--json"))) == ids[:100]
        assert of(json.loads(told(verb, "broke?", "--json"))) == ["broken"]
    assert len(json.loads(told("changes", "--limit", "9999", "--json"))["changes"]) >= 4 * MANY
    assert len(json.loads(told("history", "--limit", "9999", "--json"))["runs"]) == MANY
    exported, refused_too = told("export", "--format", "json", status=1).split("not exported", 1)
    assert (len(json.loads(exported)["schedules"]), "odd: " in refused_too) == (MANY, True)
    found = json.loads(told("delete", "*", "--yes", "--json"))["schedules"]
    assert {each["outcome"] for each in found} == {"deleted"}
    assert told("info").startswith("No scheduled jobs\n")


def test_every_verb_speaks_json() -> None:
    for name, verb in cli.main.commands.items():
        parts = verb.commands.values() if isinstance(verb, click.Group) else [verb]
        for part in parts:
            assert any("--json" in option.opts for option in part.params), (name, part.name)


def test_what_is_repaired_restored_and_measured_is_told_to_programs(
    schedules: None, connection: Redis, told: Told
) -> None:
    """With the keys that the help names."""
    told("edit", "mail", "max_runs=7")
    revision = json.loads(told("changes", "mail", "--json"))["changes"][1]["revision"]
    restored = json.loads(told("revert", "mail", str(revision), "--json"))
    assert restored["change"] == json.loads(told("changes", "mail", "--json"))["changes"][0]
    assert (restored["id"], restored["revision"], restored["changed"]) == ("mail", revision, True)
    again = json.loads(told("revert", "mail", str(revision), "--json"))
    assert (again["changed"], again["change"]) == (False, None)

    connection.zrem("rq:cron_jobs", "billing:daily")
    assert json.loads(told("reindex", "--json")) == {"schedules": 5, "restored": 1, "pruned": 0}

    families = {each["name"]: each for each in json.loads(told("metrics", "--json"))["metrics"]}
    text = told("metrics")
    for name, family in families.items():
        assert f"# TYPE {name} {family['type']}\n" in text
    states = families["rediscron_schedules"]["samples"]
    assert {"queue": "reports", "state": "enabled"} in [each["labels"] for each in states]
    exported = told("export", "mail", "--json")
    assert exported == told("export", "mail", "--format", "json")


@pytest.mark.parametrize(
    "arguments",
    [("info",), ("history",), ("changes",), ("next",), ("run", "--tag", "x"), ("why", "x"),
     ("show", "x*"), ("info", "nowhere"), ("reindex",), ("export", "--json")],
    ids=" ".join,
)  # fmt: skip
def test_who_names_no_server_is_told_which_one_has_nothing(
    arguments: tuple[str, ...], connection: Redis, redis_url: str
) -> None:
    address = redis_url.removeprefix("redis://")
    asked = f"Redis at {address} was asked; use --url to name another server\n"
    run = CliRunner().invoke
    assert run(cli.main, arguments, env={"REDIS_URL": redis_url}).output.endswith(asked)
    assert "was asked" not in run(cli.main, [*arguments, "--url", redis_url]).output
    create(connection, "x", tags=["x"])
    assert "was asked" not in run(cli.main, ["info"], env={"REDIS_URL": redis_url}).output
