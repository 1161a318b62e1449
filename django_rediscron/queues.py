"""The queues of `RQ_QUEUES`, as django-rq makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

import django_rq
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django_rq.connection_utils import get_redis_connection
from redis import Redis
from rq import Queue

from .conf import conf
from .core.exceptions import UnknownQueueError
from .core.quoting import cut, quoted
from .core.schedule.options import DEFAULT_RESULT_TTL
from .core.store.connections import check_url, own_client, same_server, server
from .core.store.servers import Server, servers_of


def get_queue(name: str, connection: Redis) -> Queue:
    """The queue of that name on this connection, with what `RQ_QUEUES` and `RQ` say of it.

    Raises `UnknownQueueError` if there is no such queue, or if its workers would never see
    the jobs, because it lives on another Redis.
    """
    config = queue_config(name)
    if not same_server(connection, get_connection(name)):
        raise UnknownQueueError(
            f"queue {quoted(name)} lives on another Redis than this scheduler; "
            f"use get_scheduler({quoted(name)}), or a queue of this Redis"
        )
    try:
        return django_rq.get_queue(name, connection=connection, job_class=config.get("JOB_CLASS"))
    except Exception as error:  # RQ says of a class that is not there: "Invalid attribute name"
        raise UnknownQueueError(
            f"queue {quoted(name)} cannot be used ({type(error).__name__}: {cut(error)}); check "
            f"its QUEUE_CLASS, JOB_CLASS and SERIALIZER in RQ_QUEUES"
        ) from error


def queues_on(connection: Redis) -> Iterator[Queue]:
    """The queues of `RQ_QUEUES` that have the address of this connection, and can be made."""
    for name in queues_beside(connection):
        with suppress(Exception):  # whoever uses the queue is told what its entry lacks
            yield get_queue(name, connection)


def get_connection(name: str) -> Redis:
    """A new client of the Redis of a queue.

    Raises `UnknownQueueError`, also if what `RQ_QUEUES` says of the queue leads to no Redis.
    """
    config = queue_config(name)
    try:
        check_url(str(config.get("URL") or ""))
    except ValueError as error:
        raise UnknownQueueError(f"queue {name!r} cannot be used: in RQ_QUEUES {error}") from None
    try:
        found = get_redis_connection(config)
        pool = found.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # knows what options there are
        return found
    except Exception as error:  # each way to name a server fails in its own way
        lacks = isinstance(error, KeyError) and error.args and error.args[0] not in config
        # The text of another error may quote a piece of a password.
        reason = f"{quoted(error.args[0])} is missing" if lacks else type(error).__name__
        raise UnknownQueueError(
            f"queue {quoted(name)} cannot be used: its entry in RQ_QUEUES leads to no Redis "
            f"({reason}); give it a URL, or HOST, PORT and DB"
        ) from error


def connections() -> Iterator[tuple[str, Redis]]:
    """Each queue of `RQ_QUEUES` that leads to a Redis, with a new client of that."""
    for name in queue_configs():
        with suppress(UnknownQueueError):  # whoever uses the queue is told what is wrong with it
            yield name, get_connection(name)


def servers() -> list[Server]:
    """The servers of `RQ_QUEUES`, that of `REDISCRON["QUEUE"]` first; Redis is not touched.

    Queues whose entries lead to no Redis are left out: the system checks speak of them.
    """
    found = dict(connections())
    main = [found.pop(conf.QUEUE)] if conf.QUEUE in found else []
    return servers_of([*main, *found.values()])


def main_connection() -> Redis:
    """The client of the Redis that `REDISCRON["QUEUE"]` names, one for the whole process.

    It gives up after two seconds, for a page waits for it. Raises `UnknownQueueError`.
    """
    return _client(conf.QUEUE, repr(queue_config(conf.QUEUE)))


@lru_cache(maxsize=8)
def _client(queue: str, config: str) -> Redis:
    return own_client(get_connection(queue))


def default_result_ttl(name: str) -> int:
    """Seconds to keep the results of a queue where nobody says so. Raises `UnknownQueueError`."""
    common = getattr(settings, "RQ", None) or {}
    for place in (queue_config(name), common):
        if place.get("DEFAULT_RESULT_TTL") is not None:
            return cast(int, place["DEFAULT_RESULT_TTL"])
    return DEFAULT_RESULT_TTL


def queue_config(name: str) -> dict[str, Any]:
    """What `RQ_QUEUES` says of a queue. Raises `UnknownQueueError`."""
    queues = queue_configs()
    if not isinstance(name, str) or name not in queues:
        known = ", ".join(map(repr, queues)) or "none"
        raise UnknownQueueError(
            f"queue {quoted(name)} is not in RQ_QUEUES (known: {known}); "
            f"add it there, or use one of those"
        )
    return queues[name]


def queue_configs() -> dict[str, dict[str, Any]]:
    """All of `RQ_QUEUES`."""
    queues = getattr(settings, "RQ_QUEUES", None)
    if not isinstance(queues, dict):
        example = 'RQ_QUEUES = {"default": {"URL": "redis://localhost:6379/0"}}'
        fault = "is not set" if queues is None else f"should be a dictionary, got {queues!r:.80}"
        raise ImproperlyConfigured(f"RQ_QUEUES {fault}; add your queues, such as {example}.")
    return queues


def needs_worker(name: str) -> bool:
    """Whether jobs of this queue wait for a worker; with `ASYNC` false, none does."""
    return bool(queue_configs().get(name, {}).get("ASYNC", True))


def queues_beside(connection: Redis) -> Iterator[str]:
    """Names in `RQ_QUEUES` whose jobs workers find: those on the Redis of this connection."""
    here = server(connection)
    for name in queue_configs():
        try:
            there = server(get_connection(name))
        except Exception:  # an incomplete entry: the system checks speak of it
            continue
        if there == here:
            yield name
