"""Several Redis servers: a name for each, and one question put to all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import SentinelConnectionPool

from .connections import server

Found = TypeVar("Found")

AT_ONCE = 16
"""Servers that are asked at once at most."""


class Server(NamedTuple):
    """A database of a Redis server, which holds schedules of its own."""

    name: str
    """See `server_name`."""
    connection: Redis
    """A client of it."""


def server_name(connection: Redis) -> str:
    """`HOST:PORT/DB`, as it was given but without user and password.

    For a Unix socket, `unix:PATH`, and `?db=DB` unless that is 0. With Sentinel, the name of the
    master and the first sentinel, `NAME@HOST:PORT/DB`.
    """
    pool = connection.connection_pool
    options = pool.connection_kwargs
    database = int(options.get("db") or 0)
    if options.get("path"):
        return f"unix:{options['path']}" + (f"?db={database}" if database else "")
    prefix = ""
    if isinstance(pool, SentinelConnectionPool):
        prefix = f"{pool.service_name}@"
        options = pool.sentinel_manager.sentinels[0].connection_pool.connection_kwargs
    host, port = options.get("host") or "localhost", options.get("port") or 6379
    return f"{prefix}{host}:{port}/{database}"


def servers_of(connections: Iterable[Redis]) -> list[Server]:
    """The servers that these connections lead to, in their order, each once.

    Addresses are compared and nothing is asked, so that there are as many servers, with the same
    names, when one of them is away.
    """
    found: dict[Hashable, Redis] = {}
    for connection in connections:
        found.setdefault(server(connection), connection)
    return [Server(server_name(connection), connection) for connection in found.values()]


def read_each(
    servers: Sequence[Server], read: Callable[[Redis], Found]
) -> list[tuple[Server, Found | Exception]]:
    """What `read` returns for each server, in their order, or the error of Redis that it raises.

    They are asked at the same time, so that one that is away holds up the answers of the others
    no longer than its own.
    """

    def attempt(asked: Server) -> Found | Exception:
        try:
            return read(asked.connection)
        except (RedisError, OSError) as error:
            return error

    with ThreadPoolExecutor(min(AT_ONCE, len(servers) or 1)) as threads:
        return list(zip(servers, threads.map(attempt, servers), strict=True))
