"""Several servers of one project: each is looked after as if it were the only one.

Seen to fail, each with this taken out: the order of `servers`, its comparison of addresses;
the standing by, the restart after an error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from django_rediscron import leaders
from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import LOCK, job_key
from django_rediscron.leaders import Leaders
from django_rediscron.metrics import Collector
from tests.forks import run_python
from tests.processes import start_python, wait_until
from tests.tasks import echo

from .schedulers import leads, project, roles
from .servers import Server
from .victims import Victim


@pytest.fixture
def other(server_binary: str, tmp_path: Path) -> Iterator[Server]:
    """A second server."""
    server = Server(server_binary, tmp_path)
    try:
        yield server.start()
    finally:
        server.close()


def environment(server: Server, other: Server, *declared: dict[str, Any]) -> dict[str, str]:
    return {
        **os.environ,
        **project(server),
        "DJANGO_SETTINGS_MODULE": "tests.several",
        "REDISCRON_TEST_OTHER_URL": other.url.replace("//", "//default:secret@"),
        "REDISCRON_TEST_DECLARED": json.dumps(declared),
    }


def manage(
    server: Server, other: Server, *arguments: str, declared: tuple[Any, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "django", *arguments, env=environment(server, other, *declared))


def name(server: Server) -> str:
    return f"127.0.0.1:{server.port}/0"


HEALTH = [("rqcron_health",), ("rqrcron", "health")]


@pytest.mark.parametrize("command", HEALTH)
def test_health_tells_of_each_server(
    server: Server, other: Server, command: tuple[str, ...]
) -> None:
    RedisCronScheduler(server.client(), name="one").register_birth()

    done = manage(server, other, *command, "--all")

    assert done.returncode == 1, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{name(server)}: ok: 'one' (")
    assert second.startswith(f"{name(other)}: no scheduler: ")
    RedisCronScheduler(other.client(), name="two").register_birth()
    assert manage(server, other, *command, "--all").returncode == 0
    other.freeze()

    done = manage(server, other, *command, "--all", "--json")

    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["ok"] is False
    assert [each["server"] for each in told["servers"]] == [name(server), name(other)]
    assert [each["problem"] for each in told["servers"]] == ["", "redis-unreachable"]
    assert "secret" not in done.stdout
    assert manage(server, other, *command).stdout.startswith("ok: 'one' (")


@pytest.mark.parametrize("command", HEALTH)
def test_all_servers_and_one_exclude_each_other(
    server: Server, other: Server, command: tuple[str, ...]
) -> None:
    done = manage(server, other, *command, "--all", "--queue", "default")

    assert done.returncode == 2
    assert "--all asks every server; leave out --queue" in done.stderr


@pytest.mark.outage
def test_metrics_have_the_server_as_a_label(server: Server, other: Server) -> None:
    RedisCronScheduler(server.client(), name="one").register_birth()
    environ = environment(server, other)

    def found() -> dict[tuple[str, str], float]:
        """Values by metric and server, of the command and of the page, which say the same."""
        command = manage(server, other, "rqrcron", "metrics", "--all")
        page = run_python("-c", SCRAPE, env=environ)
        assert (command.returncode, page.returncode) == (0, 0), command.stderr + page.stderr
        told = [
            {
                (sample.name.removeprefix("rediscron_"), sample.labels["server"]): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if family.name.removeprefix("rediscron_") in ("up", "leaders", "standbys")
            }
            for text in (command.stdout, page.stdout)
        ]
        assert told[0] == told[1]
        return told[0]

    here, there = name(server), name(other)
    assert found() == {
        ("up", here): 1, ("leaders", here): 1, ("standbys", here): 0,
        ("up", there): 1, ("leaders", there): 0, ("standbys", there): 0,
    }  # fmt: skip
    other.freeze()
    assert found() == {
        ("up", here): 1, ("leaders", here): 1, ("standbys", here): 0, ("up", there): 0
    }  # fmt: skip
    alone = manage(server, other, "rqrcron", "metrics").stdout
    assert "rediscron_leaders 1.0\n" in alone or "rediscron_leaders 1\n" in alone
    assert "server" not in {
        label
        for family in text_string_to_metric_families(alone)
        for sample in family.samples
        for label in sample.labels
    }


SCRAPE = """
import django
django.setup()
from django.test import Client, override_settings
with override_settings(REDISCRON={"METRICS_TOKEN": "t" * 40}, ALLOWED_HOSTS=["*"], MIDDLEWARE=[]):
    page = Client().get("/rediscron/metrics?all", headers={"authorization": "Bearer " + "t" * 40})
