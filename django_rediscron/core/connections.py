"""A client of the scheduler's own, made after the one that it was given."""

from __future__ import annotations

from typing import Any

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

TIMEOUT = 2.0
"""Seconds to wait for a reply or a connection. A script of ours takes milliseconds."""

_KEPT = {
    "host",
    "port",
    "db",
    "username",
    "password",
    "path",
    "client_name",
    "credential_provider",
    "encoding",
    "protocol",
    "redis_connect_func",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_keepalive_options",
    "socket_timeout",
    "socket_type",
}
"""Options of a connection that say where it leads and as whom; and all that begin with `ssl`."""


def own_client(connection: Redis) -> Redis:
    """A client of the same database that fails fast and returns bytes.

    The scheduler has its own way to wait for Redis, in which it still listens to signals; retries
    of redis-py would sleep for seconds inside one command. Replies are bytes, whatever the given
    client makes of them: what stands in Redis need not be text.
    """
    pool = connection.connection_pool
    given = pool.connection_kwargs
    options: dict[str, Any] = {
        name: value for name, value in given.items() if name in _KEPT or name.startswith("ssl")
    }
    options["retry"] = Retry(NoBackoff(), 0)
    for name in ("socket_timeout", "socket_connect_timeout"):
        options[name] = min(options.get(name) or TIMEOUT, TIMEOUT)
    if isinstance(pool, SentinelConnectionPool):
        sentinel_pool: type[Any] = SentinelConnectionPool
        own: ConnectionPool = sentinel_pool(
            pool.service_name,
            pool.sentinel_manager,
            is_master=pool.is_master,
            check_connection=pool.check_connection,
            connection_class=pool.connection_class,
            **options,
        )
    else:
        own = ConnectionPool(connection_class=pool.connection_class, **options)
    return Redis(connection_pool=own)
