"""What a schedule says of alarms decides what receivers are told of it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from django_rediscron import Notification
from django_rediscron.core.notifying.notification import ALARMS, PROGRESS
from django_rediscron.core.notifying.wanted import is_wanted
from django_rediscron.core.story.runs import Run

MOMENT = datetime(2026, 3, 23, tzinfo=timezone.utc)
WITH_RUNS = {*PROGRESS, *ALARMS} - {"schedule_error", "schedule_late", "leader_changed"}


def notification(kind: str, cause: str = "schedule", **facts: Any) -> Notification:
    run = Run("job", MOMENT, cause=cause) if kind in WITH_RUNS else None
    return Notification("1-0", kind, MOMENT, "report", None, MOMENT, run, "It is so.", facts)


def test_everything_is_told_by_default_but_runs_by_hand_and_of_backfills() -> None:
    kinds = {*ALARMS, *PROGRESS}
    assert {kind for kind in kinds if is_wanted(notification(kind), True)} == kinds
    assert not any(is_wanted(notification(kind), False) for kind in kinds)
    by_hand = {kind for kind in WITH_RUNS if is_wanted(notification(kind, "hand"), True)}
    assert by_hand == {"schedule_disabled"}
    filled = {kind for kind in WITH_RUNS if is_wanted(notification(kind, "backfill"), True)}
    assert filled == by_hand
    asked_for = {"by_hand": True}
    assert all(is_wanted(notification(kind, "hand"), asked_for) for kind in WITH_RUNS)


@pytest.mark.parametrize(
    ("kind", "facts", "notify", "wanted"),
    [
        ("run_failed", {"failures": 1}, {"failures": 1}, True),
        ("run_failed", {"failures": 1}, {"failures": 3}, False),
        ("run_failed", {"failures": 2}, {"failures": 3}, False),
        ("run_failed", {"failures": 3}, {"failures": 3}, True),
        ("run_failed", {"failures": 4}, {"failures": 3}, True),
        ("run_failed", {"failures": 1}, {"late_after": 3600}, True),
        ("run_recovered", {"failures": 2}, {"failures": 3}, False),
        ("run_recovered", {"failures": 3}, {"failures": 3}, True),
        ("run_recovered", {"failures": 1}, True, True),
        ("schedule_disabled", {"failures": 2}, {"failures": 3}, True),
        ("run_unknown", {}, {"failures": 3}, True),
        ("schedule_late", {"late_seconds": 61.5}, True, True),
        ("schedule_late", {"late_seconds": 61.5}, {"failures": 3}, True),
        ("schedule_late", {"late_seconds": 61.5}, {"late_after": 61.5}, True),
        ("schedule_late", {"late_seconds": 61.5}, {"late_after": 62}, False),
        ("schedule_late", {}, {"late_after": 62}, False),
        ("run_failed", {"failures": "many"}, {"failures": 2}, False),
    ],
)
def test_thresholds(kind: str, facts: dict[str, Any], notify: Any, wanted: bool) -> None:
    assert is_wanted(notification(kind, **facts), notify) == wanted
    if kind != "schedule_disabled" and kind in WITH_RUNS:
        assert not is_wanted(notification(kind, "hand", **facts), notify)
