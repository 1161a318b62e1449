"""When nothing was enqueued: nobody led, or all queues were paused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..store.pauses import Pause
from ..story.reigns import Reign
from .span import Span


@dataclass(frozen=True)
class Unled:
    """A time, inside of a span, in which nobody led."""

    since: datetime
    until: datetime


def unled(reigns: Sequence[Reign], span: Span) -> list[Unled]:
    """When nobody led, oldest first; nothing is known of the time before the first reign."""
    oldest_first = reigns[::-1]
    ends = [reign.until or span.now for reign in oldest_first]
    begins = [*(reign.since for reign in oldest_first[1:]), span.now]
    found = []
    for end, begin in zip(ends, begins, strict=False):
        low, high = max(end, span.low), min(begin, span.present)
        if low < high:
            found.append(Unled(low, high))
    return found


def is_paused(queue_name: str, moment: datetime, pauses: Iterable[Pause]) -> bool:
    """Whether what is due at this moment is not enqueued, because of one of these pauses."""
    return any(
        pause.concerns(queue_name) and pause.at <= moment and pause.is_on(moment)
        for pause in pauses
    )
