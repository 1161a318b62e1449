"""Ways in which Redis refuses writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from redis import Redis

from .proxy import Fault, RoundTrip

Refusal = Callable[[Redis], AbstractContextManager[Fault]]
"""The target of the block is a fault that begins the refusal, which ends with the block."""


def out_of_memory(connection: Redis) -> AbstractContextManager[Fault]:
    """-OOM."""
    return _settings(connection, {"maxmemory": "1", "maxmemory-policy": "noeviction"})


def no_replicas(connection: Redis) -> AbstractContextManager[Fault]:
    """-NOREPLICAS."""
    return _settings(connection, {"min-replicas-to-write": "1"})


def read_only(connection: Redis) -> AbstractContextManager[Fault]:
    """-READONLY, as from a server that was demoted; its master is away, so it keeps its data."""
    return _refusal(
        lambda: connection.execute_command("REPLICAOF", "127.0.0.1", "1"),
        lambda: connection.execute_command("REPLICAOF", "NO", "ONE"),
    )


REFUSALS: dict[str, Refusal] = {
    "OOM": out_of_memory,
    "NOREPLICAS": no_replicas,
    "READONLY": read_only,
}


def _settings(connection: Redis, settings: dict[str, str]) -> AbstractContextManager[Fault]:
    before = {name: connection.config_get(name)[name] for name in settings}

    def apply(wanted: dict[str, str]) -> None:
        for name, value in wanted.items():
            connection.config_set(name, value)

    return _refusal(lambda: apply(settings), lambda: apply(before))


@contextmanager
def _refusal(begin: Callable[[], object], end: Callable[[], object]) -> Iterator[Fault]:
    lock = threading.Lock()
    is_over = False

    def refuse(trip: RoundTrip) -> None:
        with lock:
            if not is_over:  # the fault comes in another thread, perhaps too late
                begin()

    try:
        yield refuse
    finally:
        with lock:
            is_over = True
            end()
