"""Crontabs."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_rediscron import RedisCronJob
from django_rediscron.core.store import fetch_many
from django_rediscron.migrating.comparing import our_times
from django_rediscron.migrating.crontab import read
from django_rediscron.migrating.found import Found, Maps
from tests.test_cli import verbs_on

from .debian_cron import runs
from .moving import AUTUMN, BERLIN, MONTH, SPRING, job_of, told_by

CRONTAB = r"""
# m h  dom mon dow   command
SHELL=/bin/bash
  PATH = "/usr/bin:/bin"
MAILTO="ops@example.org"

*/15 9-17 * * mon-fri	cd /srv/app && ./manage.py clearsessions
@daily	/usr/local/bin/backup --full -t "$(date +\%F)"
CRON_TZ=America/New_York
30 2 1,15 * 5 mail -s Report boss%Hello,%100\% done%
"""


def found_in(connection: Redis, text: str, **options: Any) -> list[Found]:
    options = {"command": "tests.tasks.echo", "timezone": BERLIN, **options}
    return read(connection, Maps(), file=io.StringIO(text), **options)


@pytest.fixture
def told(connection: Redis, redis_url: str) -> Any:
    return verbs_on(redis_url)


def test_lines_become_calls_of_a_function_with_the_command(
    connection: Redis, told: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "crontab").write_text(CRONTAB)
    command = ("crontab", str(tmp_path / "crontab"), "--timezone", BERLIN, "--queue", "reports")
    command = (*command, "--command", "tests.tasks.echo", "--write")
    facts = told_by(told, *command)
    assert [id.partition(":")[0] for id in facts] == ["clearsessions", "backup", "mail"]
    assert all(each["done"] for each in facts.values())
    sessions, backup, mail = (RedisCronJob.fetch(id, connection) for id in facts)
    env = {"SHELL": "/bin/bash", "PATH": "/usr/bin:/bin"}
    assert (sessions.cron, sessions.timezone) == ("*/15 9-17 * * mon-fri", BERLIN)
    assert sessions.args == ("cd /srv/app && ./manage.py clearsessions",)
    assert sessions.kwargs == {"env": env}
    assert (sessions.queue_name, sessions.job_options["job_timeout"]) == ("reports", -1)
    assert backup.args == ('/usr/local/bin/backup --full -t "$(date +%F)"',)
    assert mail.args == ("mail -s Report boss",)
    assert mail.kwargs == {"env": env, "input": "Hello,\n100% done\n\n"}
    assert mail.timezone == "America/New_York"
    notes = [note["text"] for note in facts[mail.id]["notes"]]
    assert any("ops@example.org" in note for note in notes)
    assert any("Debian's cron ignores it" in note for note in notes)

    assert {each["outcome"] for each in told_by(told, *command).values()} == {"unchanged"}


def test_what_cron_or_we_do_not_take_is_told_with_its_line(
    connection: Redis, told: Callable[..., str], tmp_path: Path
) -> None:
    wrong = {
        "@reboot start": "@reboot is no time",
        "@often start": "@often is not known",
        "5/10 * * * * start": "crons differ in what a step without a range means",
        "0~59 * * * * start": "random times are not supported",
        "22-4 * * * * start": "the range ends before it begins",
        "0 5 * * sat-sun start": "the range ends before it begins",
        "0 5 * * * % input": "no command before the first %",
        "61 * * * * start": "minute must be 0-59",
        "0 5 L * * start": "none of cron's forms",
        "0 5 * * *": "it has no command",
        "0 5": "neither a variable nor five fields",
        "0 5 * * * root start": "its command begins with a user",
        "0 5 30 2 * start": "never",
    }
    (tmp_path / "crontab").write_text("\n".join([*wrong, "0 5 * * * start"]))
    command = ("crontab", str(tmp_path / "crontab"), "--command", "tests.tasks.echo", "--write")
    facts = told_by(told, *command, status=1)
    *refused, fine = facts.values()
    for number, (each, (line, text)) in enumerate(zip(refused, wrong.items(), strict=True), 1):
        assert each["name"] == f"line {number}: {line}"
        assert text in each["error"]
    assert fine["outcome"] == "created"
    assert set(fetch_many(facts, connection)) == {fine["id"]}


def test_each_command_needs_a_function_of_its_own_or_one_for_all(connection: Redis) -> None:
    text = "0 5 * * * a=1 /bin/backup\n"
    [found] = found_in(connection, text, command=None)
    assert found.options is None
    assert "--command" in found.notes[0].remedy
    maps = Maps({"a=1 /bin/backup": "tests.tasks.fail"})
    [found] = read(connection, maps, file=io.StringIO(text), command=None, timezone=BERLIN)
    assert job_of(found).func_name == "tests.tasks.fail"
    assert job_of(found).args == ()


def test_system_crontabs_have_a_user_before_the_command(connection: Redis) -> None:
    [found] = found_in(connection, "0 5 * * *\troot\t/bin/backup\n", system=True)
    assert job_of(found).args == ("/bin/backup",)
    assert "ran as the user 'root'" in found.notes[0].text
    file = io.StringIO("0 5 * * * root /bin/backup\n")
    file.name = "/etc/cron.d/backup"  # type: ignore[attr-defined]
    [found] = read(connection, Maps(), file=file, command="tests.tasks.echo", timezone=BERLIN)
    assert job_of(found).args == ("/bin/backup",)


def test_the_same_line_gets_the_same_id_wherever_it_stands(connection: Redis) -> None:
    lines = ["0 5 * * * /bin/a x", "0 6 * * * /bin/a x", "0 5 * * * /bin/a y"]
    ids = [found.id for found in found_in(connection, "\n".join(lines))]
    assert len(set(ids)) == 3
    assert ids[1] == f"{ids[0]} (2)"
    assert [found.id for found in found_in(connection, lines[2])] == [ids[2]]


def test_ids_begin_with_the_program_without_what_globs_know(connection: Redis) -> None:
    programs = {
        "cd /srv && FOO=1 BAR='q x' /opt/backup --full": "backup",
        "[ -x /usr/bin/a ] || run-parts /etc/cron.daily": "run-parts",
        '[ "$(date +\\%u)" = 1 ] && report': "report",
        "(cd /srv; ./sync*.sh) | logger": "sync.sh",
        "true": "true",
        "''": "cron",
    }
    found = found_in(connection, "\n".join(f"0 5 * * * {command}" for command in programs))
    assert [each.id.partition(":")[0] for each in found] == [*programs.values()]


def test_only_an_end_of_line_ends_a_line(connection: Redis) -> None:
    [found] = found_in(connection, "0 5 * * * echo a\fb\x85c\u2028d\n")
    assert job_of(found).args == ("echo a\fb\x85c\u2028d",)


def test_a_random_delay_becomes_jitter(connection: Redis) -> None:
    [found] = found_in(connection, "RANDOM_DELAY=45\n@hourly /bin/a")
    assert job_of(found).jitter == 45 * 60


@pytest.mark.parametrize("begin", [SPRING, AUTUMN])
@pytest.mark.parametrize(
    "when",
    [
        "30 2 * * *",
        "0,30 1-3 * * *",
        "*/20 * * * *",
        "15 * * * *",
        "*/30 2 * * *",
        "0 4 13 * fri",  # one of them is enough
        "0 4 */2 * fri",  # both must match
        "0 4 1-7 * */2",
        "0 4 1-31 * fri",
        "0 4 * mar,oct 5-7",
        "0 4 * * 1-7/3",
        "59 23 28-31 3,10 *",
    ],
)
def test_all_runs_of_a_month_are_those_of_debians_cron(
    connection: Redis, when: str, begin: datetime
) -> None:
    [found] = found_in(connection, f"{when} /bin/a")
    theirs = [*runs(when, begin, begin + MONTH, BERLIN)]
    assert theirs
    ours = our_times(job_of(found), begin, len(theirs) + 1)
    assert ours[:-1] == theirs
    assert ours[-1] > begin + MONTH
