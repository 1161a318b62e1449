"""Which notifications a schedule wants told."""

from __future__ import annotations

from collections.abc import Mapping

from ..story.in_flight import SCHEDULE
from .notification import Notification


def is_wanted(notification: Notification, notify: object) -> bool:
    """Whether it is to be told, by the schedule's option `notify`; True if there is no schedule.

    A run by hand or of a backfill is told only if the schedule asks for it; but that the schedule
    was disabled concerns the runs to come. Failures before the latest success count as the first in
    a row.
    """
    if notify is False:
        return False
    said = notify if isinstance(notify, Mapping) else {}
    kind, run = notification.kind, notification.run
    by_hand = run is not None and run.cause != SCHEDULE and kind != "schedule_disabled"
    if by_hand and not said.get("by_hand"):
        return False
    if kind in ("run_failed", "run_recovered"):
        return bool(_fact(notification, "failures", 1) >= said.get("failures", 1))
    if kind == "schedule_late":
        return bool(_fact(notification, "late_seconds", 0) >= said.get("late_after", 0))
    return True


def _fact(notification: Notification, name: str, default: float) -> float:
    value = notification.facts.get(name)
    return value if isinstance(value, (int, float)) else default
