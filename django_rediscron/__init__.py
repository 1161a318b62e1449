"""Recurring RQ jobs that live in Redis and can be edited while the scheduler runs.

This package imports without Django and without settings; `register` and `get_scheduler`, which
belong to its Django app, are imported when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .core import (
    ALARMS,
    PROGRESS,
    Answer,
    DamagedScheduleError,
    DeletedSchedule,
    InvalidScheduleError,
    LeadershipLostError,
    LoggedChange,
    NoSuchJobError,
    Notification,
    Occurrence,
    Outcomes,
    Receiver,
    RedisCronJob,
    RedisCronScheduler,
    Reign,
    Run,
    ScheduleArguments,
    ScheduleChangedError,
    ScheduleLockedError,
    ScheduleOptions,
    SchedulerLockedError,
    Skip,
    UnknownQueueError,
    UnreadableScheduleError,
    acting_as,
    current_occurrence,
    read_changes,
    read_deleted,
    read_reigns,
    revert,
    why,
)

if TYPE_CHECKING:
    from .schedulers import get_scheduler as get_scheduler
    from .sync.declarations import register as register

__all__ = [
    "ALARMS",
    "PROGRESS",
    "Answer",
    "DamagedScheduleError",
    "DeletedSchedule",
    "InvalidScheduleError",
    "LeadershipLostError",
    "LoggedChange",
    "NoSuchJobError",
    "Notification",
    "Occurrence",
    "Outcomes",
    "Receiver",
    "RedisCronJob",
    "RedisCronScheduler",
    "Reign",
    "Run",
    "ScheduleArguments",
    "ScheduleChangedError",
    "ScheduleLockedError",
    "ScheduleOptions",
    "SchedulerLockedError",
    "Skip",
    "UnknownQueueError",
    "UnreadableScheduleError",
    "__version__",
    "acting_as",
    "current_occurrence",
    "read_changes",
    "read_deleted",
    "read_reigns",
    "revert",
    "why",
]

_NEEDS_DJANGO = {"register": "sync.declarations", "get_scheduler": "schedulers"}


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_DJANGO:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEEDS_DJANGO[name]}"), name)
