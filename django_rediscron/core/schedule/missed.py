"""Which occurrences of a due schedule run, and which are skipped.

Usually one is due and runs. If no scheduler was running, or a pass took long, several have passed,
and `misfire_grace`, `catch_up` and `catch_up_limit` say what to do about them. However many they
are, this takes a few milliseconds.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, cast

from ..timing.cron_times import occurrence_delay, utc_text
from .definition import Definition
from .texts import load_object, parse_time

PUNCTUAL = 60.0
"""Seconds by which an occurrence may be late without counting as missed, if missed ones are skipped
and there is no `misfire_grace`. A pass takes far less."""

PROMPT = 1.0
"""The same if several occurrences have passed: then no scheduler was running, and the missed ones
do not run. One that has just become due is not missed."""

LATE_AFTER = 60.0
"""Seconds by which an occurrence must be late to give an alarm, if its schedule says nothing
else."""

CLOSE = timedelta(milliseconds=1)
"""What comes this soon is due already: a score in the index is rounded to microseconds."""

_MOMENT = timedelta(microseconds=1)
_STEPS = 1000
"""Occurrences looked at one by one; the next batch of the pass takes the rest."""


class Step(NamedTuple):
    """Occurrences that are settled together: some are skipped, and then one runs, or none."""

    run: datetime | None
    skips: list[Skip]
    following: datetime | None
    """The occurrence that is due next, None if none is left."""
    first: datetime | None = None
    """The first one that `run` stands for: `catch_up="latest"` merges those that were missed."""


def settle_due(
    job: Definition, due: datetime, moment: datetime, room: int, before: datetime | None = None
) -> list[Step]:
    """The steps from the due occurrence of a schedule to its next one in the future.

    With at most `room` runs, after which it may still be due. With `before` only `due` and what
    came due before then.
    """
    return _Settlement(job, due, moment, before).steps(room)


def own_time(job: Definition, time: datetime) -> datetime:
    """When an occurrence is to be enqueued: its nominal time plus its delay."""
    return time + timedelta(seconds=occurrence_delay(job.id, time, job.jitter))


class _Settlement:
    def __init__(
        self, job: Definition, due: datetime, moment: datetime, before: datetime | None
    ) -> None:
        self.job = job
        self.due = due
        self.moment = moment
        self.recurrence = job.recurrence(due)
        self.last = self._last_come()
        if before is not None:
            before -= timedelta(seconds=job.jitter) + _MOMENT
            self.last = self.recurrence.last(min(self.last, before), due)
        self.following = self.recurrence.next(self.last)

    def steps(self, room: int) -> list[Step]:
        if self.job.catch_up == "all":
            return self._all(room)
        limit, reason = self._limit()
        run = self._latest_in_time(limit)
        if run is None:
            return self._none(reason)
        skips: list[Skip] = []
        first = self._first_in_grace(skips, run)
        if self.job.catch_up == "skip" and first < run:
            self._add(skips, first, self._before(run), "catch_up")
            first = run
        if run < self.last:
            self._add(skips, self._after(run), self.last, reason)
        return [Step(run, skips, self.following, first)]

    def _limit(self) -> tuple[float, Reason]:
        """Seconds by which the one that runs may be late, and why later ones are skipped."""
        if self.job.misfire_grace is not None:
            return self.job.misfire_grace, "misfire"
        if self.job.catch_up == "skip":
            return PUNCTUAL if self._was_awaited() else PROMPT, "catch_up"
        return math.inf, "misfire"

    def _was_awaited(self) -> bool:
        """Whether no other run has come since that of `due`: they waited for this one, delayed."""
        own = self._own_time(self.due)
        time = self.recurrence.next(self.due)
        for _ in range(_STEPS):
            if time is None or time > self.last:
                return True
            if self._own_time(time) > own:
                return False
            time = self.recurrence.next(time)
        return True

    def _latest_in_time(self, limit: float) -> datetime | None:
        """The last one that is due and not late by more than that many seconds.

        If the delay is longer than the period, the last one need not be the most punctual.
        """
        if limit == math.inf or self._lateness(self.last) <= limit:
            return self.last
        if not self.job.jitter:
            return None
        horizon = self.moment - timedelta(seconds=limit + self.job.jitter)
        first = self.due if self.due >= horizon else self.recurrence.next(horizon - _MOMENT)
        if first is None or first > self.last:
            return None
        time: datetime | None = self.recurrence.back(self.last, _STEPS, first)
        found = None
        while time is not None and time <= self.last:
            if self._lateness(time) <= limit:
                found = time
            time = self.recurrence.next(time)
        return found

    def _none(self, reason: Reason) -> list[Step]:
        skips: list[Skip] = []
        self._add(skips, self.due, self.last, reason)
        return [Step(None, skips, self.following)]

    def _all(self, room: int) -> list[Step]:
        skips: list[Skip] = []
        if self._surely_late(self.last):
            return self._none("misfire")
        time: datetime | None = self._first_in_grace(skips, self.last)
        assert time is not None
        first = self.recurrence.back(self.last, self.job.catch_up_limit, time)
        if first > time:
            self._add(skips, time, self._before(first), "catch_up")
        time = first
        steps: list[Step] = []
        for _ in range(_STEPS):
            following = self.recurrence.next(time)
            if self._too_late(time):
                self._add(skips, time, time, "misfire")
            else:
                steps.append(Step(time, skips, following, time))
                skips = []
            if following is None or following > self.last or len(steps) >= room:
                break
            time = following
        if skips:
            steps.append(Step(None, skips, following))
        return steps

    def _last_come(self) -> datetime:
        """The last occurrence that is due, delay included; `due` itself is."""
        jitter = timedelta(seconds=self.job.jitter)
        last = self.recurrence.last(self.moment - jitter, self.due)
        if not jitter:
            return last
        for _ in range(_STEPS):
            following = self.recurrence.next(last)
            if following is None or self._own_time(following) > self.moment + CLOSE:
                break
            last = following
        return last

    def _first_in_grace(self, skips: list[Skip], last: datetime) -> datetime:
        """The first occurrence that may still be in time; those before it are skipped."""
        if self.job.misfire_grace is None or not self._surely_late(self.due):
            return self.due
        first = self.recurrence.next(self._horizon() - _MOMENT)
        assert first is not None
        first = min(first, last)
        if first > self.due:
            self._add(skips, self.due, self._before(first), "misfire")
        return first

    def _horizon(self) -> datetime:
        """Occurrences before it are too late, whatever their delay."""
        return self.moment - timedelta(seconds=(self.job.misfire_grace or 0) + self.job.jitter)

    def _surely_late(self, time: datetime) -> bool:
        return self.job.misfire_grace is not None and time < self._horizon()

    def _too_late(self, time: datetime) -> bool:
        grace = self.job.misfire_grace
        return grace is not None and self._lateness(time) > grace

    def _lateness(self, time: datetime) -> float:
        return (self.moment - self._own_time(time)).total_seconds()

    def _own_time(self, time: datetime) -> datetime:
        return own_time(self.job, time)

    def _after(self, time: datetime) -> datetime:
        following = self.recurrence.next(time)
        assert following is not None
        return following

    def _before(self, time: datetime) -> datetime:
        return self.recurrence.last(time - _MOMENT, self.due)

    def _add(self, skips: list[Skip], first: datetime, last: datetime, reason: Reason) -> None:
        count = self.recurrence.count(first, last)
        latest = skips[-1] if skips else None
        # If delays are longer than the period, the one that runs may stand between them.
        if latest and latest.reason == reason and self.recurrence.next(latest.until) == first:
            first, count = skips[-1].occurrence, skips[-1].count + count
            skips.pop()
        skips.append(Skip(first, last, count, reason, self.moment))


Reason = Literal["misfire", "catch_up", "overlap", "paused"]

SKIPS_KEPT = 100
"""Records of each schedule; more if more of its runs are kept."""

SKIPS_TTL = 365 * 86400
"""Seconds after the latest record."""


@dataclass(frozen=True)
class Skip:
    """Occurrences in a row that did not run.

    `occurrence` and `until` are the nominal times of the first and the last one, `count` is their
    number. `reason`: `misfire` (later than `misfire_grace`), `catch_up` (missed, not caught up),
    `overlap` (an earlier run had not ended) or `paused`. `at`: when they were skipped. `queue`,
    `by` and `text` are those of the pause: its queue (None: all of them), by whom, and why.
    """

    occurrence: datetime
    until: datetime
    count: int
    reason: Reason
    at: datetime
    queue: str | None = None
    by: str = ""
    text: str = ""

    @classmethod
    def overlapping(cls, occurrence: datetime, at: datetime) -> Skip:
        """That of one occurrence which came due before an earlier run had ended."""
        return cls(occurrence, occurrence, 1, "overlap", at)

    @classmethod
    def from_text(cls, text: str | bytes) -> Skip | None:
        """The record that `to_text` made; None for anything else."""
        facts = load_object(text) or {}
        try:
            times = {name: parse_time(facts[name]) for name in _TIMES}
            count, reason = facts["count"], facts["reason"]
        except (KeyError, TypeError, ValueError):
            return None
        if type(count) is not int or not isinstance(reason, str) or reason == ERROR:
            return None
        queue, by, why = (str(facts.get(name) or "") for name in _PAUSE)
        return cls(
            **times, count=count, reason=cast(Reason, reason), queue=queue or None, by=by, text=why
        )

    def to_text(self) -> str:
        """The record as JSON, its times as in a schedule's hash."""
        facts = {
            "occurrence": utc_text(self.occurrence),
            "until": utc_text(self.until),
            "count": self.count,
            "reason": self.reason,
            "at": utc_text(self.at),
        }
        facts |= {name: value for name in _PAUSE if (value := getattr(self, name))}
        return json.dumps(facts, separators=(",", ":"))

    def __str__(self) -> str:
        span = self.occurrence.isoformat()
        if self.count > 1:
            span = f"{self.count} occurrences from {span} to {self.until.isoformat()}"
        return f"{span} ({self.reason})"


_TIMES = ("occurrence", "until", "at")
_PAUSE = ("queue", "by", "text")

ERROR = "error"
"""The reason in a record that is no skip: the occurrence could not be enqueued."""
