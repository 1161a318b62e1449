"""What all RQ jobs of one definition have in common, made once by RQ itself.

Between two jobs of the same definition only the id and two times differ. So RQ's own queue and job
classes make one job of each definition, and its hash is kept in the form that the dispatch script
takes; a run adds the id and the times. That is several times as fast as a job object for each run,
and custom queues, job classes and serializers still work.

Definitions mostly differ in few fields only. All others are `SharedJobFields`, which are sent once
in a batch, however many schedules share them.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

from rq import Queue
from rq.job import Job

from ..schedule.definition import FUNCTION_FIELDS
from ..schedule.record import Record
from ..schedule.rq_options import CALLBACKS, make_callback
from ..schedule.texts import lossy_text
from ..store.rq_queues import overridden
from ..story.in_flight import SCHEDULE, terms
from .protocol import JOB_TIMES, SharedJobFields, text

_IDS_AT_ONCE = 50  # a system call for each id would cost more than the id
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
_COMMON_OPTIONS = ("job_timeout", "result_ttl", "ttl", "failure_ttl", "at_front")
_SPECIAL_OPTIONS = ("meta", "webhooks", "retry", *CALLBACKS, "description")
_VARIABLE = ("data", "description", "meta")


class JobTemplate:
    """What RQ jobs have in common, ready to be stamped with ids and the values of each."""

    __slots__ = ("custom", "queue", "runs_here", "shared", "values_count")

    def __init__(
        self, queue: Queue, custom: str, shared: SharedJobFields, values_count: int
    ) -> None:
        self.queue = queue
        self.runs_here = not queue.is_async
        """Whether they run in this process."""
        self.custom = custom
        """The method of the queue's own class that enqueues them; empty if the script does."""
        self.shared = shared
        self.values_count = values_count


class Templates:
    """The templates of a pass, and all shared fields that are known."""

    def __init__(self) -> None:
        self._shared: dict[tuple[Any, ...], SharedJobFields] = {}  # by their content
        # By what jobs are made of but for arguments, and with each one of its jobs.
        self._known: dict[tuple[Any, ...] | None, tuple[JobTemplate, Job]] = {}

    def begin_pass(self) -> None:
        """Forget imported functions and queues."""
        self._known.clear()

    def prepare(
        self, schedule: Record, queue: Queue, *, importable: bool = True
    ) -> tuple[JobTemplate, bytes]:
        """The template of a schedule's jobs, and the values that are its own, packed.

        Letting RQ make a job takes as long as the rest of a first run, so it is only asked if the
        job differs from a known one in more than its arguments. Raises whatever user code raises:
        modules on import, job classes, serializers.
        """
        kind = _kind(schedule, queue)
        known = self._known.get(kind)
        if known is not None:
            template, job = known
            job.args, job.kwargs = schedule.args, schedule.kwargs
            data, description = zlib.compress(job.data), job.get_call_string() or ""
            return template, text(data) + text(description)
        if importable:
            schedule.import_functions(FUNCTION_FIELDS)  # no worker could run it if this fails
        custom = overridden(queue) if queue.is_async else ""
        if custom:
            shared, values = self._split(schedule, queue, queue.job_class.key_for(""), 0, {})
            return JobTemplate(queue, custom, shared, len(values)), _packed(values)
        job = create_job(schedule, queue, importable=importable)
        # A time to live is for the time in the queue.
        ttl = max(0, job.ttl or 0) if queue.is_async else 0
        # RQ writes the status once more before the hash, which changes nothing.
        shared, values = self._split(schedule, queue, job.key_for(""), ttl, job.to_dict())
        template = JobTemplate(queue, custom, shared, len(values))
        if kind is not None:
            self._known[kind] = template, job
        return template, _packed(values)

    def _split(
        self,
        schedule: Record,
        queue: Queue,
        prefix: str | bytes,
        ttl: int,
        fields: dict[str, Any],
    ) -> tuple[SharedJobFields, list[Any]]:
        """What a job with these fields shares with others, and its values of the variable ones."""
        values = {name: fields.pop(name) for name in _VARIABLE if name in fields}
        for name in JOB_TIMES:
            fields.pop(name, None)
        push = queue.key if queue.is_async else ""
        at_front = bool(schedule.job_options.get("at_front"))
        target = (prefix, ttl, push, queue.redis_queues_keys, at_front)
        entry = terms_of(SCHEDULE, schedule, queue)
        key = (*target, *values, entry, schedule.queue_name, *fields.items())
        shared = self._shared.get(key)
        if shared is None:
            pairs = [(name, _as_bytes(value)) for name, value in fields.items()]
            shared = self._shared[key] = SharedJobFields(
                *target, list(values), entry, schedule.queue_name, pairs
            )
        return shared, list(values.values())


def terms_of(cause: str, schedule: Record, queue: Queue) -> str:
    """The terms on which a job of the schedule in this queue is in flight."""
    retry = schedule.job_options.get("retry")
    prefix = lossy_text(queue.job_class.redis_job_namespace_prefix)
    return terms(cause, prefix, retry.max if retry else 0, schedule.max_runtime)


def _kind(schedule: Record, queue: Queue) -> tuple[Any, ...] | None:
    """All that a job depends on but its arguments; None: RQ has to make each one."""
    options = schedule.job_options
    if queue.job_class is not Job or any(map(options.get, _SPECIAL_OPTIONS)):
        return None
    limit = schedule.max_runtime
    return (id(queue), schedule.func_name, limit, *map(options.get, _COMMON_OPTIONS))


def _packed(values: Iterable[Any]) -> bytes:
    return b"".join([text(_as_bytes(value)) for value in values])


def new_job_ids() -> Iterator[str]:
    """Ids as RQ itself makes them, without end: random UUIDs, of version 4 by RFC 9562."""
    while True:
        digits = os.urandom(16 * _IDS_AT_ONCE).hex()
        for start in range(0, 32 * _IDS_AT_ONCE, 32):
            d = digits[start : start + 32]
            yield f"{d[:8]}-{d[8:12]}-4{d[13:16]}-{_VARIANT[d[16]]}{d[17:20]}-{d[20:]}"


def create_job(
    schedule: Record, queue: Queue, job_id: str | None = None, *, importable: bool = True
) -> Job:
    """One RQ job of the schedule, not yet enqueued; arguments go to the function as they are.

    With `importable`, its callbacks are imported: it raises if no worker could import them.
    """
    options = rq_options(schedule, importable=importable)
    options["timeout"] = options.pop("job_timeout", None)
    return queue.create_job(
        schedule.func_name, args=schedule.args, kwargs=schedule.kwargs, job_id=job_id, **options
    )


def rq_options(schedule: Record, *, importable: bool = True) -> dict[str, Any]:
    """The options of a schedule's jobs as RQ's `enqueue` takes them, without `at_front`."""
    options: dict[str, Any] = {
        name: value for name, value in schedule.job_options.items() if value is not None
    }
    options.pop("at_front", None)
    for name in CALLBACKS:
        if name in options:
            options[name] = make_callback(options[name], name, importable=importable)
    return options


def _as_bytes(value: Any) -> bytes:
    """Bytes as redis-py would send them."""
    if isinstance(value, bytes):
        return value
    return str(value.value if isinstance(value, Enum) else value).encode()
