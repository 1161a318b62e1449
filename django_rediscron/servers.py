"""Which Redis a connection leads to, and whether two connections lead to the same one."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import SentinelConnectionPool

Server = tuple[Hashable, ...]

LOOPBACK = ("localhost", "127.0.0.1", "::1")

_known_equal: set[frozenset[Server]] = set()
"""Pairs of addresses that led to one server when it was asked: it is not asked again for each
schedule. Keyed by address, so that changed settings are judged anew."""


def server(connection: Redis) -> Server:
    """The address of a connection's database, in one form for all ways to write it."""
    pool = connection.connection_pool
    options = pool.connection_kwargs
    database = int(options.get("db") or 0)
    if isinstance(pool, SentinelConnectionPool):
        sentinels = {_host_and_port(each) for each in _sentinel_options(pool)}
        return ("sentinel", pool.service_name, frozenset(sentinels), database)
    if options.get("path"):
        return ("unix", str(options["path"]), database)
    return ("tcp", *_host_and_port(options), database)


def same_server(one: Redis, other: Redis) -> bool:
    """Whether what is written through one connection can be read through the other.

    Where the addresses differ the servers are asked who they are; one that cannot be asked counts
    as another.
    """
    pair = frozenset((server(one), server(other)))
    if len(pair) == 1 or pair in _known_equal:
        return True
    identity = _identity(one)
    if identity is None or identity != _identity(other):
        return False
    _known_equal.add(pair)
    return True


def other_server(one: Redis, other: Redis) -> bool:
    """Whether both say who they are, and are not the same."""
    return not same_server(one, other) and None not in (_identity(one), _identity(other))


def _sentinel_options(pool: SentinelConnectionPool) -> list[dict[str, Any]]:
    return [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]


def _host_and_port(options: dict[str, Any]) -> tuple[str, int]:
    host = str(options.get("host") or "localhost").lower()
    return "127.0.0.1" if host in LOOPBACK else host, int(options.get("port") or 6379)


def _identity(connection: Redis) -> tuple[str, int] | None:
    """A server's own name for this run of it, and the database."""
    try:
        facts: dict[str, Any] = connection.info("server")
    except (RedisError, OSError):
        return None
    run_id = facts.get("run_id")
    database = int(connection.connection_pool.connection_kwargs.get("db") or 0)
    return (str(run_id), database) if run_id else None
