"""What is measured, and how it is told."""

from __future__ import annotations

from typing import Protocol

from .costs import Edits, Following, Idle, Large, Listing, Memory, Metrics, Registering, Syncing
from .latencies import Effect, Lateness
from .passes import Pass
from .run import Run


class Measurement(Protocol):
    name: str

    def report(self, run: Run) -> str: ...


MEASUREMENTS: list[Measurement] = [
    Pass("again", "{count:,} interval schedules that fired before"),
    Pass("first", "First firing of {count:,} different definitions"),
    Pass("cron_again", "{count:,} cron schedules (1,440 expressions) that fired before"),
    Pass("cron_first", "First firing of {count:,} cron schedules (1,440 expressions)"),
    Large(),
    Edits(),
    Idle(),
    Following(),
    Metrics(),
    Lateness(),
    Effect(),
    Registering(),
    Syncing(),
    Listing(),
    Memory(),
]
