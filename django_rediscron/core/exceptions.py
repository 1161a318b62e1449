"""What can go wrong, and what to do about it."""

from __future__ import annotations

from rq.exceptions import NoSuchJobError

from .quoting import quoted, quoted_id

__all__ = [
    "DamagedScheduleError",
    "InvalidScheduleError",
    "LeadershipLostError",
    "NoSuchJobError",
    "ScheduleChangedError",
    "ScheduleLockedError",
    "SchedulerLockedError",
    "UnknownQueueError",
    "UnreadableScheduleError",
    "UnsuitableServerError",
]


class InvalidScheduleError(ValueError):
    """A schedule was refused before anything was written; the text names the value and a remedy."""


class ScheduleLockedError(InvalidScheduleError):
    """The schedule is declared and locked by code: change it there. The text says where."""


class UnknownQueueError(InvalidScheduleError):
    """The schedule names a queue that does not exist, or that lives on another Redis."""


class DamagedScheduleError(Exception):
    """The data stored under the key of this schedule cannot be read.

    Register the schedule again, or delete it.
    """

    def __init__(self, job_id: str, reason: str) -> None:
        self.job_id = job_id
        self.reason = reason
        super().__init__(self._told())

    def _told(self) -> str:
        id = quoted_id(self.job_id)
        return f"schedule {id} is damaged: {self.reason}; register it again or delete it"


class UnreadableScheduleError(DamagedScheduleError):
    """Redis refused to read the schedule: a permission is missing, or the server is misconfigured.

    The schedule itself may be all right. The reason contains the error of Redis.
    """

    def _told(self) -> str:
        return (
            f"schedule {quoted_id(self.job_id)} cannot be read: {self.reason}; leave it as it is, "
            f"and check the permissions of this Redis user and the server's configuration"
        )


class ScheduleChangedError(Exception):
    """The schedule was changed since the version was read that `save` was to replace.

    Nothing was written. Load it again and repeat the change.
    """


class SchedulerLockedError(RuntimeError):
    """Another scheduler holds the lock.

    `holder` is its name, `expires_in` the seconds until the lock expires unless it is extended
    (None if it cannot expire).
    """

    def __init__(self, holder: str, expires_in: float | None) -> None:
        life = "has no expiry" if expires_in is None else f"expires in {expires_in:.1f} s"
        super().__init__(
            f"another scheduler is running: {quoted(holder)} holds the lock, which {life} "
            f"unless extended"
        )
        self.holder = holder
        self.expires_in = expires_in


class UnsuitableServerError(RuntimeError):
    """The server cannot do what schedules need; the text says what is missing, and what to do."""


class LeadershipLostError(SchedulerLockedError):
    """Another scheduler took the lock from this one while it ran.

    The process should end with a status that makes a supervisor restart it.
    """
