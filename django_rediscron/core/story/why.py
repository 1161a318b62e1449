"""Why did it not run? The answer for one time of a schedule, from all that is on record."""

from __future__ import annotations

from datetime import datetime

from redis import Redis

from .verdicts import Answer

__all__ = ["Answer", "why"]


def why(id: str, time: datetime | str | None, connection: Redis) -> list[Answer]:
    """What happened at a time of a schedule, and why; also of one that was deleted.

    `time`: an aware datetime; or ISO 8601 text, or a time of day such as `03:00`, which is the
    latest such time. Texts without a zone are in that of the schedule. There is one answer; two for
    a wall time that the clocks repeated, if both mean something. Without a time: the latest
    occurrence and the next.

    Raises `InvalidScheduleError` (a `ValueError`) for what is no time, and `NoSuchJobError` if
    nothing is on record under this id.
    """
    raise NotImplementedError
