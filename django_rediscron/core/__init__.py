"""Recurring RQ jobs that live in Redis: all that needs no Django."""

from .exceptions import (
    DamagedScheduleError,
    InvalidScheduleError,
    LeadershipLostError,
    NoSuchJobError,
    ScheduleChangedError,
    SchedulerLockedError,
    UnknownQueueError,
)
from .job import RedisCronJob
from .scheduler import RedisCronScheduler

__all__ = [
    "DamagedScheduleError",
    "InvalidScheduleError",
    "LeadershipLostError",
    "NoSuchJobError",
    "RedisCronJob",
    "RedisCronScheduler",
    "ScheduleChangedError",
    "SchedulerLockedError",
    "UnknownQueueError",
]
