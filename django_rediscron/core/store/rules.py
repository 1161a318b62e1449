"""Under which rules the next times of cron expressions were computed: what the clocks of a zone do.

Processes differ in it: in their local zone, and in the time zone database that they have. Redis
keeps, for each zone in use, the rules under which the stored times were computed: those of the
leader, or before there was one, of the first writer. A writer under other rules leaves the time to
the leader, and a scheduler that begins to lead under others times anew what differs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import ResponseError

from ..exceptions import InvalidScheduleError
from ..timing.cron_times import (
    at_wall_time,
    is_cron_time,
    last_cron_time,
    next_cron_time,
    offset,
    transitions,
)
from ..timing.zones import find_zone
from .keys import RULES

if TYPE_CHECKING:
    from ..schedule.definition import Definition

VERSION = 1
"""Of our own rules. To be raised where the same expression comes to mean other times."""

LOCAL, LOCAL_NAME, BEFORE = "local", "local name", "before"
"""Fields beside those of zones: the local zone, its name if it has one, and, while a leader times
anew, the name that it had until then."""

LARGEST_SHIFT = timedelta(hours=26)
"""By which two zones may differ."""

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


def read_rules(connection: Redis) -> dict[str, str]:
    """Those that Redis keeps; where a leader did not end its work, nothing is known of any zone."""
    try:
        found = connection.hgetall(RULES)
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        connection.delete(RULES)  # nobody's but ours
        return {}
    texts = {_text(name): _text(value) for name, value in found.items()}
    return {LOCAL_NAME: texts[BEFORE]} if BEFORE in texts else texts


def are_ours(stored: Mapping[str, str]) -> bool:
    """Whether all that stands there was computed as this process computes it."""
    zones = ["" if name == LOCAL else name for name in stored if name != LOCAL_NAME]
    return LOCAL in stored and all(map(_Judge(stored).is_ours, zones))


def begin_renewal(stored: Mapping[str, str], connection: Redis) -> Renewal:
    """Let writers go by the rules of this process, and time anew what was computed before."""
    renewal = Renewal(stored)
    ours: dict[Any, Any] = {BEFORE: stored.get(LOCAL_NAME, "")}
    for name in stored:
        if name not in (LOCAL, LOCAL_NAME):
            ours.update(renewal.judge.ours(name))
    ours.update(renewal.judge.ours(""))
    connection.hset(RULES, mapping=ours)
    return renewal


def end_renewal(renewal: Renewal, connection: Redis) -> None:
    """All has been timed anew."""
    if renewal.found:
        connection.hset(RULES, mapping=dict(renewal.found))
    connection.hdel(RULES, BEFORE)


class Renewal:
    """The right next time of a schedule whose stored one was computed under other rules.

    One that is right under ours, too, stays. Any other keeps its wall time, so that what was to run
    on 1 January at 08:00 does so, and once, whatever else has changed; where that has passed it
    runs at once. What runs more often than the clocks differ goes on from the present.
    """

    def __init__(self, stored: Mapping[str, str]) -> None:
        self.judge = _Judge(stored)
        self.found: dict[Any, Any] = {}
        """The rules of all zones that schedules name."""
        try:
            self._before: tzinfo | None = find_zone(stored.get(LOCAL_NAME, ""))
        except InvalidScheduleError:
            self._before = None

    def __call__(self, schedule: Definition, moment: datetime) -> datetime | None:
        timezone, due = schedule.timezone or "", schedule.next_enqueue_time
        if not schedule.cron or due is None:
            return None
        ours = self.judge.ours(timezone)
        self.found.update(ours)
        if not ours or self.judge.is_ours(timezone):
            return None
        try:
            return self._renewed(schedule, schedule.cron, due, moment)
        except LookupError:
            return None

    def _renewed(
        self, schedule: Definition, cron: str, due: datetime, moment: datetime
    ) -> datetime | None:
        zone, latest = schedule.zone, schedule.latest_enqueue_time
        if is_cron_time(cron, due, zone):
            return None
        found: datetime | None
        if zone is None and self._before is not None and is_cron_time(cron, due, self._before):
            found = at_wall_time(cron, due, self._before, zone)
        else:
            found = _nearest(cron, due, zone)
        if found is None:
            return None
        if next_cron_time(cron, found, zone) - found <= abs(found - due):
            return None if due <= moment else next_cron_time(cron, max(moment, latest or moment))
        if latest is not None and found <= latest:
            return next_cron_time(cron, latest, zone)
        return found


class _Judge:
    """Compares stored rules with those of this process."""

    def __init__(self, stored: Mapping[str, str]) -> None:
        self._stored = stored

    def ours(self, timezone: str) -> Mapping[str, str]:
        """Nothing where this machine does not know the zone."""
        try:
            return rules_of(timezone)
        except InvalidScheduleError:
            return {}

    def is_ours(self, timezone: str) -> bool:
        """Also where this machine does not know the zone, so that nothing can be said."""
        return all(
            self._stored.get(name) == value
            for name, value in self.ours(timezone).items()
            if name != LOCAL_NAME
        )


def _nearest(cron: str, due: datetime, zone: tzinfo | None) -> datetime | None:
    """The occurrence that this one was, under rules that are unknown; None for none."""
    near = [last_cron_time(cron, due, zone), next_cron_time(cron, due, zone)]
    found = min(near, key=lambda time: abs(time - due))
    return found if abs(found - due) <= LARGEST_SHIFT else None


@lru_cache(maxsize=512)
def _rules_of(timezone: str, local: object) -> Mapping[str, str]:
    """`local` tells the local zone of one moment from that of another."""
    if timezone:
        return {timezone: _digest(find_zone(timezone))}
    return {LOCAL: _digest(None), LOCAL_NAME: _local_name()}


def _digest(zone: tzinfo | None) -> str:
    """All changes of the clocks in thirty years."""
    turns = [_BEGIN, *transitions(_BEGIN, _END, zone, step=_WEEK)]
    told = ";".join(f"{turn} {offset(turn, zone).total_seconds():.0f}" for turn in turns)
    return f"{VERSION} {sha1(told.encode()).hexdigest()[:16]}"


def _local_name() -> str:
    """The IANA name of the local zone; "" where it has none."""
    place = os.environ.get("TZ", "").removeprefix(":") or os.path.realpath("/etc/localtime")
    name = place.rpartition("zoneinfo/")[2]
    try:
        return name if _digest(find_zone(name)) == _digest(None) else ""
    except InvalidScheduleError:
        return ""


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
