"""All metrics, read from Redis when they are asked for; writes nothing.

What Redis refuses to tell, or another program put there, is left out; the rest is told.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache

from redis import Redis
from redis.exceptions import ResponseError

from ..plain import plain
from ..quoting import cut, quoted
from ..store.connections import own_client
from ..store.keys import DISABLED, INDEX
from ..store.pauses import ALL, read_pauses
from ..store.search import TALLIED, search, tally
from ..store.servers import Server, read_each
from ..story.counts import (
    PASS,
    RUN,
    read_counts,
    read_dropped,
    read_sums,
    read_too_long,
    seconds_of,
)
from ..story.in_flight import time_or_none
from ..story.outcomes import COUNTED
from ..timing.cron_expression import parse
from .backlog import read_backlog
from .exposition import Family, Label
from .leadership import read_leadership

logger = logging.getLogger(__name__)

SCHEDULES = 1000
"""Schedules up to which metrics have the label `schedule` by default."""

KINDS = {
    "rediscron_up": ("gauge", "Whether Redis could be read."),
    "rediscron_schedules": ("gauge", "Schedules by state and queue."),
    "rediscron_schedule_labels_omitted": (
        "gauge",
        "Whether there are too many schedules for metrics with the label schedule.",
    ),
    "rediscron_due": ("gauge", "Schedules that are due and not yet enqueued."),
    "rediscron_lag_seconds": ("gauge", "How long the oldest due schedule has been due."),
    "rediscron_leaders": ("gauge", "Schedulers that lead: 1, or 0 if none does."),
    "rediscron_leader_heartbeat_age_seconds": ("gauge", "Time since the leader's heartbeat."),
    "rediscron_standbys": ("gauge", "Schedulers that stand by."),
    "rediscron_paused": ("gauge", "What is paused, by queue; * is everything."),
    "rediscron_pass_seconds": ("histogram", "How long passes of the leader took."),
    "rediscron_runs_total": ("counter", "Runs that have ended, by status."),
    "rediscron_run_seconds": ("histogram", "How long runs took."),
    "rediscron_skips_total": ("counter", "Occurrences that were skipped, by reason."),
    "rediscron_notifications_dropped_total": (
        "counter",
        "Notifications that a receiver was not told.",
    ),
    "rediscron_too_long_runs": ("gauge", "Runs that exceed max_runtime and have not ended."),
    "rediscron_failures_in_a_row": ("gauge", "Failed runs since the last successful one."),
    "rediscron_last_success_timestamp_seconds": ("gauge", "When a run last succeeded."),
    "rediscron_next_run_timestamp_seconds": ("gauge", "When the next run is due."),
    "rediscron_interval_seconds": ("gauge", "Longest usual time from one run to the next."),
    "rediscron_changed_timestamp_seconds": (
        "gauge",
        "When the schedule was last changed, or created.",
    ),
}
"""Metrics with their types and descriptions, in the order in which they are told."""

ALWAYS = ("finished", "failed")
"""Ends of runs that are told also if there were none, so that the first one is an increase."""

_FIELDS = (
    "state",
    "queue_name",
    "updated_at",
    "created_at",
    "next_enqueue_time",
    "start_at",
    "interval",
    "cron",
)
_LONGEST_COUNT = 18
"""Digits of a number that can be a count."""


def check_schedules(value: object) -> int:
    """How many schedules have their own metrics. Raises ValueError for what is no such number."""
    number = plain(value)
    if type(number) is not int or number < 0:
        raise ValueError(f"a whole number from 0 on, got {quoted(value)}")
    return number


def families(*, up: bool) -> dict[str, Family]:
    """All metrics by name, without samples but that of `rediscron_up`."""
    found = {name: Family(name, *kind) for name, kind in KINDS.items()}
    found["rediscron_up"].add(int(up))
    return found


def read_metrics(connection: Redis, schedules: int = SCHEDULES) -> list[Family]:
    """All metrics, those of schedules by schedule if there are at most so many of them.

    Uses its own connection, which waits for Redis for at most two seconds. Raises `RedisError` if
    Redis does not answer.
    """
    client = own_client(connection)
    try:
        client.ping()
        return _Reading(client, schedules).read()
    finally:
        client.connection_pool.disconnect()


def read_metrics_of_each(servers: Sequence[Server], schedules: int = SCHEDULES) -> list[Family]:
    """All metrics of these servers, each with the name of its server as the label `server`.

    `schedules` counts for each by itself. Of one that cannot be read there is only `rediscron_up`.
    """
    merged = families(up=False)
    for family in merged.values():
        family.samples.clear()
    for asked, found in read_each(servers, lambda client: read_metrics(client, schedules)):
        of_server = families(up=False).values() if isinstance(found, Exception) else found
        for family in of_server:
            merged[family.name].samples += [
                (name, (("server", asked.name), *labels), value)
                for name, labels, value in family.samples
            ]
    return list(merged.values())


class _Reading:
    """One reading of all metrics."""

    def __init__(self, client: Redis, limit: int) -> None:
        self._client = client
        self._limit = limit
        self._families = families(up=True)
        self._now = datetime.now(timezone.utc).timestamp()

    def read(self) -> list[Family]:
        for part in (
            self._leadership,
            self._backlog,
            self._pauses,
            self._notifications,
            self._schedules,
        ):
            try:
                part()
            except ResponseError as error:
                logger.debug("Metrics are incomplete: %s", cut(error))
        return list(self._families.values())

    def _add(self, name: str, value: float | None, *labels: Label) -> None:
        """A sample of `rediscron_{name}`, unless there is no value."""
        if value is not None:
            self._families[f"rediscron_{name}"].add(value, labels)

    def _leadership(self) -> None:
        leadership = read_leadership(self._client)
        leader = leadership.leader
        self._add("leaders", 0 if leader is None else 1)
        self._add("leader_heartbeat_age_seconds", None if leader is None else leader.age)
        self._add("standbys", len(leadership.standbys))

    def _backlog(self) -> None:
        backlog = read_backlog(self._client, 0.0)
        self._add("due", backlog.late)
        self._add("lag_seconds", backlog.lag)

    def _pauses(self) -> None:
        for pause in read_pauses(self._client):
            self._add("paused", 1, ("queue", pause.queue or ALL))

    def _notifications(self) -> None:
        dropped = map(_count, read_dropped(self._client).values())
        self._add("notifications_dropped_total", sum(number or 0 for number in dropped))

    # Schedules

    def _schedules(self) -> None:
        sums = _counts(read_sums(self._client))
        self._seconds(PASS, sums)
        # With names of RQ's own cron, which are no schedules
        many = self._client.zcard(INDEX) + self._client.zcard(DISABLED) > self._limit
        states = tally(self._client) if many else Counter[tuple[str, str]]()
        are_labelled = states.total() <= self._limit
        if are_labelled:
            states = self._each_schedule()
        else:
            self._add("too_long_runs", read_too_long(self._client).total())
            self._counted({**_zeros(*(queue for queue, _ in states)), **sums})
        for (queue, state), number in states.items():
            self._add("schedules", number, ("state", state), ("queue", queue))
        self._add("schedule_labels_omitted", int(not are_labelled))

    def _each_schedule(self) -> Counter[tuple[str, str]]:
        """Tell of each schedule. Returns how many there are by queue and state."""
        rows = sorted(search(self._client, values=_FIELDS, page=TALLIED))
        counts = read_counts([row[0] for row in rows], self._client)
        too_long = read_too_long(self._client)
        states = Counter[tuple[str, str]]()
        for id, state, queue, *times in rows:
            label, outcomes = ("schedule", id), counts.get(id, {})
            states[queue, state] += 1
            self._timing(label, *times)
            self._add("too_long_runs", too_long[id], label)
            self._outcomes(label, outcomes)
            self._counted({**_zeros(queue), **_counts(outcomes)}, label)
        return states

    def _timing(
        self, label: Label, updated: str, created: str, next_time: str, start: str, *rhythm: str
    ) -> None:
        self._add("changed_timestamp_seconds", _timestamp(updated or created), label)
        following, beginning = _timestamp(next_time), _timestamp(start)
        if following is not None:
            self._add("next_run_timestamp_seconds", following, label)
            if beginning is None or beginning <= self._now:
                self._add("interval_seconds", _interval(*rhythm), label)

    def _outcomes(self, label: Label, outcomes: Mapping[str, str]) -> None:
        success = _timestamp(outcomes.get("last_success", ""))
        self._add("last_success_timestamp_seconds", success, label)
        self._add("failures_in_a_row", _count(outcomes.get("failures", "0")), label)

    def _counted(self, counts: Mapping[str, int], *labels: Label) -> None:
        """What is counted for ever, of one schedule or of all."""
        are_timed = False
        for name, number in counts.items():
            kind, _, rest = name.partition(" ")
            if kind in COUNTED:
                self._add("runs_total", number, *labels, ("queue", rest), ("status", kind))
            elif kind == "skipped":
                self._add("skips_total", number, *labels, ("reason", rest))
            are_timed |= kind == RUN
        if are_timed:
            self._seconds(RUN, counts, *labels)

    def _seconds(self, kind: str, counts: Mapping[str, int], *labels: Label) -> None:
        buckets, total = seconds_of(kind, counts)
        self._families[f"rediscron_{kind}_seconds"].add_histogram(buckets, total, labels)


def _zeros(*queues: str) -> dict[str, int]:
    """Counts that are told also if there is none."""
    return {f"{status} {queue}": 0 for queue in queues for status in ALWAYS}


def _counts(fields: Mapping[str, str]) -> dict[str, int]:
    """Those of the fields that count for ever, which have a space in their names."""
    found = ((name, _count(text)) for name, text in fields.items() if " " in name)
    return {name: number for name, number in found if number is not None}


def _count(text: str) -> int | None:
    """A number of things; None for anything else."""
    is_count = text.isascii() and text.isdigit() and len(text) <= _LONGEST_COUNT
    return int(text) if is_count else None


def _timestamp(text: str) -> float | None:
    moment = time_or_none(text)
    return None if moment is None else moment.timestamp()


def _interval(interval: str, cron: str) -> float | None:
    """The longest usual time from one occurrence to the next; None if it has none."""
    if not cron:
        return _count(interval)
    today = datetime.now(timezone.utc).date()
    return _longest_gap(cron, today.year, today.month)


@lru_cache(maxsize=2048)
def _longest_gap(cron: str, year: int, month: int) -> float | None:
    try:
        return parse(cron).longest_gap(year, month)
    except (ValueError, LookupError):
        return None
