"""When the clocks of a zone change, as this process knows it: the rules that cron times follow.

Processes may differ in their local zones and in their time zone databases.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import tzinfo
from functools import lru_cache
from hashlib import sha1

from ..exceptions import InvalidScheduleError
from .cron_times import offset, transitions
from .zones import find_zone

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
