"""Schedules that a project declares in its code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from django.apps import apps

from .core.exceptions import InvalidScheduleError
from .core.job import RedisCronJob
from .core.options import ScheduleOptions
from .core.store import define_many
from .queues import default_result_ttl, get_connection

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Declaration:
    """A declared schedule, and where it is declared."""

    job: RedisCronJob
    application: str | None
    file: str
    line: int

    @property
    def place(self) -> str:
        """For people: file and line, and the application where it is known."""
        where = f"{self.file}:{self.line}"
        return f"{where} (application {self.application!r})" if self.application else where

    def fields(self) -> dict[str, str]:
        """The hash fields that it asks for; `enabled` only where the code says so."""
        fields = self.job.definition()
        if self.job.enabled_given:
            fields["enabled"] = str(int(self.job.enabled))
        return fields


def declarations() -> list[Declaration]:
    """What is declared, in that order."""
    return list(_declared.values())


_declared: dict[str, Declaration] = {}


def register(
    func: Callable[..., Any],
    queue_name: str,
    id: str,
    args: tuple[Any, ...] | None = None,
    kwargs: dict[str, Any] | None = None,
    interval: int | None = None,
    cron: str | None = None,
    job_timeout: int | str | None = None,
    result_ttl: int | None = None,
    ttl: int | None = None,
    failure_ttl: int | None = None,
    meta: dict[str, Any] | None = None,
    enabled: bool | None = None,
    *,
    webhooks: Sequence[Any] | None = None,
    name: str = "",
    **options: Unpack[ScheduleOptions],
) -> RedisCronJob:
    """Declare the schedule `id` in an `AppConfig.ready` hook, or after start-up write it at once.

    What is declared is written to Redis by `manage.py rqcron_scheduler` when it starts, and by
    `manage.py rqrcron_sync`; no other process touches Redis for it. The arguments are those of
    `RedisCronScheduler.register`; `result_ttl` defaults to the queue's `DEFAULT_RESULT_TTL`.

    Raises `InvalidScheduleError` where the schedule could not run, or where another one is declared
    with this id, and `UnknownQueueError` where the queue is not in `RQ_QUEUES`.
    """
    if result_ttl is None:
        result_ttl = default_result_ttl(queue_name)
    job = RedisCronJob(
        id=id,
        queue_name=queue_name,
        func=func,
        args=args,
        kwargs=kwargs,
        interval=interval,
        cron=cron,
        job_timeout=job_timeout,
        result_ttl=result_ttl,
        ttl=ttl,
        failure_ttl=failure_ttl,
        meta=meta,
        enabled=True if enabled is None else enabled,
        webhooks=webhooks,
        name=name,
        **options,
    )
    job.enabled_given = enabled is not None
    # Django sets `ready` when all hooks have run.
    if apps.ready:
        job.connection = get_connection(queue_name)
        define_many([job], job.connection)
    else:
        _declare(job, sys._getframe(1))
    return job


def _declare(job: RedisCronJob, caller: FrameType) -> None:
    """Remember a declaration. The same one again is no error: hooks may run more than once."""
    new = Declaration(
        job=job.snapshot(),
        application=_application(caller.f_globals.get("__name__", "")),
        file=caller.f_code.co_filename,
        line=caller.f_lineno,
    )
    known = _declared.setdefault(job.id, new)
    if known.fields() != new.fields():
        raise InvalidScheduleError(
            f"schedule {job.id!r} is declared twice, differently: at {known.place} and at "
            f"{new.place}; give one of them another id"
        )


def _application(module: str) -> str | None:
    """The label of the application that a module belongs to."""
    if not apps.apps_ready:
        return None
    config = apps.get_containing_app_config(module)
    return config.label if config else None
