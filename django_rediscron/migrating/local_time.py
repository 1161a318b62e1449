"""Local time as a process elsewhere has it: other systems read times in that of their process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from ..core.timing.portable import zone_name
from ..core.timing.zones import find_zone
from .found import CannotReadError, Times


def local_zone(timezone: str | None) -> str:
    """The IANA name of the local zone of the other system: the given one, or ours.

    Raises `CannotReadError` if ours has no name, and `InvalidScheduleError` for an unknown zone.
    """
    name = zone_name(timezone)
    if name is None:
        raise CannotReadError(
            "the local time zone of this process has no name; give that of the process that ran "
            "the schedules with --timezone"
        )
    find_zone(name)
    return name


@contextmanager
def in_zone(name: str) -> Iterator[None]:
    """Let this zone be the local one of this process."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def times_in_zone(times: Times, name: str) -> Times:
    """The same times, computed while this zone is the local one."""

    def computed(after: datetime, count: int) -> list[datetime]:
        with in_zone(name):  # some know their offset only now
            return [time.astimezone(timezone.utc) for time in times(after, count)]

    return computed
