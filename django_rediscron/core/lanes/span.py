"""A span of time that is looked at, in equal steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

_STEPS = (
    (timedelta(hours=2), timedelta(minutes=1)),
    (timedelta(hours=49), timedelta(minutes=15)),
    (timedelta(days=8), timedelta(hours=1)),
)
_LONGEST_STEP = timedelta(hours=6)

MICROSECONDS = 1_000_000
"""In a second."""

LONGEST = timedelta(days=32)
"""Of a span."""


@dataclass(frozen=True)
class Span:
    """From `low` until `high`, as seen at the moment `now`; aware datetimes in UTC."""

    low: datetime
    high: datetime
    now: datetime

    @cached_property
    def length(self) -> timedelta:
        return self.high - self.low

    @cached_property
    def step(self) -> timedelta:
        """A quarter of an hour; less for short spans and more for those of several days."""
        return next((step for longest, step in _STEPS if self.length <= longest), _LONGEST_STEP)

    @cached_property
    def edges(self) -> list[datetime]:
        """Where the steps begin, and the end of the last one; that one may be shorter."""
        count = -(-self.length // self.step)
        return [*(self.low + number * self.step for number in range(count)), self.high]

    @cached_property
    def offsets(self) -> list[int]:
        """Microseconds from the begin of the span to each edge."""
        return [(edge - self.low) // timedelta(microseconds=1) for edge in self.edges]

    def step_of(self, moment: datetime) -> int:
        """The number of the step that a moment is in, from 0."""
        return (moment - self.low) // self.step

    @cached_property
    def present(self) -> datetime:
        """The present, or the end of the span that is nearest to it."""
        return min(max(self.now, self.low), self.high)
