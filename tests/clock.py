"""A clock that tests set: every part of the package that asks for the time is told theirs."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

import pytest
from rq import utils


class Clock:
    """The time; `now` is what the package calls instead of RQ's function."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time

    def advance(self, step: timedelta) -> datetime:
        self.time += step
        return self.time


def set_clock(monkeypatch: pytest.MonkeyPatch, time: datetime) -> Clock:
    """Let it be that time for the package, wherever it looks at the clock to judge schedules."""
    clock = Clock(time)
    for name, module in list(sys.modules.items()):
        if name.startswith("django_rediscron.") and getattr(module, "now", None) is utils.now:
            monkeypatch.setattr(module, "now", clock.now)
    return clock
