"""Several servers of one project: each is looked after as if it were the only one.

Seen to fail, each with this taken out: the order of `servers`, its comparison of addresses.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_rediscron.core import RedisCronScheduler
from tests.forks import run_python

from .schedulers import project
from .servers import Server


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
