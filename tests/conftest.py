"""What all tests share: a real server, and queues as their subject has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from redis import Redis

from django_rediscron import RedisCronScheduler
from django_rediscron.core.store.rq_queues import plain_queue, use_queue_factory
from django_rediscron.queues import get_queue
from django_rediscron.sync import declarations as declared
from tests import server

CORE = frozenset(
    f"test_{name}.py"
    for name in (
        "backfill",
        "cli",
        "cli_edit",
        "cli_operations",
        "cli_pausing",
        "cli_selection",
        "completion",
        "counts",
        "cron_expressions",
        "custom_queues",
        "describing",
        "disabling",
        "dispatch",
        "files",
        "following",
        "healthchecks",
        "hostile_input",
        "http",
        "interop",
        "job",
        "lanes",
        "late",
        "lateness",
        "limits",
        "memory",
        "metrics",
        "monitoring",
        "notify",
        "notifying",
        "once",
        "overlap",
        "pausing",
        "progress",
        "refusals",
        "reigns",
        "rules",
        "runs",
        "saving",
        "scheduler",
        "scripts",
        "sentry",
        "sizes",
        "store",
        "telling",
        "timing",
        "upcoming",
        "wanted",
        "webhook",
        "why",
        "why_at_random",
        "why_with_workers",
    )
)
"""Files of which all tests are marked `core`. `tests/test_layers.py` looks for Django in them."""


def pytest_unconfigure() -> None:
    server.stop()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Each worker would import all of them only to leave them out."""
    return True if "not core" in config.option.markexpr and is_core(collection_path) else None


@pytest.hookimpl(tryfirst=True)  # before `-m` is looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_core(item.path):
            item.add_marker("core")


def is_core(path: Path) -> bool:
    return path.parent == Path(__file__).parent and path.name in CORE


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The address of the tests' own database."""
    return server.url()


@pytest.fixture
def connection(redis_url: str) -> Iterator[Redis]:
    """A client of an empty database."""
    client = Redis.from_url(redis_url, socket_timeout=60)  # longer than any blocking wait
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def leader(connection: Redis) -> RedisCronScheduler:
    """A leader in this process, which makes no pass unless it is told to."""
    scheduler = RedisCronScheduler(connection, name="leader", lock_ttl=3600)
    scheduler.register_birth()
    return scheduler


@pytest.fixture(autouse=True)
def any_queue() -> Iterator[None]:
    """Queues of any name, as without Django: most tests are of the core."""
    use_queue_factory(plain_queue)
    yield
    use_queue_factory(get_queue)


@pytest.fixture
def rq_queues(any_queue: None) -> None:
    """Queues are those of `RQ_QUEUES`, as after Django's start-up."""
    use_queue_factory(get_queue)


@pytest.fixture
def starting(monkeypatch: pytest.MonkeyPatch, rq_queues: None) -> None:
    """Django runs the ready hooks; nothing is declared yet."""
    monkeypatch.setattr(apps, "ready", False)
    monkeypatch.setattr(declared, "_declared", {})
