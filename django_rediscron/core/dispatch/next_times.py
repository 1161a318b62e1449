"""Next times that are wrong, and right ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from ..exceptions import InvalidScheduleError
from ..schedule.definition import Definition
from ..schedule.record import Record
from ..store.keys import RULES
from ..timing.clock_rules import LOCAL, LOCAL_NAME, rules_of
from ..timing.cron_times import at_wall_time, is_cron_time, last_cron_time, next_cron_time
from ..timing.recurrence import DISAGREEMENT
from ..timing.zones import find_zone

Rule = Callable[[Record, datetime], "datetime | None"]
"""The right next time of an enabled schedule, or None if the one that it has is right."""

_CLOSE = timedelta(milliseconds=1)


def after_step_back(schedule: Record, moment: datetime) -> datetime | None:
    """For a wall clock that was set back.

    A schedule whose latest run is now in the future, by more than its own period, continues from
    now. One with a longer period waits, as all do after a small step: otherwise it would run a
    second time.
    """
    latest, following = schedule.latest_enqueue_time, schedule.next_enqueue_time
    if latest is None or following is None:
        return None
    step = latest - moment
    if step <= DISAGREEMENT or following - latest > step:
        return None
    return schedule.recurrence(following).next(moment)


def after_foreign_change(schedule: Record, moment: datetime) -> datetime | None:
    """For a change by rq-rediscron, which keeps the next time of the old interval or expression."""
    latest, following = schedule.latest_enqueue_time, schedule.next_enqueue_time
    if following is None or following <= moment:
        return None  # due at once anyhow
    since = max(moment, latest or moment)
    if schedule.cron or schedule.start_at is not None:
        expected = schedule.recurrence(latest).next(since)
        if expected is None or abs(following - expected) < _CLOSE:
            return None
        return expected
    if latest is None:
        return moment
    step = timedelta(seconds=schedule.interval or 0)
    # It may be earlier: after our own edits, an interval no longer counts from its latest run.
    return None if following - since <= step else since + step


BEFORE = "before"
"""A field beside the rules, while a leader recomputes times: the name of the old local zone."""

LARGEST_SHIFT = timedelta(hours=26)
"""The most by which two zones differ."""


def read_rules(connection: Redis) -> dict[str, str]:
    """The stored rules; those of no zone if a leader did not finish renewing them."""
    try:
        found = connection.hgetall(RULES)
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        connection.delete(RULES)  # the key is ours
        return {}
    texts = {_text(name): _text(value) for name, value in found.items()}
    return {LOCAL_NAME: texts[BEFORE]} if BEFORE in texts else texts


def are_ours(stored: Mapping[str, str]) -> bool:
    """Whether all stored times were computed by the rules of this process."""
    zones = ["" if name == LOCAL else name for name in stored if name != LOCAL_NAME]
    return LOCAL in stored and all(map(_Judge(stored).is_ours, zones))


def begin_renewal(stored: Mapping[str, str], connection: Redis) -> Renewal:
    """Store the rules of this process; next times computed by others are to be renewed."""
    renewal = Renewal(stored)
    ours: dict[Any, Any] = {BEFORE: stored.get(LOCAL_NAME, "")}
    for name in stored:
        if name not in (LOCAL, LOCAL_NAME):
            ours.update(renewal.judge.ours(name))
    ours.update(renewal.judge.ours(""))
    connection.hset(RULES, mapping=ours)
    return renewal


def end_renewal(renewal: Renewal, connection: Redis) -> None:
    """All next times have been renewed."""
    if renewal.found:
        connection.hset(RULES, mapping=dict(renewal.found))
    connection.hdel(RULES, BEFORE)


class Renewal:
    """The right next time of a schedule whose stored one was computed under other rules.

    One that is right under ours, too, stays. Any other keeps its wall time, so that a run planned
    for 1 January at 08:00 happens then, and once; if that time has passed, it runs at once. A
    schedule that runs more often than the clocks differ continues from the present.
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
        """Empty if this machine does not know the zone."""
        try:
            return rules_of(timezone)
        except InvalidScheduleError:
            return {}

    def is_ours(self, timezone: str) -> bool:
        """Also true if this machine does not know the zone, so that nothing can be compared."""
        return all(
            self._stored.get(name) == value
            for name, value in self.ours(timezone).items()
            if name != LOCAL_NAME
        )


def _nearest(cron: str, due: datetime, zone: tzinfo | None) -> datetime | None:
    """The occurrence that this one was under unknown rules, or None."""
    near = [last_cron_time(cron, due, zone), next_cron_time(cron, due, zone)]
    found = min(near, key=lambda time: abs(time - due))
    return found if abs(found - due) <= LARGEST_SHIFT else None


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
