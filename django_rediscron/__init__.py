"""Recurring RQ jobs that live in Redis and can be edited while the scheduler runs.

This package imports without Django and without settings; `register` and `get_scheduler`, which
belong to its Django app, and most other names are imported when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import core
from ._version import __version__
from .core.lazy import lazy_names

if TYPE_CHECKING:
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
        Pause,
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
        pause,
        read_changes,
        read_deleted,
        read_past_pauses,
        read_pauses,
        read_reigns,
        resume,
        revert,
        why,
    )
    from .schedulers import get_scheduler as get_scheduler
    from .sync.declarations import register as register
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "core": core.__all__,
            "schedulers": ("get_scheduler",),
            "sync.declarations": ("register",),
        },
    )

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
    "Pause",
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
    "pause",
    "read_changes",
    "read_deleted",
    "read_past_pauses",
    "read_pauses",
    "read_reigns",
    "resume",
    "revert",
    "why",
]
