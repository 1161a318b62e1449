"""A proxy for every test of this folder, and no process left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from .proxy import Proxy, proxy_before
from .victims import Victim


@pytest.fixture
def proxy(connection: Redis, redis_url: str) -> Iterator[Proxy]:
    """Stands before the empty database of `connection`, which goes past it."""
    connection.config_set(
        "loglevel", "warning"
    )  # nobody may read what it says, until a pipe is full
    with proxy_before(redis_url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def end_victims() -> Iterator[None]:
    yield
    Victim.end_all()
