"""The sentences of notifications."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..quoting import cut
from ..story.in_flight import time_or_none
from ..story.runs import Run
from ..story.why.wording import tell_duration, tell_time


class Cause(NamedTuple):
    """What a notification is about, as `Notification` has it."""

    schedule_id: str
    at: datetime
    occurrence: datetime | None
    run: Run | None
    facts: Mapping[str, Any]

    @property
    def subject(self) -> str:
        """`Schedule ID: the run due at TIME`, or that by hand."""
        if self.occurrence is not None:
            return f"Schedule {self.schedule_id}: the run due at {_time(self.occurrence)}"
        enqueued_at = self.run.enqueued_at if self.run else None
        return f"Schedule {self.schedule_id}: the run by hand of {_time(enqueued_at)}"

    @property
    def took(self) -> str:
        """` after DURATION`; empty if that is not known."""
        duration = self.run.duration if self.run else None
        return "" if duration is None else f" after {tell_duration(duration)}"

    @property
    def error(self) -> str:
        return f": {self.run.error}" if self.run and self.run.error else ""

    @property
    def worker(self) -> str:
        return f" on worker {self.run.worker}" if self.run and self.run.worker else ""

    @property
    def failures(self) -> int:
        return int(self.facts.get("failures") or 1)


def _time(moment: datetime | None) -> str:
    return "an unknown time" if moment is None else tell_time(moment, timezone.utc)


def _sentence(text: str) -> str:
    text = text.rstrip(" ,:;")  # RQ ends the error of a worker that was killed with one
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _run_failed(cause: Cause) -> str:
    tries = cause.run.attempts if cause.run else 1
    attempts = f" in attempt {tries}" if tries > 1 else ""
    text = _sentence(f"{cause.subject} failed{cause.took}{attempts}{cause.error}")
    row = f" {cause.failures} runs in a row have failed." if cause.failures > 1 else ""
    return text + row


def _run_recovered(cause: Cause) -> str:
    before = "The run" if cause.failures == 1 else f"The {cause.failures} runs"
    return f"{cause.subject} finished{cause.took}. {before} before it had failed."


def _run_too_long(cause: Cause) -> str:
    run, limit = cause.run, cause.facts.get("max_runtime")
    lasts = "takes"
    if run is not None and run.started_at is not None:
        verb = "took" if run.ended_at else "has been running for"
        lasts = f"{verb} {tell_duration((run.ended_at or cause.at) - run.started_at)}"
    allowed = f" of {tell_duration(limit)}" if limit else ""
    return f"{cause.subject} {lasts}{cause.worker}, longer than its max_runtime{allowed}."


def _run_unknown(cause: Cause) -> str:
    return (
        f"{cause.subject} ended in an unknown way: RQ deleted its job before its end was seen, "
        f"so it may have run or not."
    )


def _schedule_error(cause: Cause) -> str:
    which = f"the run due at {_time(cause.occurrence)}" if cause.occurrence else "a run"
    error = cut(cause.facts.get("error") or "no reason is known")
    return _sentence(f"Schedule {cause.schedule_id}: {which} could not be enqueued: {error}")


def _schedule_late(cause: Cause) -> str:
    seconds = cause.facts.get("late_seconds")
    late = f" {tell_duration(seconds)}" if seconds is not None else ""
    at = _time(cause.at)
    if reason := cause.facts.get("reason"):
        return f"{cause.subject} was skipped at {at},{late} late: {_SKIPPED.get(reason, reason)}."
    return f"{cause.subject} was enqueued{late} late, at {at}."


_SKIPPED = {
    "misfire": "that is more than its misfire_grace",
    "catch_up": "what was missed is not caught up",
    "overlap": "an earlier run had not ended",
    "paused": "it was paused",
}


def _schedule_disabled(cause: Cause) -> str:
    one = cause.failures == 1
    after = "a failed run" if one else f"{cause.failures} failed runs in a row"
    text = f"Schedule {cause.schedule_id} was disabled at {_time(cause.at)} after {after}."
    return text + (_sentence(f" The latest one ended with{cause.error}") if cause.error else "")


_ENDS = {"died": "died or was cut off", "stopped": "stopped", "lock lost": "lost the lock"}


def _leader_changed(cause: Cause) -> str:
    facts = cause.facts
    text = f"Scheduler {facts.get('leader')} took over at {_time(cause.at)}."
    if facts.get("previous"):
        end = _ENDS.get(str(facts.get("end")), "is gone")
        text += f" {facts['previous']}, which led before, {end}"
        until = time_or_none(str(facts.get("until") or ""))
        if until is not None and end != "stopped":
            text += f"; its last heartbeat was at {_time(until)}"
        text += "."
    return text


def _run_started(cause: Cause) -> str:
    since = cause.run.started_at if cause.run else None
    return f"{cause.subject} started at {_time(since)}{cause.worker}."


def _run_ended(cause: Cause) -> str:
    status = cause.run.status if cause.run else "unknown"
    if status == "unknown":
        return _run_unknown(cause)
    was = "was " if status in ("stopped", "canceled") else ""
    return _sentence(f"{cause.subject} {was}{status}{cause.took}{cause.error}")


TEXTS: Mapping[str, Callable[[Cause], str]] = {
    "run_failed": _run_failed,
    "run_recovered": _run_recovered,
    "run_too_long": _run_too_long,
    "run_unknown": _run_unknown,
    "schedule_error": _schedule_error,
    "schedule_late": _schedule_late,
    "schedule_disabled": _schedule_disabled,
    "leader_changed": _leader_changed,
    "run_started": _run_started,
    "run_ended": _run_ended,
}
"""What is said of each kind."""
