"""The scheduler of a Django project: its Redis and its queues are those of `RQ_QUEUES`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .conf import conf
from .core.job import RedisCronJob
from .core.schedule.options import ScheduleArguments, by_name
from .core.scheduler import RedisCronScheduler
from .notify import receivers
from .queues import default_result_ttl, get_connection

if TYPE_CHECKING:
    from typing_extensions import Unpack


def get_scheduler(queue: str | None = None, **options: Any) -> DjangoRedisCronScheduler:
    """A scheduler on the Redis of a queue, by default of `REDISCRON["QUEUE"]`.

    `options` are those of `RedisCronScheduler`; `lock_ttl`, `max_sleep_interval`, `keep_runs`
    and `late_after` default to the settings, `receivers` to those in `NOTIFY` and to the signals.
    Raises `UnknownQueueError` if `RQ_QUEUES` has no such queue. Redis is not touched.
    """
    options.setdefault("lock_ttl", conf.LOCK_TTL)
    options.setdefault("max_sleep_interval", conf.MAX_SLEEP_INTERVAL)
    options.setdefault("keep_runs", conf.KEEP_RUNS)
    options.setdefault("receivers", receivers)
    options.setdefault("late_after", conf.LATE_AFTER)
    connection = get_connection(conf.QUEUE if queue is None else queue)
    return DjangoRedisCronScheduler(connection, **options)


class DjangoRedisCronScheduler(RedisCronScheduler):
    """A `RedisCronScheduler` whose schedules keep results as long as their queue says."""

    @property
    def application(self) -> str:  # type: ignore[override]
        """The setting APPLICATION."""
        return conf.APPLICATION

    def register(  # type: ignore[override]
        self,
        func: Callable[..., Any] | str,
        queue_name: str,
        id: str = "",
        *positional: Any,
        **arguments: Unpack[ScheduleArguments],
    ) -> RedisCronJob:
        """Create the schedule `id`, or edit it, as `RedisCronScheduler.register` does.

        `result_ttl` defaults to the queue's `DEFAULT_RESULT_TTL`. Raises `UnknownQueueError` if
        the queue is not in `RQ_QUEUES`, or lives on another Redis than this scheduler.
        """
        arguments = by_name(positional, arguments)
        if arguments.get("result_ttl") is None:
            arguments["result_ttl"] = default_result_ttl(queue_name)
        return super().register(func, queue_name, id, **arguments)
