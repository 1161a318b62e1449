"""What becomes of occurrences that come due while their queue is paused.

Only the script of a batch decides which ones are not enqueued. It writes nothing of them and names
the pause; what is written instead goes through a second call, under the same conditions.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from ..schedule.missed import CLOSE, Skip, own_time
from ..schedule.record import Record
from ..schedule.texts import load_object
from ..store.listing import LONGEST_DELAY
from ..store.pauses import ALL, Pause
from ..timing.zones import UTC
from .due import Corrections, Occurrences
from .prepared import PreparedSchedule

LOOK_AGAIN = timedelta(seconds=LONGEST_DELAY)
"""After which a schedule that waits for the end of a pause is looked at again. The repair of the
index takes a later time for a mistake."""

_UNREADABLE = Pause(None, datetime.min.replace(tzinfo=UTC), "")

_MOMENT = timedelta(microseconds=1)
_STEPS = 1000
"""Occurrences looked at one by one; the next batch of the pass takes the rest."""


def named_pause(line: str) -> Pause:
    """The pause that the script named: one that is on, or with the time at which it was over."""
    queue = (load_object(line) or {}).get("queue")
    pause = Pause.from_text(None if queue == ALL else queue, line)
    return pause or _UNREADABLE


def add_paused(
    id: bytes,
    prepared: PreparedSchedule,
    latest: datetime,
    pause: Pause,
    moment: datetime,
    occurrences: Occurrences,
    corrections: Corrections,
) -> None:
    """Add what is to be written instead of the occurrences up to `latest`, which were refused."""
    job, end = prepared.job, pause.ended
    due = job.next_enqueue_time
    assert due is not None
    seen = prepared.fingerprint.with_next(prepared.due)
    if end is None and pause.missed == "catch_up":
        again = moment + LOOK_AGAIN
        corrections.add(id, seen, score_time=min(pause.until or again, again))
    elif end is None or due >= latest or pause.at <= own_time(job, due) < end:
        last = _last_paused(job, due, moment, end)
        recurrence = job.recurrence(due)
        count = recurrence.count(due, last)
        skip = Skip(due, last, count, "paused", moment, pause.queue, pause.by, pause.reason)
        occurrences.add_skips(id, prepared, seen, [skip], recurrence.next(last))
    else:  # some were missed before the pause
        occurrences.add_before(id, prepared, pause.at)


def _last_paused(job: Record, due: datetime, moment: datetime, end: datetime | None) -> datetime:
    """The last of the occurrences from `due` on that came due by now and in the pause."""
    until = moment + CLOSE if end is None else min(moment + CLOSE, end - _MOMENT)
    recurrence = job.recurrence(due)
    if not job.jitter:
        return recurrence.last(until, due)
    last = due
    for _ in range(_STEPS):
        following = recurrence.next(last)
        if following is None or own_time(job, following) > until:
            break
        last = following
    return last
