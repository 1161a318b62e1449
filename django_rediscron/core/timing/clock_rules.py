"""Wall times and instants, and when the clocks of a zone change, as this process knows it.

Processes may differ in their time zone databases, and in their local zones, a zone of None here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from hashlib import sha1

from ..exceptions import InvalidScheduleError
from .zones import UTC, find_zone

VERSION = 1
"""Of our own rules. Raise it if the same expression comes to mean other times."""

LOCAL, LOCAL_NAME = "local", "local name"
"""Fields beside those of zones: the local zone, and its name, if it has one."""

_BEGIN, _END = 1577836800, 2524608000  # 2020 to 2050
_WEEK = 7 * 86400


def rules_of(timezone: str) -> Mapping[str, str]:
    """Fields with the rules of a zone ("" for the local one) as this process knows them.

    The first field identifies them. Raises `InvalidScheduleError` for an unknown zone.
    """
    return _rules_of(timezone, (os.environ.get("TZ"), *time.tzname))


def rules_pairs(timezone: str) -> list[str]:
    """The same as a list for scripts."""
    return [text for pair in rules_of(timezone).items() for text in pair]


@lru_cache(maxsize=512)
def _rules_of(timezone: str, local: object) -> Mapping[str, str]:
    """`local` is part of the cache key, because the local zone may change."""
    if timezone:
        return {timezone: _digest(find_zone(timezone))}
    return {LOCAL: _digest(None), LOCAL_NAME: _local_name()}


def _digest(zone: tzinfo | None) -> str:
    """All changes of the clocks in thirty years."""
    seconds = [_BEGIN, *transitions(_BEGIN, _END, zone, step=_WEEK)]
    told = ";".join(f"{each} {offset(each, zone).total_seconds():.0f}" for each in seconds)
    return f"{VERSION} {sha1(told.encode()).hexdigest()[:16]}"


def _local_name() -> str:
    """The IANA name of the local zone; "" if it has none."""
    place = os.environ.get("TZ", "").removeprefix(":") or os.path.realpath("/etc/localtime")
    name = place.rpartition("zoneinfo/")[2]
    try:
        return name if _digest(find_zone(name)) == _digest(None) else ""
    except InvalidScheduleError:
        return ""


def wall_time(instant: int, zone: tzinfo | None) -> datetime:
    """The naive wall time at an instant; `fold` is 1 in the second pass of a repeated hour."""
    return datetime.fromtimestamp(instant, zone).replace(tzinfo=None)


def instants(wall: datetime, zone: tzinfo | None) -> tuple[int, int]:
    """The instants of a wall time: equal, or rising if it is repeated, or falling if skipped."""
    aware = wall.replace(tzinfo=zone)
    return int(aware.replace(fold=0).timestamp()), int(aware.replace(fold=1).timestamp())


def find_transition(low: int, high: int, zone: tzinfo | None) -> int:
    """The first second of (low, high] with high's UTC offset; low has another one."""
    after = offset(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if offset(middle, zone) == after:
            high = middle
        else:
            low = middle
    return high


def transitions(low: int, high: int, zone: tzinfo | None, *, step: int = 86400) -> list[int]:
    """The first seconds, in (low, high], of all changes of the UTC offset, one in each step."""
    found = []
    before = offset(low, zone)
    while low < high:
        end = min(high, low + step)
        after = offset(end, zone)
        if before != after:
            found.append(find_transition(low, end, zone))
        low, before = end, after
    return found


def known_transitions(low: int, high: int, zone: tzinfo | None) -> list[int]:
    """The same, cached by year."""
    years, local = range(year_of(low), year_of(high) + 1), time.tzname
    found = (transition for year in years for transition in _transitions_of(year, zone, local))
    return [transition for transition in found if low < transition <= high]


@lru_cache(maxsize=1024)
def _transitions_of(year: int, zone: tzinfo | None, local: tuple[str, str]) -> list[int]:
    begin, end = (int(datetime(each, 1, 1, tzinfo=UTC).timestamp()) for each in (year, year + 1))
    return transitions(begin - 1, end - 1, zone)


def year_of(instant: int) -> int:
    return datetime.fromtimestamp(instant, UTC).year


def offset(instant: int, zone: tzinfo | None) -> timedelta:
    """By how much the wall clock is ahead of UTC."""
    if zone is None:
        return timedelta(seconds=time.localtime(instant).tm_gmtoff)
    return datetime.fromtimestamp(instant, zone).utcoffset() or timedelta()
