"""Late schedules: due for so long, when a scheduler gets to them, that people are told."""

from __future__ import annotations

import math

from rq.utils import now

from ..schedule.missed import LATE_AFTER
from ..schedule.record import Record
from ..timing.cron_times import utc_text
from .due import Occurrences
from .protocol import texts


class LateAfter:
    """By how much a schedule must be late; each may say otherwise than the scheduler."""

    def __init__(self, default: float = LATE_AFTER) -> None:
        self.default = default
        self.shortest = default
        """That of the most impatient schedule so far."""

    def of(self, job: Record) -> float:
        """Seconds; endless for a schedule that gives no alarms."""
        if isinstance(job.notify, bool):
            return self.default if job.notify else math.inf
        seconds: float = job.notify.get("late_after", self.default)
        self.shortest = min(self.shortest, seconds)
        return seconds


class Lateness:
    """The late schedules of a batch."""

    def __init__(self, late_after: LateAfter) -> None:
        self._late_after = late_after
        self._now = now().timestamp()
        self.limit = self._now - late_after.shortest
        """Epoch seconds: no schedule is late that is due since then, or later."""
        self._due: dict[bytes, float] = {}

    def look(self, id: bytes, job: Record, due: float) -> None:
        """At a schedule that is due since then (epoch seconds), its delay by jitter included."""
        if self._now - due > self._late_after.of(job):
            self._due[id] = due

    def pack(self, occurrences: Occurrences) -> bytes:
        """For the script: see there. Empty if none is late.

        Of each schedule the oldest occurrence, for what else it missed is late for the same cause.
        """
        if not self._due:
            return b""
        told: list[str] = []
        for id, (number, job, reason) in self._oldest(occurrences).items():
            due = self._due[id]
            assert job.next_enqueue_time is not None
            told += (str(number), job.id, utc_text(job.next_enqueue_time), f"{due:.6f}")
            told += (f"{self._now - due:.3f}", f'"{reason}"' if reason else "")
        return texts(told)

    def _oldest(self, occurrences: Occurrences) -> dict[bytes, tuple[int, Record, str]]:
        """Of each late schedule the number of its outcome, from 1, and why it was skipped, if it
        was before one that runs, or instead."""
        found: dict[bytes, tuple[int, Record, str]] = {}
        skipped = {
            (with_run, position): skips[0].reason
            for with_run, position, _, skips in occurrences.skips
            if skips
        }
        for position, (id, prepared, *_) in enumerate(occurrences.items):
            if id in self._due and id not in found:
                found[id] = position + 1, prepared.job, skipped.get((True, position), "")
        for with_run, position, prepared, skips in occurrences.skips:
            job = prepared.job
            id = job.id.encode()
            if not with_run and id in self._due and id not in found:
                number = len(occurrences.items) + position + 1
                found[id] = number, job, skips[0].reason
        return found
