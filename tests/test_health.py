"""Health: what a probe says of a scheduler that lives, froze, died, lags or fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from redis import Redis

from django_rediscron import cli
from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.monitoring.backlog import PAGE
from django_rediscron.core.monitoring.health import Health, check_health
from django_rediscron.core.store.keys import (
    ERRORS,
    INDEX,
    LOCK,
    SCHEDULERS,
    history_key,
    job_key,
    scheduler_key,
)
from django_rediscron.core.timing.durations import Duration
from tests import tasks
from tests.forks import ROOT, run_python
from tests.processes import running_scheduler, start_python, wait_until

Capture = pytest.CaptureFixture[str]
TIMEOUT = 30  # seconds after which a process that should have ended is a failure


@pytest.fixture
def leader(connection: Redis) -> Iterator[RedisCronScheduler]:
    """A leader in this process, which makes no pass unless it is told to."""
    scheduler = RedisCronScheduler(connection, name="leader")
    scheduler.register_birth()
    yield scheduler
    scheduler.register_death()


def add_schedule(
    connection: Redis, id: str, *, lag: float = 0, func_name: str = "", enabled: bool = True
) -> None:
    """A schedule that is due since `lag` seconds, and whose function may be gone meanwhile."""
    due = datetime.now(timezone.utc) - timedelta(seconds=lag)
    RedisCronJob(
        id,
        "metrics",
        tasks.echo,
        interval=300,
        next_enqueue_time=due,
        connection=connection,
        enabled=enabled,
    ).save()
    if func_name:
        connection.hset(job_key(id), "func_name", func_name)


# The scheduler


def test_a_running_scheduler_is_healthy(connection: Redis, redis_url: str) -> None:
    with running_scheduler(redis_url, "host:1") as process:
        health = check_health(connection)
    assert health.ok
    assert health.problem == ""
    assert health.message.startswith(f"ok: 'host:1' (host {socket.gethostname()}, pid ")
    assert (health.leader, health.leader_host) == ("host:1", socket.gethostname())
    assert health.leader_pid == process.pid
    assert health.heartbeat_age is not None
    assert 0 <= health.heartbeat_age < 15
    assert (health.late, health.errors, health.standbys) == (0, 0, [])


def test_without_any_scheduler(connection: Redis) -> None:
    health = check_health(connection)
    assert (health.ok, health.problem, health.leader) == (False, "no-scheduler", None)
    assert health.message.startswith("no scheduler: ")


def test_a_scheduler_that_signed_off_is_none(connection: Redis, redis_url: str) -> None:
    with running_scheduler(redis_url) as process:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    assert check_health(connection).problem == "no-scheduler"


def test_standbys_are_named_and_do_not_count_as_a_scheduler(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    for name in ("second", "third", "long gone"):
        RedisCronScheduler(connection, name=name).enter_registry()
    connection.zadd(SCHEDULERS, {"long gone": time.time() - 100, "RQ's own": time.time()})
    health = check_health(connection)
    assert health.ok
    assert health.standbys == ["second", "third"]
    assert health.message.endswith("; standing by: 'second', 'third'")

    leader.register_death()
    health = check_health(connection)
    assert health.problem == "no-scheduler"
    assert "standing by: 'second', 'third'" in health.message


def test_a_killed_scheduler_is_known_to_be_dead_before_its_lock_expires(
    connection: Redis, redis_url: str
) -> None:
    with running_scheduler(redis_url, "host:1", lock_ttl=60) as process:
        process.kill()
        wait_until(lambda: not check_health(connection).ok)
        health = check_health(connection)
    assert connection.exists(LOCK)
    assert health.problem == "no-scheduler"
    assert health.message.startswith("no scheduler: 'host:1' (")
    assert "died, the lock that it held expires in" in health.message
    connection.delete(LOCK)
    health = check_health(connection)
    assert health.problem == "no-scheduler"
    assert "died, its latest heartbeat was" in health.message


def test_a_frozen_scheduler_is_known_to_stall_before_its_lock_expires(
    connection: Redis, redis_url: str
) -> None:
    with running_scheduler(redis_url, "host:1", lock_ttl=3) as process:
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: not check_health(connection).ok)
        assert connection.exists(LOCK)
        health = check_health(connection)
        assert health.problem == "stalled-scheduler"
        assert health.message.startswith("stalled scheduler: 'host:1' (")
        assert "holds the lock, but its latest heartbeat was" in health.message
        assert health.heartbeat_age is not None
        assert health.heartbeat_age > 1.9

        wait_until(lambda: not connection.exists(LOCK))
        health = check_health(connection)
        assert health.problem == "stalled-scheduler"
        assert "has lost the lock" in health.message

        process.send_signal(signal.SIGCONT)
        wait_until(lambda: check_health(connection).ok)


def test_a_scheduler_stuck_in_a_pass_stalls_though_its_process_and_threads_live(
    connection: Redis, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "endless.py").write_text("import time\nprint('stuck', flush=True)\ntime.sleep(600)")
    add_schedule(connection, "a", func_name="endless.func")
    process = start_python(
        "-c",
        "from redis import Redis\n"
        "from django_rediscron.core import RedisCronScheduler\n"
        f"RedisCronScheduler(Redis.from_url({redis_url!r}), 'ERROR', lock_ttl=3).start()",
        PYTHONPATH=os.pathsep.join([str(ROOT), str(tmp_path)]),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        wait_until(lambda: check_health(connection).problem == "stalled-scheduler")
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_of_a_process_elsewhere_the_heartbeat_decides(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    """Which process ids live on another machine is not known here."""
    connection.hset(scheduler_key("leader"), mapping={"machine": "another", "pid": "1"})
    assert check_health(connection).ok
    connection.zadd(SCHEDULERS, {"leader": time.time() - 70})
    connection.pexpire(LOCK, 50_000)
    assert check_health(connection).ok, "one heartbeat was missed"
    connection.zadd(SCHEDULERS, {"leader": time.time() - 90})
    connection.pexpire(LOCK, 30_000)
    assert check_health(connection).problem == "stalled-scheduler"


def test_a_lock_without_a_heartbeat_or_without_an_end_is_not_taken_for_life(
    connection: Redis,
) -> None:
    connection.set(LOCK, "stranger:token", px=30_000)
    health = check_health(connection)
    assert health.problem == "stalled-scheduler"
    assert "'stranger' holds the lock, but no heartbeat of it is known" in health.message
    connection.zadd(SCHEDULERS, {"stranger": time.time()})
    connection.persist(LOCK)
    assert check_health(connection).ok
    connection.zadd(SCHEDULERS, {"stranger": time.time() - 125})
    assert check_health(connection).problem == "stalled-scheduler"


def test_a_heartbeat_from_a_clock_that_is_ahead_is_no_older_than_now(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    connection.zadd(SCHEDULERS, {"leader": time.time() + 3600})
    health = check_health(connection)
    assert health.ok
    assert health.heartbeat_age == 0


# Late schedules


def test_schedules_that_are_due_for_too_long_are_late(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    add_schedule(connection, "on time", lag=-30)
    add_schedule(connection, "soon late", lag=30)
    health = check_health(connection)
    assert (health.ok, health.late, health.oldest_late) == (True, 0, None)
    assert health.oldest_lag == pytest.approx(30, abs=2)

    add_schedule(connection, "late", lag=75)
    add_schedule(connection, "later", lag=100)
    health = check_health(connection)
    assert (health.problem, health.late, health.oldest_late) == ("late-schedules", 2, "later")
    assert health.oldest_lag == pytest.approx(100, abs=2)
    assert health.message.startswith("late schedules: 2, the oldest 'later' by 100.")
    assert check_health(connection, max_lag=20).late == 3
    assert check_health(connection, max_lag=120).ok

    leader.enqueue_jobs()
    assert check_health(connection, max_lag=1).ok


def test_what_does_not_wait_to_run_is_not_late(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    past = time.time() - 1000
    add_schedule(connection, "off", lag=1000, enabled=False)
    add_schedule(connection, "in error", lag=1000)
    connection.hset(job_key("in error"), "last_error", "no such function")
    add_schedule(connection, "wrong place", lag=-1000)
    connection.set(job_key("no hash"), "something")
    names = ("off", "in error", "wrong place", "no hash", "gone", "RQ's own")
    connection.zadd(INDEX, dict.fromkeys(names, past))
    connection.zadd(history_key("RQ's own"), {"job": past})
    health = check_health(connection)
    assert (health.ok, health.late, health.oldest_lag) == (True, 0, 0.0)


@pytest.mark.parametrize("foreign", [PAGE - 1, PAGE, 2 * PAGE + 1])
def test_names_of_rqs_own_cron_hide_no_late_schedule(
    connection: Redis, leader: RedisCronScheduler, foreign: int
) -> None:
    past = time.time() - 1000
    connection.zadd(INDEX, {f"name {number}": past for number in range(foreign)})
    assert check_health(connection).ok
    add_schedule(connection, "late", lag=100)
    add_schedule(connection, "late too", lag=90)
    health = check_health(connection)
    assert (health.late, health.oldest_late) == (2, "late")


def test_more_late_schedules_than_are_read_are_all_counted(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    add_schedule(connection, "first", lag=101)
    past = time.time() - 100
    connection.zadd(INDEX, {f"schedule {number}": past for number in range(3 * PAGE)})
    assert check_health(connection).late == 1 + 2 * PAGE + 1  # of the first page, hashes are known


@pytest.mark.parametrize("max_lag", [0, -1, float("nan"), float("inf"), True, "soon"])
def test_the_lag_must_be_a_positive_number(connection: Redis, max_lag: Duration) -> None:
    with pytest.raises(ValueError, match="max_lag must be a positive number of seconds, got"):
        check_health(connection, max_lag=max_lag)


# Schedules in error


def test_schedules_in_error_count_where_that_is_asked_for(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    add_schedule(connection, "fine")
    add_schedule(connection, "broken", func_name="tests.tasks.no_such_function")
    leader.enqueue_jobs()
    health = check_health(connection)
    assert (health.ok, health.errors, health.first_error) == (True, 1, "broken")
    assert "schedules in error: 1, the first 'broken': " in health.message
    health = check_health(connection, fail_on_error=True)
    assert (health.ok, health.problem) == (False, "schedules-in-error")
    assert health.message.startswith("schedules in error: 1, the first 'broken': ")
    assert "no_such_function" in health.message

    RedisCronScheduler(connection).register(tasks.echo, "metrics", id="broken", interval=300)
    assert check_health(connection, fail_on_error=True).ok


def test_what_was_healed_or_deleted_by_another_program_is_no_error(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    for id in ("healed", "deleted", "broken"):
        add_schedule(connection, id, func_name="tests.tasks.no_such_function")
    leader.enqueue_jobs()
    connection.hdel(job_key("healed"), "last_error", "last_error_at")
    connection.delete(job_key("deleted"))
    connection.zadd(ERRORS, {f"gone {number}": 1 for number in range(PAGE)})
    health = check_health(connection, fail_on_error=True)
    assert (health.errors, health.first_error) == (1, "broken")
    connection.delete(job_key("broken"))
    assert check_health(connection, fail_on_error=True).errors == 0


def test_a_key_that_holds_no_schedule_is_an_error(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    connection.set(job_key("odd"), "something")
    connection.zadd(INDEX, {"odd": time.time() - 1000})
    leader.enqueue_jobs()
    health = check_health(connection, fail_on_error=True)
    assert (health.problem, health.errors, health.first_error) == ("schedules-in-error", 1, "odd")


def test_the_gravest_problem_is_named_and_the_others_counted(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    add_schedule(connection, "broken", func_name="tests.tasks.no_such_function")
    leader.enqueue_jobs()
    add_schedule(connection, "late", lag=100)
    health = check_health(connection, fail_on_error=True)
    assert (health.problem, health.late, health.errors) == ("late-schedules", 1, 1)
    leader.register_death()
    health = check_health(connection, fail_on_error=True)
    assert (health.problem, health.late, health.errors) == ("no-scheduler", 1, 1)


def test_whatever_stands_in_redis_the_message_is_one_line(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    connection.hset(scheduler_key("leader"), "hostname", "two\nlines")
    connection.hset(job_key("a\nb"), mapping={"last_error": b"one\ntwo\xff\x1b[31m"})
    connection.zadd(ERRORS, {"a\nb": 1})
    connection.hset(b"rq:cron_job:\xff\n", mapping={"enabled": "1", "next_enqueue_time": b"\xff"})
    connection.zadd(INDEX, {b"\xff\n": 1})
    for fail_on_error in (False, True):
        assert check_health(connection, fail_on_error=fail_on_error).message.isprintable()
    leader.enqueue_jobs()
    assert check_health(connection, fail_on_error=True).message.isprintable()


def test_reading_it_needs_no_right_to_write_or_to_scan(
    connection: Redis, redis_url: str, leader: RedisCronScheduler
) -> None:
    add_schedule(connection, "late", lag=100)
    connection.zadd(ERRORS, {"gone": 1})
    rights = ("reset", "on", "nopass", "~*", "+@read", "-scan", "-keys", "+select")
    connection.execute_command("ACL", "SETUSER", "probe", *rights)
    address = urlsplit(redis_url)
    server = address.netloc.rpartition("@")[2]
    try:
        with Redis.from_url(address._replace(netloc=f"probe:any@{server}").geturl()) as reader:
            before = contents(connection)
            assert check_health(reader).late == 1
            assert contents(connection) == before
    finally:
        connection.execute_command("ACL", "DELUSER", "probe")


def contents(connection: Redis) -> dict[bytes, bytes]:
    return {key: connection.dump(key) for key in connection.keys("*")}


def test_with_a_client_that_decodes(
    connection: Redis, redis_url: str, leader: RedisCronScheduler
) -> None:
    add_schedule(connection, "日報", lag=100)
    with Redis.from_url(redis_url, decode_responses=True) as client:
        assert check_health(client).oldest_late == "日報"


# The commands


def rqrcron(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    return run("django_rediscron.cli", "health", "--url", url, *options)


def manage(*options: str) -> subprocess.CompletedProcess[str]:
    return run("django", "rqcron_health", *options)


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_python("-m", module, *arguments, timeout=TIMEOUT)


def the_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The only line of output."""
    assert (done.returncode, done.stderr) == (status, "")
    (line,) = done.stdout.splitlines()
    return line


