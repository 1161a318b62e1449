"""Recurring RQ jobs that live in Redis: all that needs no Django."""

from .current import Occurrence, current_occurrence
from .exceptions import (
    DamagedScheduleError,
    InvalidScheduleError,
    LeadershipLostError,
    NoSuchJobError,
    ScheduleChangedError,
    ScheduleLockedError,
    SchedulerLockedError,
    UnknownQueueError,
    UnreadableScheduleError,
)
from .job import RedisCronJob
from .options import ScheduleOptions
from .scheduler import RedisCronScheduler

__all__ = [
    "DamagedScheduleError",
    "InvalidScheduleError",
    "LeadershipLostError",
    "NoSuchJobError",
    "Occurrence",
    "RedisCronJob",
    "RedisCronScheduler",
    "ScheduleChangedError",
    "ScheduleLockedError",
    "ScheduleOptions",
    "SchedulerLockedError",
    "UnknownQueueError",
    "UnreadableScheduleError",
    "current_occurrence",
]
