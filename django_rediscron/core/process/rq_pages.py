"""The schedules that run next, in the leader's entry, where RQ's own pages look for them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from redis import Redis
from rq.cron import CronJob
from rq.utils import utcformat

from ..schedule.record import Record
from ..sensitive import mask
from ..store.keys import INDEX
from ..store.reading import read_schedules

LISTED = 1000
"""Schedules at most in the entry, which are those that run next: about 300 kB."""

SLICE = 100
"""Schedules that are read in one step, which takes a few milliseconds."""

INTERVAL = 30.0
"""Seconds between the end of one look at the schedules and the next."""

LONGEST = 500
"""Characters of arguments; longer ones are not in the entry."""

NONE = "[]"

_END = object()


class RqPages:
    """What RQ's `CronScheduler.get_jobs`, and with it django-rq's page of a scheduler, shows.

    It is read step by step while the leader has nothing else to do; no pass waits for it.
    """

    def __init__(self, connection: Redis) -> None:
        self.jobs = NONE
        """The schedules, in the form in which RQ keeps its own jobs."""
        self._connection = connection
        self._due = time.monotonic()
        self._look: Iterator[None] | None = None
        self._entries: list[dict[str, Any]] = []

    @property
    def pause(self) -> float:
        """Seconds until the next step is due; 0 if it is."""
        return max(0.0, self._due - time.monotonic())

    def step(self) -> bool:
        """Read some schedules; returns whether all have been read, and `jobs` is another text."""
        look = self._look = self._look or self._read()
        try:
            if next(look, _END) is not _END:
                return False
        except BaseException:
            self._begin_anew()
            raise
        before, self.jobs = self.jobs, json.dumps(self._entries)
        self._begin_anew()
        return self.jobs != before

    def _begin_anew(self) -> None:
        self._look, self._entries, self._due = None, [], time.monotonic() + INTERVAL

    def _read(self) -> Iterator[None]:
        ids = cast("list[bytes]", self._connection.zrange(INDEX, 0, LISTED - 1))
        for start in range(0, len(ids), SLICE):
            for found, _ in read_schedules(ids[start : start + SLICE], self._connection):
                if isinstance(found, Record) and found.enabled and _rq_can_read(found.cron):
                    self._entries.append(_entry(found))
            yield


def _entry(job: Record) -> dict[str, Any]:
    """As RQ's `CronJob.to_dict`. RQ names the history of a job by its name, and we by the id."""
    options = {name: value for name, value in job.job_options.items() if type(value) is int}
    return {
        **options,
        "func_name": job.func_name,
        "name": job.id,
        "queue_name": job.queue_name,
        "args": _shown(list(job.args), ["..."]),
        "kwargs": _shown(job.kwargs, {"...": "..."}),
        "interval": job.interval,
        "cron": job.cron,
        "latest_enqueue_time": _time(job.latest_enqueue_time),
        "next_enqueue_time": _time(job.next_enqueue_time),
    }


def _shown(arguments: Any, instead: Any) -> str | None:
    if not arguments:
        return None
    text = json.dumps(mask(arguments))
    return text if len(text) <= LONGEST else json.dumps(instead)


def _time(moment: datetime | None) -> str | None:
    return utcformat(moment) if moment else None


@lru_cache(maxsize=LISTED)
def _rq_can_read(cron: str | None) -> bool:
    """Whether RQ's class accepts it: one that it does not would take the whole page away."""
    with suppress(ValueError, TypeError, KeyError, OverflowError):
        CronJob("queue", func_name="module.function", cron=cron, interval=None if cron else 1)
        return True
    return False
