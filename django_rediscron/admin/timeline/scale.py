"""Where moments are on the page, and the lines behind the lanes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.utils.translation import gettext as _

from ...core.timing.clock_rules import known_transitions, offset
from ...core.timing.zones import UTC
from ..display import span as length_text
from ..ranges import Asked

_MINUTES = (1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
"""Between lines."""
_MOST_LINES = 13
_DAY = 1440

CLOSE = 30
"""Marks are at least this part of the width away from each other: 24 pixels, where lanes are 720
pixels wide."""


@dataclass(frozen=True)
class Line:
    """A line behind the lanes, and what is written above it."""

    x: float
    kind: str
    """`hour`, `midnight`, `change` (of the clocks) or `now`."""
    label: str
    moment: datetime


@dataclass(frozen=True)
class Scale:
    """Moments of a span as parts of its length, in percent."""

    asked: Asked

    def x(self, moment: datetime) -> float:
        """Where a moment is; those before and after are at the ends."""
        span = self.asked.span
        part = (moment - span.low) / span.length * 100
        return round(min(max(part, 0.0), 100.0), 3)

    @property
    def gap(self) -> timedelta:
        """Marks that are closer together are folded."""
        return self.asked.span.length / CLOSE

    @cached_property
    def lines(self) -> list[Line]:
        """All of them, from left to right."""
        span = self.asked.span
        lines = [*self._hours(), *self._changes()]
        if span.low <= span.now < span.high:
            lines.append(Line(self.x(span.now), "now", _("now"), span.now))
        return sorted(lines, key=lambda line: line.x)

    def _hours(self) -> list[Line]:
        """Hours of the wall clock; in spans of an hour or two, minutes."""
        span, minutes = self.asked.span, self.asked.span.length // timedelta(minutes=1)
        apart = next((each for each in _MINUTES if minutes <= each * _MOST_LINES), _DAY)
        step = timedelta(minutes=min(apart, 60))
        here = self.asked.local(span.low)
        past = timedelta(
            minutes=here.minute % (step // timedelta(minutes=1)),
            seconds=here.second,
            microseconds=here.microsecond,
        )
        moment, lines = span.low - past, []
        while moment < span.high:
            here = self.asked.local(moment)
            of_day = here.hour * 60 + here.minute
            if moment >= span.low and of_day % apart == 0:
                kind = "hour" if of_day else "midnight"
                lines.append(Line(self.x(moment), kind, f"{here:%H:%M}", moment))
            moment += step
        return lines

    def _changes(self) -> list[Line]:
        """Changes of the clocks."""
        span, zone = self.asked.span, self.asked.zone
        low, high = int(span.low.timestamp()), int(span.high.timestamp())
        lines = []
        for second in known_transitions(low, high, zone):
            moment = datetime.fromtimestamp(second, UTC)
            ahead = (offset(second, zone) - offset(second - 1, zone)).total_seconds()
            text = _("clocks forward %s") if ahead > 0 else _("clocks back %s")
            lines.append(Line(self.x(moment), "change", text % length_text(abs(ahead)), moment))
        return lines
