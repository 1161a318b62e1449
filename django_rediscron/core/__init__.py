"""Recurring RQ jobs that live in Redis: all that needs no Django."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from .job import RedisCronJob  # first, because the store makes objects of this class
from .lazy import lazy_names
from .schedule.missed import Skip
from .schedule.options import ScheduleArguments, ScheduleOptions
from .store.actors import acting_as

if TYPE_CHECKING:
    from .notifying.notification import ALARMS, PROGRESS, Notification
    from .notifying.receivers import Receiver
    from .scheduler import RedisCronScheduler
    from .store.pauses import Pause, pause, read_past_pauses, read_pauses, resume
    from .story.changes import LoggedChange, read_changes
    from .story.gone import DeletedSchedule, read_deleted
    from .story.occurrence import Occurrence, current_occurrence
    from .story.outcomes import Outcomes
    from .story.reigns import Reign, read_reigns
    from .story.reverting import revert
    from .story.runs import Run
    from .story.why import Answer, why
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "notifying.notification": ("ALARMS", "PROGRESS", "Notification"),
            "notifying.receivers": ("Receiver",),
            "scheduler": ("RedisCronScheduler",),
            "store.pauses": ("Pause", "pause", "read_past_pauses", "read_pauses", "resume"),
            "story.changes": ("LoggedChange", "read_changes"),
            "story.gone": ("DeletedSchedule", "read_deleted"),
            "story.occurrence": ("Occurrence", "current_occurrence"),
            "story.outcomes": ("Outcomes",),
            "story.reigns": ("Reign", "read_reigns"),
            "story.reverting": ("revert",),
            "story.runs": ("Run",),
            "story.why": ("Answer", "why"),
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
