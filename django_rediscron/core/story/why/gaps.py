"""When nobody led."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..reigns import Reign


@dataclass(frozen=True)
class Gap:
    """A time in which nobody led; None: since ever, and until now."""

    before: Reign | None
    after: Reign | None

    @property
    def since(self) -> datetime | None:
        return self.before.until if self.before else None

    @property
    def until(self) -> datetime | None:
        return self.after.since if self.after else None

    @property
    def facts(self) -> dict[str, Any]:
        """For `Answer.facts`."""
        return {
            "unled_since": self.since,
            "unled_until": self.until,
            "leader_before": self.before and self.before.leader,
            "leader_after": self.after and self.after.leader,
        }


def gap_at(reigns: Sequence[Reign], time: datetime) -> Gap | None:
    """The gap in which a time is; None if somebody led. `reigns`: newest first."""
    before = after = None
    for reign in reigns:
        if reign.since > time:
            after = reign
        elif reign.until is None or time < reign.until:
            return None
        else:
            before = reign
            break
    return Gap(before, after)


def leader_at(reigns: Sequence[Reign], time: datetime) -> Reign | None:
    """Who led at a time."""
    led = (r for r in reigns if r.since <= time and (r.until is None or time < r.until))
    return next(led, None)
