"""Recurring RQ jobs that live in Redis: all that needs no Django."""

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
from .notifying.notification import ALARMS, PROGRESS, Notification
from .notifying.receivers import Receiver
from .schedule.missed import Skip
from .schedule.options import ScheduleArguments, ScheduleOptions
from .scheduler import RedisCronScheduler
from .store.actors import acting_as
from .story.changes import LoggedChange, read_changes
from .story.gone import DeletedSchedule, read_deleted
from .story.occurrence import Occurrence, current_occurrence
from .story.outcomes import Outcomes
from .story.reigns import Reign, read_reigns
from .story.reverting import revert
from .story.runs import Run
from .story.why import Answer, why

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
    "acting_as",
    "current_occurrence",
    "read_changes",
    "read_deleted",
    "read_reigns",
    "revert",
    "why",
]