def test_the_commands_say_one_line_and_end_with_0_or_1(connection: Redis, redis_url: str) -> None:
    for done in (rqrcron(redis_url), manage()):
        assert the_line(done, 1).startswith("no scheduler: ")
    with running_scheduler(redis_url, "host:1"):
        for done in (rqrcron(redis_url), manage()):
            assert the_line(done, 0).startswith("ok: 'host:1' (")


def test_the_commands_judge_by_their_options(
    connection: Redis, redis_url: str, leader: RedisCronScheduler, capsys: Capture
) -> None:
    add_schedule(connection, "broken", func_name="tests.tasks.no_such_function")
    leader.enqueue_jobs()
    add_schedule(connection, "waiting", lag=30)
    for command in (main, django):
        status, line = command(redis_url, capsys)
        assert status == 0
        assert line.startswith("ok: 'leader' (")
        status, line = command(redis_url, capsys, "--max-lag", "10")
        assert status == 1
        assert line.startswith("late schedules: 1, the oldest 'waiting' by 3")
        assert command(redis_url, capsys, "--max-lag", "10m")[0] == 0
        status, line = command(redis_url, capsys, "--fail-on-error")
        assert status == 1
        assert line.startswith("schedules in error: 1, the first 'broken': ")


def test_json_says_all_of_it(
    connection: Redis, redis_url: str, leader: RedisCronScheduler, capsys: Capture
) -> None:
    add_schedule(connection, "late", lag=100)
    for command in (main, django):
        status, line = command(redis_url, capsys, "--json")
        assert status == 1
        found = json.loads(line)
        assert found.keys() == Health.__dataclass_fields__.keys()
        assert (found["ok"], found["problem"]) == (False, "late-schedules")
        assert found["message"].startswith("late schedules: 1, the oldest 'late' by 10")
        assert (found["leader"], found["leader_pid"]) == ("leader", os.getpid())
        assert (found["late"], found["oldest_late"], found["standbys"]) == (1, "late", [])


