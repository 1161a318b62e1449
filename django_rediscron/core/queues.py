"""Where a schedule's jobs go: RQ queues by name."""

from __future__ import annotations

from collections.abc import Callable

from redis import Redis
from rq import Queue
from rq.utils import as_text

from .keys import QUEUE_PREFIX

QueueFactory = Callable[[str, Redis], Queue]


def get_queue(name: str, connection: Redis) -> Queue:
    """The queue of that name. Raises `UnknownQueueError` where the factory knows no such queue."""
    return _factory(name, connection)


def use_queue_factory(factory: QueueFactory) -> None:
    """Make `factory(name, connection)` build all queues of this process.

    The Django app installs one that takes time-outs, serializers and classes from `RQ_QUEUES`.
    """
    global _factory  # noqa: PLW0603 - one setting of the process, like logging's
    _factory = factory


def plain_queue(name: str, connection: Redis) -> Queue:
    """RQ's own queue with RQ's defaults: every name is known."""
    return Queue(name, connection=connection)


def known_queues(connection: Redis) -> set[str]:
    """Names of the queues that RQ has seen on this connection."""
    keys = connection.smembers(Queue.redis_queues_keys)
    return {as_text(key).removeprefix(QUEUE_PREFIX) for key in keys}


_factory: QueueFactory = plain_queue
