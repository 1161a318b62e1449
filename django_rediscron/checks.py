"""System checks: settings of the wrong shape, and a Redis that may throw schedules away."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from redis import Redis
from redis.exceptions import RedisError

from .conf import KNOWN, conf, is_pattern
from .queues import get_connection
from .servers import Server, server


def check_settings(**_: Any) -> list[CheckMessage]:
    """`REDISCRON` is a dictionary of what this app knows, in the right shape."""
    given = getattr(settings, "REDISCRON", {})
    if not isinstance(given, dict):
        return [
            Error(
                f"REDISCRON should be a dictionary, got {given!r}.",
                hint='For instance REDISCRON = {"QUEUE": "default"}, or leave it out.',
                id="django_rediscron.E001",
            )
        ]
    return [*_unknown_settings(given), *_misshapen_settings(given)]


def _unknown_settings(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    for key in given:
        if key not in KNOWN:
            yield Error(
                f"REDISCRON has an unknown key: {key!r}.",
                hint=f"The keys should be some of {', '.join(KNOWN)}.",
                id="django_rediscron.E002",
            )


def _misshapen_settings(given: dict[Any, Any]) -> Iterator[CheckMessage]:
    shapes = {
        "QUEUE": (_is_name, "the name of a queue in RQ_QUEUES", '"default"'),
        "APPLICATION": (_is_name, "a name for this project", "the name of the settings module"),
        "LOCK_TTL": (_is_positive, "a positive number of seconds", "30"),
        "MAX_SLEEP_INTERVAL": (_is_positive, "a positive number of seconds", "60.0"),
        "ALLOWED_FUNCTIONS": (
            _are_patterns,
            "a list of dotted names such as 'reports.tasks.build' or 'reports.tasks.*', "
            "whose first part has no '*'",
            "[]",
        ),
    }
    for key, (fits, shape, example) in shapes.items():
        if key in given and not fits(given[key]):
            yield Error(
                f'REDISCRON["{key}"] should be {shape}, got {given[key]!r}.',
                hint=f"The default is {example}.",
                id="django_rediscron.E003",
            )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _are_patterns(value: object) -> bool:
    return isinstance(value, (list, tuple, set)) and all(map(is_pattern, value))


def check_queues(**_: Any) -> list[CheckMessage]:
    """django-rq is there, and knows the queue whose Redis the scheduler uses."""
    messages: list[CheckMessage] = []
    if not apps.is_installed("django_rq"):
        messages.append(
            Error(
                "INSTALLED_APPS should contain 'django_rq'.",
                hint="django_rediscron takes its queues and connections from django-rq.",
                id="django_rediscron.E006",
            )
        )
    queues = getattr(settings, "RQ_QUEUES", None)
    if not _is_queues(queues):
        messages.append(
            Error(
                "RQ_QUEUES should be a dictionary of dictionaries, one for each queue.",
                hint='For instance RQ_QUEUES = {"default": {"URL": "redis://localhost:6379/0"}}.',
                id="django_rediscron.E004",
            )
        )
    elif _is_name(conf.QUEUE) and conf.QUEUE not in queues:
        messages.append(
            Error(
                f'REDISCRON["QUEUE"] should be the name of a queue in RQ_QUEUES, '
                f"got {conf.QUEUE!r}.",
                hint=f"RQ_QUEUES has {', '.join(map(repr, queues))}.",
                id="django_rediscron.E005",
            )
        )
    return messages


def _is_queues(queues: object) -> TypeGuard[dict[str, dict[str, Any]]]:
    return (
        isinstance(queues, dict)
        and bool(queues)
        and all(isinstance(config, dict) for config in queues.values())
    )


def check_eviction(*, databases: Iterable[str] | None = None, **_: Any) -> list[CheckMessage]:
    """No Redis of `RQ_QUEUES` may throw away keys without a TTL, as schedules are, to save memory.

    One that cannot be asked gets no warning: whether it is up is not for a check of settings.
    """
    # Django before 6.0 runs the database checks always, and without --database they do nothing.
    # `migrate` runs them too, and is to work without Redis.
    asked = databases is not None and sys.argv[1:2] != ["migrate"]
    if not asked or not _is_queues(getattr(settings, "RQ_QUEUES", None)):
        return []
    return [
        Warning(
            f"The Redis of {', '.join(map(repr, names))} evicts any key when its memory is full "
            f"(maxmemory-policy {policy}): schedules and jobs may vanish.",
            hint="Set maxmemory-policy to noeviction, or give these queues another Redis.",
            id="django_rediscron.W001",
        )
        for connection, names in _servers(settings.RQ_QUEUES)
        if (policy := _evicting_policy(connection)) is not None
    ]


def _servers(queues: Iterable[str]) -> list[tuple[Redis, list[str]]]:
    found: dict[Server, tuple[Redis, list[str]]] = {}
    for name in queues:
        try:
            connection = get_connection(name)
        except Exception:  # an incomplete entry: whoever uses the queue is told what it lacks
            continue
        found.setdefault(server(connection), (connection, []))[1].append(name)
    return list(found.values())


def _evicting_policy(connection: Redis) -> str | None:
    """The policy if it evicts keys without a TTL. The volatile ones spare them."""
    try:
        # Hosted servers that refuse CONFIG still answer this.
        memory: dict[str, Any] = connection.info("memory")
    except (RedisError, OSError):
        return None
    policy = str(memory.get("maxmemory_policy", ""))
    return policy if memory.get("maxmemory") and policy.startswith("allkeys-") else None
