"""Word to systemd, by its protocol, over a real socket."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from django_rediscron.core.process.systemd import Chorus, notify, watchdog_interval
from tests.forks import Program
from tests.processes import SCHEDULER, running_scheduler


@pytest.fixture(params=["path", "abstract"])
def systemd(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The socket that systemd listens on."""
    if request.param == "path":
        address = name = str(tmp_path / "notify")
    else:
        unique = f"rediscron-test-{uuid.uuid4().hex}"
        address, name = f"\0{unique}", f"@{unique}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(address)
        listener.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listener


def received(listener: socket.socket) -> list[str]:
    """The lines of the next message."""
    return listener.recv(4096).decode().split("\n")


def silent(listener: socket.socket) -> bool:
    return not select.select([listener], [], [], 0)[0]


def test_a_state_arrives_as_it_is(systemd: socket.socket) -> None:
    notify("READY=1")
    notify("WATCHDOG=1\nSTATUS=日報 \udcff")
    assert systemd.recv(4096) == b"READY=1"
    assert systemd.recv(4096) == "WATCHDOG=1\nSTATUS=日報 \\udcff".encode()


def test_without_systemd_nothing_happens(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")
    assert silent(systemd)


@pytest.mark.parametrize(
    "address", ["", "@", "relative", "/no/such/socket", "/" + "x" * 200, "/dev/null", "vsock:2:1"]
)
def test_an_address_that_leads_nowhere_harms_nothing(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


def test_a_systemd_that_does_not_listen_stops_nobody(systemd: socket.socket) -> None:
    started = time.monotonic()
    while time.monotonic() - started < 0.9:  # until its queue is full, and one second more
        notify("WATCHDOG=1")
    assert time.monotonic() - started < 30
    assert received(systemd) == ["WATCHDOG=1"]


def test_the_interval_of_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert watchdog_interval() is None
    monkeypatch.setenv("WATCHDOG_USEC", "2500000")
    assert watchdog_interval() == 2.5
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_interval() == 2.5
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_interval() is None, "it is meant for another process"


@pytest.mark.parametrize("given", ["", "0", "-1", "soon", "1.5"])
def test_an_interval_that_is_none(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", given)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert watchdog_interval() is None


def test_a_scheduler_says_when_it_is_ready_alive_and_stopping(
    connection: Redis, redis_url: str, systemd: socket.socket
) -> None:
    with running_scheduler(redis_url, lock_ttl=1) as process:
        assert received(systemd) == ["READY=1"]
        for _ in range(3):  # after each pass
            assert received(systemd) == ["WATCHDOG=1", "STATUS=leading"]
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    messages = []
    while not silent(systemd):
        messages.append(received(systemd))
    assert messages[-1] == ["STOPPING=1"]


def test_a_standby_is_ready_and_alive_while_it_waits(
    connection: Redis, redis_url: str, systemd: socket.socket
) -> None:
    connection.set("rq:cron_jobs:lock", "another:token")
    script = SCHEDULER.format(url=redis_url, name="second", lock_ttl=1, max_sleep=60.0)
    process = Program("-c", script.replace(".start()", ".start(standby=True)"))
    try:
        assert received(systemd) == ["READY=1"]
        assert received(systemd)[0] == "WATCHDOG=1"
        assert received(systemd)[0] == "WATCHDOG=1"
    finally:
        process.close()


def test_several_schedulers_speak_with_one_voice(systemd: socket.socket) -> None:
    chorus = Chorus(["a", "b"])
    chorus.tell("a", "READY=1")
    assert received(systemd) == ["READY=1"]
    chorus.tell("b", "READY=1")
    chorus.tell("a", "WATCHDOG=1\nSTATUS=leading")
    assert received(systemd) == ["STATUS=a leading; b starting"]
    chorus.tell("a", "WATCHDOG=1\nSTATUS=leading")
    assert silent(systemd), "one that hangs must not look alive"
    chorus.tell("b", "WATCHDOG=1\nSTATUS=waiting for Redis")
    assert received(systemd) == ["WATCHDOG=1", "STATUS=a leading; b waiting for Redis"]
    chorus.tell("b", "STOPPING=1")
    assert silent(systemd), "systemd would kill the others"
    chorus.is_stopping = True
    chorus.tell("b", "STOPPING=1")
    chorus.tell("a", "STOPPING=1")
    assert received(systemd) == ["STOPPING=1"]
    assert silent(systemd)
