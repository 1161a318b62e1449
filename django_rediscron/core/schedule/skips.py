"""Occurrences that did not run, as they are kept on record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from ..timing.cron_times import utc_text
from .texts import load_object, parse_time

Reason = Literal["misfire", "catch_up", "overlap"]

SKIPS_KEPT = 100
"""Records of each schedule."""

SKIPS_TTL = 365 * 86400
"""Seconds since the latest one."""


@dataclass(frozen=True)
class Skip:
    """Occurrences in a row that did not run.

    `occurrence` is the nominal time of the first and `until` that of the last of them, `count` how
    many they are. `reason`: `misfire` (later than `misfire_grace`), `catch_up` (missed, and nothing
    made up for it) or `overlap` (an earlier run had not ended). `at`: when they were given up.
    """

    occurrence: datetime
    until: datetime
    count: int
    reason: Reason
    at: datetime

    @classmethod
    def from_text(cls, text: str | bytes) -> Skip | None:
        """The record that `to_text` made; None for anything else."""
        facts = load_object(text) or {}
        try:
            times = {name: parse_time(facts[name]) for name in _TIMES}
            count, reason = facts["count"], facts["reason"]
        except (KeyError, TypeError, ValueError):
            return None
        if type(count) is not int or not isinstance(reason, str):
            return None
        return cls(count=count, reason=cast(Reason, reason), **times)

    def to_text(self) -> str:
        """The record as JSON, its times as in a schedule's hash."""
        facts = {
            "occurrence": utc_text(self.occurrence),
            "until": utc_text(self.until),
            "count": self.count,
            "reason": self.reason,
            "at": utc_text(self.at),
        }
        return json.dumps(facts, separators=(",", ":"))

    def __str__(self) -> str:
        span = self.occurrence.isoformat()
        if self.count > 1:
            span = f"{self.count} occurrences from {span} to {self.until.isoformat()}"
        return f"{span} ({self.reason})"


_TIMES = ("occurrence", "until", "at")
