"""What the clocks of a zone do, as this process has it: the rules that cron times follow.

Processes differ in it: in their local zone, and in the time zone database that they have.
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
"""Of our own rules. To be raised where the same expression comes to mean other times."""

LOCAL, LOCAL_NAME = "local", "local name"
"""Names beside those of zones: the local zone, and the name that it has, if it has one."""

_BEGIN, _END = 1577836800, 2524608000  # 2020 to 2050
_WEEK = 7 * 86400


def rules_of(timezone: str) -> Mapping[str, str]:
    """Fields that say what the clocks of a zone do ("" for the local one) as this process has it.

    The first one tells it from others. Raises `InvalidScheduleError` for an unknown zone.
    """
    return _rules_of(timezone, (os.environ.get("TZ"), *time.tzname))


def rules_pairs(timezone: str) -> list[str]:
    """The same as scripts take them."""
    return [text for pair in rules_of(timezone).items() for text in pair]


@lru_cache(maxsize=512)
def _rules_of(timezone: str, local: object) -> Mapping[str, str]:
    """`local` tells the local zone of one moment from that of another."""
    if timezone:
        return {timezone: _digest(find_zone(timezone))}
    return {LOCAL: _digest(None), LOCAL_NAME: _local_name()}


def _digest(zone: tzinfo | None) -> str:
    """All changes of the clocks in thirty years."""
    seconds = [_BEGIN, *transitions(_BEGIN, _END, zone, step=_WEEK)]
    told = ";".join(f"{each} {offset(each, zone).total_seconds():.0f}" for each in seconds)
    return f"{VERSION} {sha1(told.encode()).hexdigest()[:16]}"


def _local_name() -> str:
    """The IANA name of the local zone; "" where it has none."""
    place = os.environ.get("TZ", "").removeprefix(":") or os.path.realpath("/etc/localtime")
    name = place.rpartition("zoneinfo/")[2]
    try:
        return name if _digest(find_zone(name)) == _digest(None) else ""
    except InvalidScheduleError:
        return ""
