"""What is said of a Redis that gives no answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis import exceptions as redis_errors
from redis.exceptions import RedisError
from redis.sentinel import SentinelConnectionPool

from .core.exceptions import UnsuitableServerError
from .core.process.outage import tell
from .core.quoting import quoted
from .core.store.servers import server_name
from .terminal import one_line


class UnreachableError(RedisError):
    """Redis gave no answer, or refused; str() is one line with its address, not its password."""


@contextmanager
def reaching(connection: Redis) -> Iterator[None]:
    """Turn every error of Redis inside into an `UnreachableError`."""
    try:
        yield
    except UnsuitableServerError as error:
        raise UnreachableError(f"{address(connection)} cannot be used: {error}") from error
    except UnreachableError:
        raise
    except RedisError as error:
        lost = isinstance(error, (redis_errors.ConnectionError, redis_errors.TimeoutError))
        refused = isinstance(error, redis_errors.AuthenticationError)
        verb = "reached" if lost and not refused else "used"
        reason = one_line(tell(error))
        raise UnreachableError(f"{address(connection)} cannot be {verb}: {reason}") from error


def address(connection: Redis) -> str:
    """`Redis at HOST:PORT/DB`, without its password."""
    pool = connection.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        sentinels = ", ".join(address(s) for s in pool.sentinel_manager.sentinels)
        return f"the master {quoted(pool.service_name)} known to {sentinels}"
    return f"Redis at {server_name(connection)}"
