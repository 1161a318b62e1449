"""Files of RQ's own cron."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_rediscron import RedisCronJob
from django_rediscron.core.store import fetch_many
from django_rediscron.core.store.keys import FILES
from django_rediscron.migrating.found import CannotReadError, Found, Maps
from django_rediscron.migrating.packages import import_needed
from django_rediscron.migrating.rq_cron import read
from tests.test_cli import verbs_on

from .moving import AUTUMN, BERLIN, SPRING, month, told_by

CONFIG = """
from rq import cron
from tests.tasks import echo, fail
cron.register(echo, "reports", args=("a", 1), cron="30 4 * * *", job_timeout=30, name="daily")
cron.register(echo, "default", kwargs={"b": [1]}, interval=60, result_ttl=-1, meta={"a": 1})
cron.register(echo, "default", interval=3600)
"""
WRONG = """
def here(): pass
cron.register(here, "default", interval=5, name="here")
cron.register(lambda: 1, "default", interval=5, name="lambda")
cron.register(echo, "default", args=(object(),), interval=5, name="object")
cron.register(echo, "default", name="never")
cron.register(echo, "default", cron="61 * * * *", name="minute")
"""


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Any:
    return verbs_on(redis_url)


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "cron_config.py"
        path.write_text(text)
        return str(path)

    return write


def test_what_a_file_registers_is_carried_over(
    connection: Redis, told: Any, config: Callable[[str], str]
) -> None:
    command = ("rq-cron", config(CONFIG), "--timezone", BERLIN)
    found = told_by(told, *command)
    assert {each["outcome"] for each in found.values()} == {"created"}
    assert not any(each["done"] for each in found.values())
    assert fetch_many(found, connection) == {}  # it was a dry run

    found = told_by(told, *command, "--write")
    assert all(each["done"] and each["times"]["same"] for each in found.values())
    daily, minutely, hourly = (
        RedisCronJob.fetch(id, connection)
        for id in ("daily", "tests.tasks.echo", "tests.tasks.echo#2")
    )
    assert (daily.cron, daily.timezone, daily.queue_name) == ("30 4 * * *", BERLIN, "reports")
    assert (daily.args, daily.job_options["job_timeout"]) == (("a", 1), 30)
    assert (minutely.interval, minutely.kwargs) == (60, {"b": [1]})
    assert minutely.job_options["result_ttl"] == -1
    assert minutely.job_options["meta"] == {"a": 1}
    assert hourly.interval == 3600
    assert not connection.exists(FILES)  # no import with --prune deletes them


def test_what_exists_here_is_left_alone_unless_it_is_to_be_replaced(
    connection: Redis, told: Any, config: Callable[[str], str]
) -> None:
    command = ("rq-cron", config(CONFIG), "--timezone", BERLIN, "--write")
    told_by(told, *command)
    assert {each["outcome"] for each in told_by(told, *command).values()} == {"unchanged"}

    edited = RedisCronJob.fetch("daily", connection)
    edited.cron, edited.enabled = "0 5 * * *", False
    edited.save()
    found = told_by(told, *command, status=1)
    assert (found["daily"]["outcome"], found["daily"]["done"]) == ("differs", False)
    assert found["daily"]["changes"] == {"cron": ["0 5 * * *", "30 4 * * *"]}
    assert RedisCronJob.fetch("daily", connection).cron == "0 5 * * *"

    assert told_by(told, *command, "--replace")["daily"]["outcome"] == "updated"
    replaced = RedisCronJob.fetch("daily", connection)
    assert (replaced.cron, replaced.enabled) == ("30 4 * * *", False)


def test_what_cannot_be_carried_over_is_told_and_the_rest_is_written(
    connection: Redis, told: Any, config: Callable[[str], str]
) -> None:
    found = told_by(told, "rq-cron", config(CONFIG + WRONG), "--write", status=1)
    errors = {id: each["error"] for id, each in found.items() if each["error"]}
    assert "move it to a module" in errors.pop("here")
    assert "must be importable by a worker" in errors.pop("lambda")
    assert "must be JSON" in errors.pop("object")
    assert "RQ refuses it" in errors.pop("never")
    assert "RQ refuses it" in errors.pop("minute")
    assert errors == {}
    assert len(fetch_many(found, connection)) == 3


def test_times_that_differ_when_the_clocks_change_are_told_long_before(
    told: Any, config: Callable[[str], str]
) -> None:
    text = CONFIG.replace("30 4 * * *", "30 2 * * *")
    facts = told_by(told, "rq-cron", config(text), "--timezone", BERLIN)["daily"]
    [change] = facts["clock_changes"]
    assert change["at"] == change["here"][0]
    assert change["there"][0][:14] == change["at"][:14]
    assert change["there"][0][14:16] == "30"
    assert change["there"][1:] == change["here"][1:]

    lines = told("migrate", "rq-cron", config(text), "--timezone", BERLIN)
    day = change["at"][:10]
    assert f"when the clocks change on {day}: only there {day}T01:30:00Z; only here" in lines


def test_tuples_in_arguments_become_lists_and_a_note_says_so(
    connection: Redis, told: Any, config: Callable[[str], str]
) -> None:
    text = CONFIG.replace('("a", 1)', '("a", [(1, (2,))])')
    facts = told_by(told, "rq-cron", config(text), "--write")
    assert RedisCronJob.fetch("daily", connection).args == ("a", [[1, [2]]])
    notes = {id: [note["text"] for note in each["notes"]] for id, each in facts.items()}
    assert notes.pop("daily") == ["tuples in its arguments become lists"]
    assert not any(notes.values())


def test_functions_may_be_mapped(
    connection: Redis, told: Any, config: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "maps").write_text("# moved\ntests.tasks.echo = tests.tasks.nothing\n")
    command = ("rq-cron", config(CONFIG), "--maps", str(tmp_path / "maps"))
    found = told_by(told, *command, status=1)
    assert "has no 'nothing'" in found["daily"]["error"]
    found = told_by(told, *command, "--map", "tests.tasks.echo=tests.tasks.fail")
    assert found["daily"]["definition"]["function"] == "tests.tasks.fail"


@pytest.mark.parametrize(
    ("line", "reason"),
    [("raise ValueError('broken')", "broken"), ("raise SystemExit(3)", "ends the process")],
)
def test_a_file_that_cannot_be_loaded_is_told_in_a_line(
    told: Any, config: Callable[[str], str], line: str, reason: str
) -> None:
    text = told("migrate", "rq-cron", config(line), status=1)
    assert text.count("\n") == 1
    assert reason in text


@pytest.fixture
def found(connection: Redis, config: Callable[[str], str]) -> Callable[[str], Found]:
    def read_one(cron: str) -> Found:
        text = CONFIG.splitlines()[1:3] + [f"cron.register(echo, 'default', {cron})"]
        (one,) = read(connection, Maps(), file=config("\n".join(text)), timezone=BERLIN)
        return one

    return read_one


@pytest.mark.parametrize("begin", [SPRING, AUTUMN])
@pytest.mark.parametrize(
    "when",
    [
        "interval=5400",
        "cron='0 4 * * *'",
        "cron='15 9-17/2 * * MON-FRI'",
        "cron='0 0 13 * FRI'",
        "cron='0 12 L * *'",
    ],
)
def test_all_times_of_a_month_are_the_same(found: Any, when: str, begin: Any) -> None:
    assert month(found(when), begin).is_same


def test_times_that_the_clocks_skip_or_repeat_differ_and_are_told(found: Any) -> None:
    both = month(found("cron='30 2 * * *'"), SPRING)
    assert [f"{time:%F %T}" for time in both.only_there] == ["2027-03-28 01:30:00"]
    assert [f"{time:%F %T}" for time in both.only_here] == ["2027-03-28 01:00:00"]
    assert month(found("cron='30 2 * * *'"), AUTUMN).is_same
    both = month(found("cron='0 * * * *'"), AUTUMN)
    assert (both.only_there, [f"{time:%F %T}" for time in both.only_here]) == (
        [],
        ["2027-10-31 01:00:00"],
    )


def test_a_package_that_cannot_be_imported_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_package.py").write_text("import json; json.nothing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CannotReadError, match=r"cannot be imported: AttributeError: .*nothing"):
        import_needed("broken_package", "broken-package")