def main(url: str, capsys: Capture, *options: str) -> tuple[int, str]:
    """Exit status and the line of `rqrcron health`, in this process."""
    return outcome(lambda: cli.main(["health", "--url", url, *options]), capsys)


def django(url: str, capsys: Capture, *options: str) -> tuple[int, str]:
    """Likewise of `manage.py rqcron_health`."""
    return outcome(lambda: call_command("rqcron_health", *options), capsys)


def outcome(command: Callable[[], object], capsys: Capture) -> tuple[int, str]:
    status = 0
    try:
        command()
    except SystemExit as end:
        status = int(end.code or 0)
    (line,) = capsys.readouterr().out.splitlines()
    return status, line


def test_a_redis_that_is_not_there(connection: Redis) -> None:
    url = "redis://someone:secret@127.0.0.1:1/0"
    for done in (rqrcron(url), manage("--queue", "nowhere")):
        line = the_line(done, 1)
        assert line.startswith("redis unreachable: Redis at 127.0.0.1:1/0 cannot be reached: ")
        assert "secret" not in line
    for done in (rqrcron(url, "--json"), manage("--queue", "nowhere", "--json")):
        assert json.loads(the_line(done, 1))["problem"] == "redis-unreachable"


def test_a_redis_that_does_not_answer(connection: Redis) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        done = rqrcron(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert time.monotonic() - started < 45  # of a probe; most of it is the start of Python
    assert the_line(done, 1).startswith("redis unreachable: Redis at 127.0.0.1:")


def test_a_redis_that_refuses(connection: Redis) -> None:
    connection.set(LOCK, "a:b")
    connection.set(INDEX, "something")
    line = the_line(manage(), 1)
    assert line.startswith("redis unreachable: Redis at ")
    assert " cannot be used: WRONGTYPE" in line


def test_wrong_usage_ends_with_2(redis_url: str) -> None:
    for done in (rqrcron(redis_url, "--max-lag", "0"), manage("--max-lag", "0")):
        assert (done.returncode, done.stdout) == (2, "")
        assert "max_lag must be a positive number of seconds, got 0; " in done.stderr
        assert "Traceback" not in done.stderr
    done = manage("--queue", "no such queue")
    assert done.returncode == 2
    assert "is not in RQ_QUEUES" in done.stderr
