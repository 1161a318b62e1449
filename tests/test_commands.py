"""The management commands, as processes of their own."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from redis import Redis

from django_rediscron import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import LOCK, job_key
from django_rediscron.queues import get_connection

from .forks import ROOT, run_python
from .settings import RQ_QUEUES
from .tasks import echo

BILLING = {"queue_name": "default", "id": "billing", "interval": 900}
MAIL = {"queue_name": "reports", "id": "mail", "cron": "*/5 * * * *"}
FAR = {"queue_name": "elsewhere", "id": "far", "interval": 5}


def environment(*declared: dict[str, Any]) -> dict[str, str]:
    return {**os.environ, "REDISCRON_TEST_DECLARED": json.dumps(declared)}


def manage(*arguments: str, declared: tuple[Any, ...] = ()) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "django", *arguments, env=environment(*declared))


def one_line(text: str) -> str:
    (line,) = text.splitlines()
    assert "Traceback" not in line
    return line


# rqcron_scheduler


def test_the_scheduler_writes_what_is_declared_and_runs_it(connection: Redis) -> None:
    done = manage("rqcron_scheduler", "--burst", declared=(BILLING, MAIL, FAR))

    assert done.returncode == 0, done.stderr
    assert "Declared schedules: 2 created, 0 updated, 0 unchanged" in done.stdout
    assert "1 declared schedule is on another Redis" in done.stdout
    assert RedisCronJob.fetch("mail", connection).cron == "*/5 * * * *"
    assert connection.llen("rq:queue:default") == 1
    assert not connection.exists(LOCK, job_key("far"))


def test_without_sync_nothing_declared_is_written(connection: Redis) -> None:
    done = manage("rqcron_scheduler", "--burst", "--no-sync", declared=(BILLING,))

    assert done.returncode == 0, done.stderr
    assert not connection.exists(job_key("billing"))


def test_it_runs_until_it_is_asked_to_stop(connection: Redis, tmp_path: Path) -> None:
    pid_file = tmp_path / "scheduler.pid"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "django", "rqcron_scheduler", "--name", "one"),
            *("--lock-ttl", "9s", "--max-sleep-interval", "0.1m", "--pid", str(pid_file)),
        ],
        cwd=ROOT,
        env=environment(BILLING),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert connection.blpop(["rq:queue:default"], timeout=30) is not None
        assert pid_file.read_text() == f"{process.pid}\n"
        assert connection.get(LOCK).startswith(b"one:")
        assert 0 < connection.ttl(LOCK) <= 9
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, output
    assert "Scheduler one: shutdown complete" in output
    assert not pid_file.exists()
    assert not connection.exists(LOCK)


def test_another_scheduler_holds_the_lock(connection: Redis, tmp_path: Path) -> None:
    pid_file = tmp_path / "scheduler.pid"
    pid_file.write_text("the leader's\n")
    leader = RedisCronScheduler(connection, name="the leader", lock_ttl=50)
    leader.register_birth()

    options = ("--pid", str(pid_file), "--verbosity", "0")
    done = manage("rqcron_scheduler", *options, declared=(BILLING,))

    leader.register_death()
    assert done.returncode == 1
    assert not connection.exists(job_key("billing")), "only a leader writes what is declared"
    line = one_line(done.stderr)
    assert "'the leader' holds the lock" in line
    assert re.search(r"expires in [1-5]?\d\.\d s", line)
    assert pid_file.read_text() == "the leader's\n"


@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe", "directory"])
def test_a_pid_file_that_is_no_regular_file_is_refused(
    connection: Redis, tmp_path: Path, kind: str
) -> None:
    pid_file, other = tmp_path / "scheduler.pid", tmp_path / "other"
    if kind == "link":
        other.write_text("theirs")
    if kind == "pipe":
        os.mkfifo(pid_file)
    elif kind == "directory":
        pid_file.mkdir()
    else:
        pid_file.symlink_to(other)

    done = manage("rqcron_scheduler", "--burst", "--pid", str(pid_file), declared=(BILLING,))

    assert done.returncode == 1
    why = "it is a symbolic link" if "link" in kind else "it is not a regular file"
    assert f"--pid {pid_file}: cannot be written: {why}" in one_line(done.stderr)
    assert (other.read_text() if other.exists() else "") == ("theirs" if kind == "link" else "")
    assert not connection.exists(job_key("billing"))


def test_redis_cannot_be_reached(tmp_path: Path) -> None:
    pid_file = tmp_path / "scheduler.pid"
    options = ("--queue", "nowhere", "--lock-ttl", "1", "--pid", str(pid_file), "-v", "0")
    done = manage("rqcron_scheduler", *options)

    assert done.returncode == 1
    line = one_line(done.stderr)
    assert "Redis at 127.0.0.1:1/0 cannot be reached" in line
    assert "secret" not in line
    assert not pid_file.exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lock_ttl": 0}, "lock_ttl must be a positive number of seconds, got 0"),
        ({"lock_ttl": "soon"}, "lock_ttl must be a positive number of seconds, got 'soon'"),
        ({"max_sleep_interval": -1.0}, "max_sleep_interval must be a positive number"),
        ({"queue": "reprots"}, "'reprots' is not in RQ_QUEUES"),
        ({"pid": "/nonexistent/scheduler.pid"}, "cannot be written: No such file or directory"),
    ],
)
def test_bad_options(connection: Redis, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        call_command("rqcron_scheduler", burst=True, **options)
    assert not connection.exists(LOCK)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["-v", "0"], []),
        (["-v", "0", "-l", "info"], ["starting"]),
        (["-v", "2", "-l", "ERROR"], []),
    ],
)
def test_how_much_it_says(connection: Redis, options: list[str], shown: list[str]) -> None:
    done = manage("rqcron_scheduler", "--burst", *options)

    assert done.returncode == 0
    assert done.stderr == ""
    assert bool(done.stdout) == bool(shown)
    for words in shown:
        assert words in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("logging_of", ["RQ", "Django"])
def test_a_stdout_that_lacks_the_letters_of_an_id_gets_its_lines(
    connection: Redis, tmp_path: Path, logging_of: str
) -> None:
    settings = "from tests.settings import *\n"
    if logging_of == "Django":
        settings += (
            "LOGGING = {'version': 1, 'root': {'handlers': ['out'], 'level': 'INFO'}, 'handlers': "
            "{'out': {'class': 'logging.StreamHandler', 'stream': 'ext://sys.stdout'}}}\n"
        )
    (tmp_path / "own_settings.py").write_text(settings)
    # Really started: Django's settings disable the loggers of modules imported before them.
    done = subprocess.run(
        [sys.executable, "-m", "django", "rqcron_scheduler", "--burst"],
        cwd=ROOT,
        env={
            **environment({**BILLING, "id": "café"}),
            "DJANGO_SETTINGS_MODULE": "own_settings",
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
            "PYTHONIOENCODING": "ascii",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"caf\xe9" in done.stdout


# rqrcron_info


@pytest.mark.parametrize("arguments", [[], ["-R"], ["reports"], ["--json"], ["--json", "reports"]])
def test_info_prints_what_rqrcron_info_prints(
    connection: Redis, redis_url: str, arguments: list[str]
) -> None:
    for id, queue_name in (("billing", "default"), ("mail", "reports")):
        RedisCronJob(id, queue_name, func=echo, interval=600, connection=connection).save()

    ours = manage("rqrcron_info", *arguments)
    theirs = run_python(
        *("-m", "django_rediscron.cli", "info", "--url", redis_url, *arguments), check=True
    )

    def untimed(text: str) -> str:
        return re.sub(r'(Updated: |"updated": ").{26,27}', "", text)

    assert ours.returncode == 0, ours.stderr
    assert "mail" in ours.stdout
    assert untimed(ours.stdout) == untimed(theirs.stdout)


def test_info_reads_the_redis_of_the_queue_that_is_asked_for(connection: Redis) -> None:
    other = get_connection("elsewhere")
    other.flushdb()
    RedisCronJob("far", "elsewhere", func=echo, interval=600, connection=other).save()

    assert "No scheduled jobs" in manage("rqrcron_info").stdout
    assert "far" in manage("rqrcron_info", "elsewhere").stdout
    assert "far" in manage("rqrcron_info", "--queue", "elsewhere").stdout
    other.flushdb()


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--queue", "reprots"], "queue 'reprots' is not in RQ_QUEUES"),
        (["--queue", "nowhere"], "Redis at 127.0.0.1:1/0 cannot be reached"),
        (["-i", "0"], "interval must be a positive number of seconds, got 0"),
        (["nope"], "there is no queue 'nope'; the queues are 'default', "),
    ],
)
def test_info_says_in_one_line_what_is_wrong(arguments: list[str], reason: str) -> None:
    done = manage("rqrcron_info", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in one_line(done.stderr)


# rqrcron VERB


@pytest.mark.parametrize(
    "arguments", [["info", "-R"], ["info", "reports"], ["health"], ["reindex"]]
)
def test_the_verbs_are_those_of_rqrcron(
    connection: Redis, redis_url: str, arguments: list[str]
) -> None:
    RedisCronJob("mail", "reports", func=echo, interval=600, connection=connection).save()

    ours = manage("rqrcron", *arguments)
    theirs = run_python("-m", "django_rediscron.cli", *arguments, "--url", redis_url)

    def outcome(done: subprocess.CompletedProcess[str]) -> tuple[str, int]:
        return re.sub(r"Updated: .*", "", done.stdout), done.returncode

    assert ours.stderr == ""
    assert outcome(ours) == outcome(theirs)


def test_a_verb_uses_the_redis_of_a_queue(connection: Redis, settings: Any) -> None:
    other = get_connection("elsewhere")
    other.flushdb()
    RedisCronJob("far", "elsewhere", func=echo, interval=600, connection=other).save()

    def told(*arguments: str) -> str:
        output = io.StringIO()
        call_command("rqrcron", "info", *arguments, stdout=output)
        return output.getvalue()

    assert "No scheduled jobs" in told()
    assert "far" in told("--queue", "elsewhere")
    settings.REDISCRON = {"QUEUE": "elsewhere"}
    assert "far" in told()
    other.flushdb()


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["info", "--url", "redis://"], 2, "in RQ_QUEUES: choose a queue with --queue NAME"),
        (["-u", "redis://", "info"], 2, "in RQ_QUEUES: choose a queue with --queue NAME"),
        (["info", "--jsn"], 2, "; try 'python -m django rqrcron info --help'"),
        (["infos"], 2, "; try 'python -m django rqrcron --help'"),
        (["info", "-i", "0"], 2, "interval must be a positive number of seconds, got 0"),
        (["info", "--queue", "reprots"], 2, "queue 'reprots' is not in RQ_QUEUES"),
        (["info", "--queue", "nowhere"], 1, "Redis at 127.0.0.1:1/0 cannot be reached"),
        (["info", "elsewhere"], 1, "there is no queue 'elsewhere'; the queues are 'default', "),
    ],
)
def test_a_verb_says_in_one_line_what_is_wrong(
    arguments: list[str], status: int, reason: str
) -> None:
    done = manage("rqrcron", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    line = one_line(done.stderr)
    assert line.startswith("CommandError: ")
    assert reason in line


def test_the_help_is_that_of_the_verbs_and_djangos_options_are_taken_anywhere() -> None:
    usage = manage("rqrcron", "--help").stdout
    assert usage.startswith("Usage: python -m django rqrcron [OPTIONS] COMMAND [ARGS]...\n")
    assert "reindex" in usage
    usage = manage("rqrcron", "info", "--traceback", "-h", "--settings=tests.settings").stdout
    assert usage.startswith("Usage: python -m django rqrcron info [OPTIONS] [QUEUE]...\n")
    assert "--queue NAME" in usage
    assert "--url" not in usage


# rqrcron_sync


def test_sync_by_hand(connection: Redis) -> None:
    RedisCronJob("billing", "default", func=echo, interval=600, connection=connection).save()
    RedisCronJob("same", "default", func=echo, interval=5, connection=connection).save()
    manage("rqrcron_sync", declared=({"queue_name": "default", "id": "same", "interval": 5},))
    declared = (BILLING, MAIL, {"queue_name": "default", "id": "same", "interval": 5})

    done = manage("rqrcron_sync", "--check", declared=declared)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "create  mail",
        "update  billing: interval 600 -> 900, source runtime -> code",
        "1 to create, 1 to update, 1 unchanged",
    ]
    assert not connection.exists(job_key("mail"))

    done = manage("rqrcron_sync", declared=declared)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "created  mail",
        "updated  billing: interval 600 -> 900, source runtime -> code",
        "1 created, 1 updated, 1 unchanged",
    ]
    assert RedisCronJob.fetch("billing", connection).interval == 900

    done = manage("rqrcron_sync", "--check", declared=declared)
    assert (done.returncode, done.stdout) == (0, "0 to create, 0 to update, 3 unchanged\n")
    assert manage("rqrcron_sync", "-v", "0", declared=declared).stdout == ""


def test_sync_names_what_was_damaged_and_what_became_empty(connection: Redis) -> None:
    RedisCronJob("mail", "reports", func=echo, interval=5, connection=connection).save()
    connection.set(job_key("billing"), "a string")

    done = manage("rqrcron_sync", declared=(BILLING, MAIL))

    assert "updated  billing: was damaged (its key does not hold a hash" in done.stdout
    assert "interval 5 -> none, cron none -> */5 * * * *" in done.stdout


def test_sync_of_a_redis_that_is_away() -> None:
    done = manage("rqrcron_sync", declared=({**FAR, "queue_name": "nowhere"},))
    assert done.returncode == 1
    assert "Redis at 127.0.0.1:1/0 cannot be reached" in one_line(done.stderr)


def test_sync_of_several_redis_one_of_which_is_away(connection: Redis) -> None:
    done = manage("rqrcron_sync", declared=({**FAR, "queue_name": "nowhere"}, MAIL))
    assert (done.returncode, done.stdout) == (
        1,
        "created  mail\n1 created, 0 updated, 0 unchanged\n",
    )
    assert one_line(done.stderr).startswith("not synced: Redis at 127.0.0.1:1/0 cannot be reached")
    assert connection.exists(job_key("mail"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("PYTHONIOENCODING=ascii {sync}", ""),
        ("{sync} | true", ""),
        ("{sync} > /dev/full", "cannot write the output: No space left on device"),
    ],
)
def test_sync_prints_what_it_can(connection: Redis, command: str, reason: str) -> None:
    schedules = [{**MAIL, "id": f"é {number}"} for number in range(1000)]
    shell_command = command.format(sync=f"{sys.executable} -m django rqrcron_sync")
    done = subprocess.run(
        ["/bin/sh", "-c", shell_command],
        cwd=ROOT,
        env=environment(*schedules),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    errors = [line for line in done.stderr.splitlines() if "not searched" not in line]
    assert errors == ([f"CommandError: {reason}"] if reason else [])
    assert connection.exists(job_key("é 0"))
    if command.startswith("PYTHON"):
        assert "created  \\xe9 0" in done.stdout.splitlines()


def test_sync_tells_programs_what_it_did(connection: Redis) -> None:
    manage("rqrcron_sync", declared=(BILLING, MAIL))
    job = RedisCronJob.fetch("billing", connection)
    job.interval = 60
    job.save()
    changed = ({**BILLING, "interval": 100}, {**FAR, "queue_name": "default"})

    done = manage("rqrcron_sync", "--check", "--json", declared=changed)

    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["check"], told["differs"]) == (True, True)
    assert told["created"] == ["far"]
    assert told["updated"] == {"billing": {"declared interval": {"old": "900", "new": "100"}}}
    assert told["overridden"] == {"billing": {"interval": {"value": "60", "code": "100"}}}
    assert (told["orphaned"], told["orphans"]) == (["mail"], ["mail"])
    assert "not searched for orphans: Redis at 127.0.0.1:1/0" in done.stderr


def test_sync_says_what_it_keeps_and_resets_what_is_named(connection: Redis) -> None:
    declared = (BILLING, MAIL)
    manage("rqrcron_sync", declared=declared)
    job = RedisCronJob.fetch("billing", connection)
    job.interval, job.args = 60, ("a",)
    job.save()
    RedisCronJob.fetch("mail", connection).delete()

    done = manage("rqrcron_sync", "--check", declared=declared)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        'kept  billing: overridden: args ["a"] (code: []), interval 60 (code: 900)',
        "kept  mail: deleted by hand (--reset creates it again)",
        "0 to create, 0 to update, 1 unchanged, 1 overridden, 1 deleted by hand",
    ]

    done = manage("rqrcron_sync", "--reset", "billing", "interval", declared=declared)
    assert done.stdout.splitlines()[0] == "updated  billing: interval 60 -> 900"
    assert RedisCronJob.fetch("billing", connection).overrides == {"args": ('["a"]', "[]")}
    manage("rqrcron_sync", "--reset", "billing", declared=declared)
    assert RedisCronJob.fetch("billing", connection).overrides == {}
    assert manage("rqrcron_sync", "--reset", "mail", declared=declared).returncode == 0
    assert RedisCronJob.fetch("mail", connection).cron == "*/5 * * * *"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--reset", "no such"], "'no such' is not declared by this project"),
        (["--reset", "billing", "no_such"], "a schedule has no field 'no_such'; it has func_name"),
        (["--reset", "billing", "--prune"], "--reset is for one schedule"),
    ],
)
def test_sync_refuses_what_cannot_be_reset(
    connection: Redis, arguments: list[str], reason: str
) -> None:
    done = manage("rqrcron_sync", *arguments, declared=(BILLING,))
    assert done.returncode == 1
    assert reason in one_line(done.stderr)
    assert not connection.exists(job_key("billing"))


def test_sync_fails_where_one_cannot_be_written_and_writes_the_others(connection: Redis) -> None:
    broken = {**BILLING, "id": "broken", "on_failure": "tests.tasks.no_such"}
    done = manage("rqrcron_sync", declared=(broken, MAIL))

    assert done.returncode == 1
    assert "created  mail" in done.stdout
    assert "failed  broken: " in done.stdout
    assert "tests/app/apps.py:" in done.stdout
    assert RedisCronJob.fetch("mail", connection).cron == "*/5 * * * *"


def test_sync_counts_each_schedule_once(connection: Redis) -> None:
    """Though one of the first server could not be written."""
    broken = {**BILLING, "id": "broken", "on_failure": "tests.tasks.no_such"}
    Redis.from_url(str(RQ_QUEUES["elsewhere"]["URL"])).flushdb()
    manage("rqrcron_sync", declared=(broken, BILLING, MAIL, FAR))

    done = manage("rqrcron_sync", declared=(broken, BILLING, MAIL, FAR))

    assert done.stdout.splitlines()[-1] == "0 created, 0 updated, 3 unchanged, 1 failed"
    Redis.from_url(str(RQ_QUEUES["elsewhere"]["URL"])).flushdb()


@pytest.mark.parametrize(
    ("declared", "status", "found"),
    [
        ((BILLING,), 0, {"unchanged": 1}),
        ((MAIL, BILLING), 1, {"created": ["mail"]}),
        ((BILLING, {**FAR, "queue_name": "nowhere"}), 2, {"unchanged": 1}),
        (({**FAR, "queue_name": "nowhere"},), 2, {"unchanged": 0}),
        ((BILLING, MAIL, {**BILLING, "id": "b", "on_failure": "tests.no.such"}), 2, {}),
    ],
)
def test_a_check_tells_a_difference_from_what_could_not_be_checked(
    connection: Redis, declared: tuple[Any, ...], status: int, found: dict[str, Any]
) -> None:
    manage("rqrcron_sync", declared=(BILLING,))

    done = manage("rqrcron_sync", "--check", "--json", declared=declared)

    assert done.returncode == status, done.stderr
    told = json.loads(done.stdout)
    assert found.items() <= told.items()
    assert bool(told["failed"] or told["not_synced"]) == told["incomplete"] == (status == 2)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("options", "status"), [(["--check"], 2), ([], 1)])
def test_wrong_settings_are_no_difference(
    connection: Redis, settings: Any, capsys: Any, options: list[str], status: int
) -> None:
    settings.REDISCRON = {"LOCK_TTL": 0.5}

    with pytest.raises(CommandError) as refused:
        call_command("rqrcron_sync", "--json", *options, skip_checks=False)

    assert refused.value.returncode == status
    (reason,) = json.loads(capsys.readouterr().out)["not_synced"]
    assert "LOCK_TTL" in reason


def test_a_reset_that_fails_is_json_too(connection: Redis) -> None:
    done = manage("rqrcron_sync", "--reset", "nope", "--json", declared=(BILLING,))
    assert done.returncode == 1
    assert "'nope' is not declared" in json.loads(done.stdout)["failed"]["nope"]


@pytest.mark.parametrize("option", ["--prune", "--disable-orphans"])
def test_the_scheduler_deals_with_orphans(connection: Redis, option: str) -> None:
    manage("rqrcron_sync", declared=(BILLING, MAIL))

    done = manage("rqcron_scheduler", "--burst", declared=(BILLING,))
    assert "Schedule 'mail' is an orphan" in done.stdout
    assert RedisCronJob.fetch("mail", connection).enabled

    done = manage("rqcron_scheduler", "--burst", option, declared=(BILLING,))
    assert done.returncode == 0, done.stderr
    if option == "--prune":
        assert not connection.exists(job_key("mail"))
    else:
        assert not RedisCronJob.fetch("mail", connection).enabled


def test_a_queue_is_also_the_one_whose_schedules_are_meant(connection: Redis) -> None:
    """Of verbs that operate schedules."""
    for id, queue in (("report", "reports"), ("mail", "default")):
        RedisCronJob(id, queue, func_name="os.getpid", interval=60, connection=connection).save()
    for queue, told in (("reports", "report  disabled\n"), ("elsewhere", "No schedules match\n")):
        done = manage("rqrcron", "disable", "--queue", queue)
        assert (done.returncode, done.stdout) == (0, told), done
    assert RedisCronJob.fetch("mail", connection).enabled
