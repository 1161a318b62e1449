"""Who paused and who resumed, for `rqrcron changes`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from redis import Redis
from rq.utils import now

from ...core.store.pauses import Pause, read_past_pauses, read_pauses
from ...terminal import fitted, one_line
from ..options import time_fact
from .history import short_time


class Switch(NamedTuple):
    """The beginning or the end of a pause, as a change of no schedule."""

    at: datetime
    actor: str
    action: str
    pause: Pause

    @property
    def line(self) -> str:
        """For people."""
        pause, until, reason = self.pause, "", ""
        if self.action == "paused":
            until = f", until {short_time(pause.until)}" if pause.until else ""
            reason = f": {pause.reason}" if pause.reason else ""
        text = f"{pause.what} {self.action} by {self.actor}{until}{reason}"
        return fitted(f"{short_time(self.at)}  {one_line(text)}")

    @property
    def facts(self) -> dict[str, Any]:
        """For programs."""
        is_begun = self.action == "paused"
        return {
            "id": None,
            "at": time_fact(self.at),
            "actor": self.actor,
            "action": self.action,
            "reason": self.pause.reason if is_begun else "",
            "until": time_fact(self.pause.until) if is_begun else None,
            "queue": self.pause.queue,
        }


def read_switches(connection: Redis) -> list[Switch]:
    """Newest first. A pause that is replaced by another one is not resumed."""
    found = []
    for pause in (*read_pauses(connection), *read_past_pauses(connection)):
        found.append(Switch(pause.at, pause.by, "paused", pause))
        if pause.end is not None and pause.end <= now() and not pause.replaced:
            found.append(Switch(pause.end, pause.ended_by or "its end", "resumed", pause))
    return sorted(found, key=lambda each: each.at, reverse=True)
