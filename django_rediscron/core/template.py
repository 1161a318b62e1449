"""What all RQ jobs of one definition have in common, made once by RQ itself.

Between two jobs of the same definition only the id and two times differ. So RQ's own queue and job
classes make one job of each definition, and its hash is kept in the form that the dispatch script
takes; a run adds the id and the times. That is several times as fast as a job object for each run,
and custom queues, job classes and serializers are honoured all the same.

Definitions mostly differ in few fields only. The rest is their job's shape, which is sent once in a
batch, however many schedules share it.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import Enum
from typing import Any

from rq import Queue
from rq.job import Job

from . import msgpack
from .job import RedisCronJob
from .timing import utc_text

_TIMES = ("created_at", "enqueued_at")
_VARIABLE = ("data", "description", "meta")


class Shape:
    """Where jobs go and the fields that many definitions share, ready for the dispatch script."""

    __slots__ = ("_constant", "_count", "_head")

    def __init__(self, head: bytes, count: int, constant: list[bytes]) -> None:
        self._head = head
        self._count = count  # of fields and values together
        self._constant = b"".join(constant)

    def pack(self, times: bytes) -> bytes:
        return b"".join((self._head, msgpack.head(self._count), self._constant, times))


class JobTemplate:
    """A definition's RQ job, ready to be stamped with an id.

    `shapes` holds the shapes that are known, by their content. Raises whatever user code raises:
    modules on import, job classes, serializers.
    """

    __slots__ = ("queue", "shape", "values", "values_count")

    def __init__(
        self, schedule: RedisCronJob, queue: Queue, shapes: dict[tuple[bytes, ...], Shape]
    ) -> None:
        schedule.func  # noqa: B018 - a job that no worker could run is not worth a queue entry
        self.queue = queue
        job = create_job(schedule, queue)
        fields = {name: _plain(value) for name, value in job.to_dict().items()}
        names = [name for name in _VARIABLE if name in fields]
        self.values = b"".join(msgpack.text(fields.pop(name)) for name in names)
        for name in _TIMES:
            fields.pop(name, None)
        head = (
            msgpack.text(_plain(job.key_for(""))),
            msgpack.number(max(0, job.ttl or 0)),
            msgpack.text(queue.key if queue.is_async else ""),
            msgpack.text(queue.redis_queues_keys),
            msgpack.number(len(names)),
        )
        # RQ writes the status once more before the hash, which changes nothing.
        constant = [part for name in names for part in (msgpack.text(name), msgpack.text(""))]
        for name, value in fields.items():
            constant += (msgpack.text(name), msgpack.text(value))
        key = (*head, *constant)
        shape = shapes.get(key)
        if shape is None:
            count = len(constant) + 2 * len(_TIMES)
            shape = Shape(msgpack.head(len(head) + 1) + b"".join(head), count, constant)
            shapes[key] = shape
        self.shape = shape
        self.values_count = len(names)

    def run_here(self, job_id: str) -> None:
        """Run a job of a queue with `ASYNC: False` in this process, as RQ does."""
        queue = self.queue
        job = queue.job_class.fetch(
            job_id, connection=queue.connection, serializer=queue.serializer
        )
        queue.run_sync(job)


def packed_times(moment: datetime) -> bytes:
    """The fields of all jobs that are enqueued at one moment."""
    time = msgpack.text(utc_text(moment))
    return b"".join(part for name in _TIMES for part in (msgpack.text(name), time))


def new_job_id() -> str:
    """An id as RQ itself makes them."""
    return str(uuid.uuid4())


def create_job(schedule: RedisCronJob, queue: Queue) -> Job:
    """One RQ job of the schedule, not yet enqueued; arguments go to the function as they are."""
    options: dict[str, Any] = {
        name: value for name, value in schedule.job_options.items() if value is not None
    }
    options["timeout"] = options.pop("job_timeout", None)
    return queue.create_job(
        schedule.func_name, args=schedule.args, kwargs=schedule.kwargs, **options
    )


def _plain(value: Any) -> bytes:
    """Bytes as redis-py would send them."""
    if isinstance(value, bytes):
        return value
    return str(value.value if isinstance(value, Enum) else value).encode()
