"""Projects that share one Redis: one scheduler leads, and enqueues what all of them declare.

A run by hand in any of them does the same. A project can import neither the functions nor the queue
settings of the others. RQ's worker only needs the name of a function; what a job takes from its
queue is published at each sync.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import DefaultSerializer, JSONSerializer

from ..exceptions import InvalidScheduleError, UnknownQueueError
from ..quoting import quoted
from ..schedule.record import Record
from ..store.keys import APPLICATIONS
from ..store.rq_queues import get_queue, overridden, plain_queue
from ..timing.zones import find_zone

REMEDY = (
    "give one of the two projects a Redis database or an RQ_KEY_PREFIX of its own, or this one the "
    "same queue in its settings"
)


def own_application() -> str | None:
    """The application of this process; None without a project."""
    return _own()


def use_application(name: Callable[[], str | None]) -> None:
    """Make `name()` the application of this process. The Django app installs its setting."""
    global _own  # noqa: PLW0603 - one setting of the process
    _own = name


def _own() -> str | None:
    return None


def publish(application: str, queues: Iterable[Queue], zone: str | None, connection: Redis) -> None:
    """Tell other applications how the queues of this one are made, and its local time zone.

    `connection` is one that returns bytes.
    """
    facts: dict[str, Any] = {"queues": {queue.name: describe(queue) for queue in queues}}
    with suppress(InvalidScheduleError):  # TZ may hold a rule instead of a name
        facts["zone"] = zone and find_zone(zone).key
    text = json.dumps(facts, sort_keys=True).encode()
    if connection.hget(APPLICATIONS, application) != text:
        connection.hset(APPLICATIONS, application, text)


def describe(queue: Queue) -> dict[str, Any]:
    """What a job takes from its queue, if it differs from that of a plain RQ queue.

    `special` says why no other application can enqueue there.
    """
    found: dict[str, Any] = {}
    plain = plain_queue(queue.name, queue.connection)
    timeout = queue.create_job("builtins.print").timeout
    if timeout != plain.create_job("builtins.print").timeout:
        found["timeout"] = timeout
    if queue.serializer is JSONSerializer:
        found["serializer"] = "json"
    special = _special(queue, plain)
    return {**found, "special": special} if special else found


def _special(queue: Queue, plain: Queue) -> str:
    if not queue.is_async:
        return "runs its jobs at once (ASYNC: False)"
    method = overridden(queue)
    if method:
        return f"has a class of its own ({method})"
    if queue.serializer not in (DefaultSerializer, JSONSerializer):
        name = getattr(queue.serializer, "__qualname__", type(queue.serializer).__qualname__)
        return f"has a serializer of its own ({queue.serializer.__module__}.{name})"
    if (queue.key, queue.job_class.key_for("")) != (plain.key, Job.key_for("")):
        return "has keys of its own"
    return ""


class Applications:
    """What other applications published, as a leader needs it to enqueue their schedules.

    `own`: the application of this process; None: all schedules count as its own.
    """

    def __init__(self, own: str | None, connection: Redis) -> None:
        self.own = own
        self._connection = connection
        self._texts: dict[str, Any] = {}
        self._facts: dict[str, Any] = {}
        self._queues: dict[tuple[str | None, str], Queue] = {}

    def begin_pass(self) -> bool:
        """Forget queues, because tests change settings between passes.

        Returns whether others have published something new since the last pass.
        """
        self._queues.clear()
        if not self._texts:
            return False
        texts = self._connection.hmget(APPLICATIONS, list(self._texts))
        if texts == list(self._texts.values()):
            return False
        self._texts.clear()
        self._facts.clear()
        return True

    def own_queue(self, name: str) -> Queue:
        """A queue by the settings of this process."""
        key = None, name
        if key not in self._queues:
            self._queues[key] = get_queue(name, self._connection)
        return self._queues[key]

    def target(self, job: Record) -> tuple[Queue, bool]:
        """The queue of a schedule, and whether this process can import its functions.

        Raises `InvalidScheduleError` if this process does not know the queue of its application.
        """
        facts = self._facts_for(job)
        if facts is None:
            return self.own_queue(job.queue_name), True
        of_queue = facts["queues"].get(job.queue_name)
        if of_queue is None:
            raise UnknownQueueError(self._refusal(job, "is not in its RQ_QUEUES on this Redis"))
        if "special" in of_queue:
            return self._same_queue(job, of_queue), True
        key = job.application, job.queue_name
        if key not in self._queues:
            self._queues[key] = Queue(
                job.queue_name,
                connection=self._connection,
                default_timeout=of_queue.get("timeout"),
                serializer=JSONSerializer if of_queue.get("serializer") == "json" else None,
            )
        return self._queues[key], False

    def set_zone(self, job: Record) -> None:
        """Read a cron expression without a zone in the local time of its application."""
        facts = self._facts_for(job)
        if facts is not None and facts.get("zone") and not job.timezone:
            job.local_zone = find_zone(facts["zone"])

    def explain(self, job: Record, reason: str) -> str:
        """Why a schedule cannot be enqueued, and also if its application is unknown."""
        if not self._is_of_another(job) or self._facts_for(job) is not None:
            return reason
        whose = quoted(job.application)
        return (
            f"{reason}. It is declared by application {whose}, of which {quoted(self.own)} knows "
            f"nothing: run `manage.py rqrcron_sync` of {whose}, so that it knows how to enqueue it"
        )

    def _same_queue(self, job: Record, of_queue: dict[str, Any]) -> Queue:
        try:
            queue = self.own_queue(job.queue_name)
            if describe(queue) == of_queue:
                return queue
        except InvalidScheduleError:
            pass
        raise InvalidScheduleError(self._refusal(job, of_queue["special"]))

    def _refusal(self, job: Record, reason: str) -> str:
        whose, queue_name = quoted(job.application), quoted(job.queue_name)
        return (
            f"application {quoted(self.own)} cannot enqueue what application {whose} declares for "
            f"queue {queue_name}, which {reason}; {REMEDY}"
        )

    def _is_of_another(self, job: Record) -> bool:
        return bool(self.own and job.application) and job.application != self.own

    def _facts_for(self, job: Record) -> dict[str, Any] | None:
        """What its application has published; None if it is ours, or has published nothing."""
        if not self._is_of_another(job):
            return None
        name = job.application or ""
        if name not in self._texts:
            (self._texts[name],) = self._connection.hmget(APPLICATIONS, [name])
            self._facts[name] = _load(self._texts[name])
        facts: dict[str, Any] | None = self._facts[name]
        return facts


def _load(text: bytes | None) -> dict[str, Any] | None:
    """None for anything that we would not have written."""
    try:
        facts = json.loads(text or b"")
        good = all(isinstance(each, dict) for each in (facts, facts["queues"]))
        return facts if good and all(map(_is_fact, facts["queues"].values())) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _is_fact(of_queue: Any) -> bool:
    return isinstance(of_queue, dict) and isinstance(of_queue.get("timeout", 0), int)
