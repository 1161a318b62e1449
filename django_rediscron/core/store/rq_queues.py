"""Where a schedule's jobs go: RQ queues by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from redis import Redis
from rq import Queue

from ..schedule.texts import lossy_text
from .keys import QUEUE_PREFIX

QueueFactory = Callable[[str, Redis], Queue]


def get_queue(name: str, connection: Redis) -> Queue:
    """The queue of that name. Raises `UnknownQueueError` if the factory knows no such queue."""
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
    return {lossy_text(key).removeprefix(QUEUE_PREFIX) for key in keys}


_factory: QueueFactory = plain_queue

CALLS = ("enqueue", "enqueue_call")
"""Methods of a queue that lead to those below, and that passes do not call."""

_OF_QUEUES = (
    *CALLS,
    "create_job",
    "enqueue_job",
    "setup_dependencies",
    "_enqueue_job",
    "_enqueue_async_job",
    "_enqueue_sync_job",
    "_prepare_for_queue",
    "_persist_job",
    "push_job_id",
)
_OF_JOBS = ("__init__", "create", "save", "to_dict", "set_status", "cleanup", "key_for")
_LIBRARIES = ("rq", "django_rq")


def overridden(queue: Queue) -> str:
    """The first method by which a project's own queue or job class changes how jobs are enqueued.

    Its dotted name; empty if there is none.
    """
    kind: Any = queue.job_class
    return _of_queue(queue, _OF_QUEUES) or _overridden(kind, _OF_JOBS)


def overrides_calls(queue: Queue) -> bool:
    """Whether the class of the queue has an `enqueue` or `enqueue_call` of its own."""
    return bool(_of_queue(queue, CALLS))


def _of_queue(queue: Queue, names: tuple[str, ...]) -> str:
    kind: Any = type(queue)
    return _overridden(kind, names)


@cache
def _overridden(kind: Any, names: tuple[str, ...]) -> str:
    # By the class that has the method, because tracing tools replace methods of RQ's own classes.
    for name in names:
        owner = next((each for each in kind.__mro__ if name in vars(each)), None)
        if owner is not None and owner.__module__.partition(".")[0] not in _LIBRARIES:
            return f"{owner.__module__}.{owner.__qualname__}.{name}"
    return ""