assert page.status_code == 200, page
print(page.text, end="")
"""


def test_a_collector_of_several_connections(server: Server, other: Server) -> None:
    other.stop()
    registry = CollectorRegistry()
    registry.register(Collector({"a": server.client(), "b": other.client()}))
    assert registry.get_sample_value("rediscron_up", {"server": "a"}) == 1
    assert registry.get_sample_value("rediscron_up", {"server": "b"}) == 0


@pytest.mark.outage
@pytest.mark.parametrize("command", [("rqrcron_info",), ("rqrcron", "info")])
def test_info_lists_each_server(server: Server, other: Server, command: tuple[str, ...]) -> None:
    for each, queue in ((server, "default"), (other, "elsewhere")):
        RedisCronJob("same", queue, echo, interval=60, connection=each.client()).save()

    done = manage(server, other, *command, "--all")

    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split("Server ")[1:]
    assert first.startswith(f"{name(server)}\nsame ")
    assert second.startswith(f"{name(other)}\nsame ")
    other.freeze()

    done = manage(server, other, *command, "--all", "--json")

    assert done.returncode == 1
    here, there = json.loads(done.stdout)["servers"]
    assert (here["server"], [job["id"] for job in here["jobs"]]) == (name(server), ["same"])
    assert there.keys() == {"server", "error"}
    assert f"Redis at {name(other)} cannot be reached" in there["error"]
    assert "secret" not in done.stdout
    wrong = manage(server, other, *command, "--all", "default")
    assert (wrong.returncode, wrong.stdout) == (2, "")


# rqcron_scheduler --all

NEAR = {"queue_name": "default", "id": "near", "interval": 1}
FAR = {"queue_name": "elsewhere", "id": "far", "interval": 1}


@contextmanager
def leading(server: Server, other: Server, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`rqcron_scheduler --all` in the project of both servers."""
    options = ("--all", "--name", "one", "--lock-ttl", "9", *arguments)
    process = start_python(
        *("-m", "django", "rqcron_scheduler", *options), **environment(server, other, NEAR, FAR)
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def enqueues(server: Server, queue: str) -> bool:
    """Await two more jobs of a schedule that runs every second."""
    client = server.client()
    before = client.llen(f"rq:queue:{queue}")
    wait_until(lambda: client.llen(f"rq:queue:{queue}") >= before + 2, timeout=120)
    return True


def stop(process: subprocess.Popen[str]) -> str:
    """Ask it to stop. Returns what it logged."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 0, output
    return output


@pytest.mark.outage
@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_a_server_that_is_away_harms_no_other(server: Server, other: Server, fault: str) -> None:
    with leading(server, other) as process:
        assert enqueues(server, "default")
        assert enqueues(other, "elsewhere")
        assert not server.client().exists(job_key("far"))
        assert not other.client().exists(job_key("near"))
        if fault == "killed":
            other.stop(signal.SIGKILL)
        else:
            other.freeze()
        assert enqueues(server, "default")
        process.send_signal(signal.SIGHUP)  # a sync asks which queues are where
        assert enqueues(server, "default")
        if fault == "killed":
            other.start()
            assert enqueues(other, "elsewhere")
            other.stop(signal.SIGKILL)

        output = stop(process)

    assert not server.client().exists(LOCK)
    lines = output.splitlines()
    assert any(f"{name(other)}: Scheduler one: Redis is in trouble" in line for line in lines)
    assert not any(f"{name(server)}: Scheduler one: Redis is in" in line for line in lines)
    assert any(f"{name(server)}: Declared schedules: 1 created" in line for line in lines)
    assert "secret" not in output


@pytest.mark.outage
def test_servers_may_be_away_or_led_by_another_one_at_first(server: Server, other: Server) -> None:
    rival = RedisCronScheduler(server.client(), name="rival")
    rival.register_birth()
    other.stop(signal.SIGKILL)
    with leading(server, other) as process:
        wait_until(lambda: roles(server.client()).get("one") == "standby", timeout=120)
        other.start()
        assert enqueues(other, "elsewhere")
        assert leads(server.client(), "rival")
        rival.register_death()
        assert enqueues(server, "default")
        stop(process)


@pytest.mark.outage
def test_a_burst_is_done_where_it_can_be(server: Server, other: Server) -> None:
    other.stop(signal.SIGKILL)
    options = ("rqcron_scheduler", "--all", "--burst", "--lock-ttl", "1")

    done = manage(server, other, *options, declared=(NEAR, FAR))

    assert done.returncode == 1
    assert f"{name(other)}: Redis at {name(other)} cannot be reached" in done.stderr
    assert server.client().llen("rq:queue:default") == 1
    other.start()
    assert manage(server, other, *options, declared=(NEAR, FAR)).returncode == 0
    assert other.client().llen("rq:queue:elsewhere") == 1


def test_one_that_dies_is_started_again(server: Server, other: Server) -> None:
    Victim(run_and_die, server.url, other_url=other.url).start()
    wait_until(lambda: leads(server.client(), "sound"))
    wait_until(lambda: leads(other.client(), "mortal"))
    assert other.client().get("deaths") == b"2"


def run_and_die(url: str, *, other_url: str) -> None:
    leaders.RETRY_PAUSE = 0.1  # type: ignore[attr-defined]
    sound = RedisCronScheduler(Redis.from_url(url), name="sound")
    mortal = Mortal(Redis.from_url(other_url), name="mortal")
    Leaders({"a": sound, "b": mortal}).run(burst=False)


class Mortal(RedisCronScheduler):
    """Dies twice."""

    def start(self, burst: bool = False, standby: bool = False) -> None:
        deaths = int(self.connection.incr("deaths"))
        if deaths == 1:
            raise SystemExit("one")
        if deaths == 2:
            raise ValueError("two")
        self.connection.decr("deaths")
        super().start(burst=burst, standby=standby)
