"""Clients made after the one that was given, and which server a client leads to."""

from __future__ import annotations

import re
import ssl
from collections.abc import Hashable
from copy import copy
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit
from weakref import WeakKeyDictionary

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

TIMEOUT = 2.0
"""Seconds to wait for a reply or a connection. Our scripts take milliseconds."""

SENTINEL_TIMEOUT = 0.5
"""The same for a sentinel: several are asked in turn, and the machine of one may be gone."""

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
"""Options of a connection that name server and user, in addition to all that begin with `ssl`."""


def own_client(connection: Redis, timeout: float = TIMEOUT) -> Redis:
    """A client of the same database that fails fast and returns bytes.

    The scheduler waits for Redis in its own loop, where it still reacts to signals; redis-py's
    retries would sleep for seconds inside one command. Replies are bytes, also if the given client
    decodes them: what Redis holds need not be text.
    """
    check_client(connection)
    pool = connection.connection_pool
    given = pool.connection_kwargs
    options: dict[str, Any] = {
        name: value for name, value in given.items() if name in _KEPT or name.startswith("ssl")
    }
    options["retry"] = Retry(NoBackoff(), 0)
    options["socket_timeout"] = _at_most(timeout, given.get("socket_timeout"))
    if "path" not in given:  # a Unix socket connects at once, and redis-py 5.0 knows no such option
        options["socket_connect_timeout"] = _at_most(timeout, given.get("socket_connect_timeout"))
    if isinstance(pool, SentinelConnectionPool):
        sentinel_pool: type[Any] = SentinelConnectionPool
        own: ConnectionPool = sentinel_pool(
            pool.service_name,
            _own_sentinels(pool.sentinel_manager),
            is_master=pool.is_master,
            check_connection=pool.check_connection,
            connection_class=pool.connection_class,
            **options,
        )
    else:
        own = ConnectionPool(connection_class=pool.connection_class, **options)
    return Redis(connection_pool=own)


def check_client(connection: object) -> None:
    """Raise TypeError for anything but a client of one server, such as a `RedisCluster`."""
    if not isinstance(connection, Redis):
        raise TypeError(
            f"connection must be a redis.Redis client of one server, as RQ needs it, got a "
            f"{type(connection).__name__}; of a cluster, give it the node that holds RQ's keys"
        )


def bytes_client(connection: Redis) -> Redis:
    """The client itself, or if it decodes replies, another one that returns bytes.

    Ids and values that other programs wrote need not be text.
    """
    pool = connection.connection_pool
    if not pool.connection_kwargs.get("decode_responses"):
        return connection
    if pool not in _bytes_clients:
        _bytes_clients[pool] = own_client(connection)
    return _bytes_clients[pool]


_bytes_clients: WeakKeyDictionary[ConnectionPool, Redis] = WeakKeyDictionary()


def _own_sentinels(given: Sentinel) -> Sentinel:
    """The same sentinels, with short timeouts: they are asked one after the other."""
    own = copy(given)
    own.sentinels = [own_client(sentinel, SENTINEL_TIMEOUT) for sentinel in given.sentinels]
    return own


def _at_most(limit: float, given: float | None) -> float:
    return min(given or limit, limit)


_PASSING = (ClusterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)
_PASSING_WORDS = ("MASTERDOWN ", "MISCONF ", "NOREPLICAS ", "BUSY ")


def is_passing(error: Exception) -> bool:
    """Whether waiting may help, unlike with a wrong password or a missing permission."""
    if isinstance(error, (AuthenticationError, AuthorizationError)):
        return False
    if isinstance(error, ResponseError):  # redis-py may put the command before Redis's message
        return isinstance(error, _PASSING) or any(word in str(error) for word in _PASSING_WORDS)
    return not isinstance(error.__context__, ssl.SSLCertVerificationError)


_CREDENTIALS = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s'\"<>]*@", re.IGNORECASE)
_OPTION = re.compile(r"(\bpassword=)('[^']*'|\"[^\"]*\"|[^&,)\s]*)", re.IGNORECASE)

_QUOTED = re.compile(r"'[^']*'")

_REMEDY = (
    "special characters of the password must be percent-encoded in a Redis URL: # as %23, / as "
    "%2F, ? as %3F, @ as %40, % as %25"
)


def hide_passwords(text: str) -> str:
    """The text without user names and passwords of URLs, and without passwords of options."""
    return _OPTION.sub(r"\1***", _CREDENTIALS.sub(r"\1***@", text))


@lru_cache(maxsize=256)
def check_url(url: str) -> None:
    """Raise ValueError if a part of the password would be taken for host, port or database.

    Messages that name the server would show it then, and so would the resolver's log.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return  # no address at all, as those who use it will say
    # A URL of Redis has no fragment, and an @ behind the host in values of its options only; and
    # in a path, if that is one of a socket: what stands before that are credentials or nothing.
    is_socket = parts.scheme == "unix" and (not parts.netloc or "@" in parts.netloc)
    path = "" if is_socket else parts.path
    if "#" in url or "@" in path or "@" in parts.query.partition("=")[0]:
        raise ValueError(f"{_misread(parts)}{_REMEDY}")


def _misread(parts: SplitResult) -> str:
    """What urllib says of the port; it quotes a part of the password, which is left out."""
    try:
        parts.port  # noqa: B018 - raises
    except ValueError as error:
        return _QUOTED.sub("'...'", str(error)) + "; "
    return ""


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
    client = own_client(connection)
    try:
        facts: dict[str, Any] = client.info("server")
    except (RedisError, OSError):
        return None
    finally:
        client.connection_pool.disconnect()
    run_id = facts.get("run_id")
    database = int(connection.connection_pool.connection_kwargs.get("db") or 0)
    return (str(run_id), database) if run_id else None
