"""What the tests of the admin share: users with single permissions, and schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from redis import Redis
from redis.connection import AbstractConnection

from django_rediscron import RedisCronJob

LIST = "/admin/django_rediscron/schedule/"


@pytest.fixture(autouse=True)
def _with_django(db: None, rq_queues: None, connection: Redis) -> None:
    """A database for users and log, an empty Redis for schedules, queues as in the settings."""


@pytest.fixture
def client_with() -> Callable[..., Client]:
    """Make a browser of a user who has these permissions on schedules, who has to send tokens."""

    def log_in(*permissions: str) -> Client:
        user = User.objects.create_user("-".join(("user", *permissions)), is_staff=True)
        for name in permissions:
            user.user_permissions.add(Permission.objects.get(codename=f"{name}_schedule"))
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def operator(client_with: Callable[..., Client]) -> Client:
    """A browser of a user who may do everything with schedules."""
    return client_with("view", "add", "change", "delete", "run")


@pytest.fixture
def schedule(connection: Redis) -> Callable[..., RedisCronJob]:
    """Make a schedule that is stored."""

    def make(id: str, **options: Any) -> RedisCronJob:
        if "cron" not in options:
            options.setdefault("interval", 300)
        options.setdefault("func_name", "tests.tasks.echo")
        job = RedisCronJob(
            id, options.pop("queue_name", "default"), connection=connection, **options
        )
        job.save()
        return job

    return make


RoundTrips = Callable[[Callable[[], object]], int]


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> RoundTrips:
    """Count what is sent to Redis for something, when scripts and connections are there."""
    sent: list[object] = []
    send = AbstractConnection.send_packed_command

    def noted(self: AbstractConnection, command: object, *args: object, **more: object) -> None:
        sent.append(command)
        send(self, command, *args, **more)

    def count(work: Callable[[], object]) -> int:
        work()
        sent.clear()
        work()
        return len(sent)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", noted)
    return count
