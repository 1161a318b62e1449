"""The scheduler of a Django project: its Redis and its queues are those of `RQ_QUEUES`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .conf import conf
from .core import RedisCronJob, RedisCronScheduler
from .core.schedule.options import ScheduleOptions
from .core.timing.durations import Duration
from .queues import default_result_ttl, get_connection

if TYPE_CHECKING:
    from typing_extensions import Unpack


def get_scheduler(queue: str | None = None, **options: Any) -> DjangoRedisCronScheduler:
    """A scheduler on the Redis of a queue, by default of `REDISCRON["QUEUE"]`.

    `options` are those of `RedisCronScheduler`; `lock_ttl` and `max_sleep_interval` default to the
    settings. Raises `UnknownQueueError` where `RQ_QUEUES` has no such queue. No Redis is touched.
    """
    options.setdefault("lock_ttl", conf.LOCK_TTL)
    options.setdefault("max_sleep_interval", conf.MAX_SLEEP_INTERVAL)
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
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        interval: Duration | None = None,
        cron: str | None = None,
        job_timeout: Duration | None = None,
        result_ttl: Duration | None = None,
        ttl: Duration | None = None,
        failure_ttl: Duration | None = None,
        meta: dict[str, Any] | None = None,
        enabled: bool | None = None,
        *,
        webhooks: Sequence[Any] | None = None,
        name: str = "",
        **options: Unpack[ScheduleOptions],
    ) -> RedisCronJob:
        """Create the schedule `id`, or edit it, as `RedisCronScheduler.register` does.

        `result_ttl` defaults to the queue's `DEFAULT_RESULT_TTL`. Raises `UnknownQueueError` where
        the queue is not in `RQ_QUEUES`, or lives on another Redis than this scheduler.
        """
        return super().register(
            func,
            queue_name,
            id,
            args=args,
            kwargs=kwargs,
            interval=interval,
            cron=cron,
            job_timeout=job_timeout,
            result_ttl=default_result_ttl(queue_name) if result_ttl is None else result_ttl,
            ttl=ttl,
            failure_ttl=failure_ttl,
            meta=meta,
            enabled=enabled,
            webhooks=webhooks,
            name=name,
            **options,
        )
