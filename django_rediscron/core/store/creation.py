"""Many new schedules at once: nothing stored has to be compared or kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache

from redis import Redis
from rq.utils import now

from ..schedule.codec import dump_without_options
from ..schedule.definition import NOT_ON_RECORD
from ..schedule.origin import Origin
from ..schedule.record import Record
from ..timing.clock_rules import rules_pairs
from ..timing.cron_times import next_cron_time, utc_text
from .actors import current_actor
from .keys import job_key
from .rq_queues import get_queue
from .scripts import CHANGES_KEYS, Script, in_calls, run_script, run_scripts

BATCH = 250
"""Schedules in one script call: it blocks Redis for a few milliseconds."""


def create_new(jobs: Sequence[Record], connection: Redis) -> list[Record]:
    """Write new schedules without options; returns the others, for `Change`.

    Raises `InvalidScheduleError` before anything is written.
    """
    for job in jobs:
        job.func  # noqa: B018 - raises if a worker could not import it
    for queue_name in {job.queue_name for job in jobs}:
        get_queue(queue_name, connection)
    if len(jobs) == 1 or len({job.id for job in jobs}) < len(jobs):
        return list(jobs)
    creatable = [job for job in jobs if is_creatable(job)]
    written: set[str] = set()
    found = ((job, dump_without_options(job), dict[str, str]()) for job in creatable)
    for batch in in_calls(found, BATCH, _weigh):
        creation = _Creation(batch, now())
        created = creation.created(run_script(connection, CREATE, *creation.call))
        written.update(created)
        if len(created) < len(batch) / 2:
            break  # they exist already, as when a program that registers them starts again
    return [job for job in jobs if job.id not in written]


def create_declared(wanted: Iterable[tuple[Record, Origin]], connection: Redis) -> set[str]:
    """Write new declarations without options, thousands in a round trip.

    Returns the ids that were written. Those that exist by now, or were deleted by hand, are not.
    Functions and queues are not checked.
    """
    jobs = ((job.snapshot(), origin) for job, origin in wanted)
    found = ((job, dump_without_options(job), origin.fields()) for job, origin in jobs)
    moment = now()
    creations = [_Creation(batch, moment) for batch in in_calls(found, BATCH, _weigh)]
    replies = run_scripts(connection, CREATE, [creation.call for creation in creations])
    return {
        id
        for creation, reply in zip(creations, replies, strict=True)
        for id in creation.created(reply)
    }


def is_creatable(job: Record) -> bool:
    """Whether it can be written this way: it was constructed, not loaded, and has no options."""
    return (
        job.loaded_definition() is None
        and not job.queued
        and (job.latest_enqueue_time, job.next_enqueue_time) == job._loaded_times
        and job.has_no_options
        and job.off == NOT_ON_RECORD
    )


CREATE = Script("create")

_Definition = tuple[Record, dict[str, str], Mapping[str, str]]
"""A job, the hash fields of its definition and those of its origin."""


def _weigh(item: _Definition) -> int:
    _, definition, origin = item
    return sum(map(len, definition.values())) + sum(map(len, origin.values()))


class _Creation:
    """One script call."""

    def __init__(self, batch: Sequence[_Definition], moment: datetime) -> None:
        self._jobs = [job for job, _, _ in batch]
        self._moment = moment
        self._text = utc_text(moment)
        self._definitions: list[dict[str, str]] = []
        self._first = cache(self._first_time)
        items = [self._item(*item) for item in batch]
        keys = [*CHANGES_KEYS, *(job_key(job.id) for job in self._jobs)]
        arguments = [
            f"{moment.timestamp():.6f}",
            json.dumps(items, separators=(",", ":")),
            json.dumps(rules_pairs("")),
            self._text,
            current_actor(),
        ]
        self.call = keys, arguments
        """Keys and arguments of the script."""

    def _first_time(self, cron: str | None) -> tuple[datetime, str, str]:
        following = next_cron_time(cron, self._moment) if cron else self._moment
        return following, utc_text(following), f"{following.timestamp():.6f}"

    def _item(
        self, job: Record, definition: dict[str, str], origin: Mapping[str, str]
    ) -> list[str]:
        _, following, score = self._first(job.cron)
        definition["enabled"] = "1" if job.enabled else "0"
        self._definitions.append(definition)
        item = [score if job.enabled else "", "1" if job.cron else "", "id", job.id]
        for pair in (*definition.items(), *origin.items()):
            item += pair
        item += ("created_at", self._text, "next_enqueue_time", following)
        return item

    def created(self, left: Sequence[int]) -> list[str]:
        """Update the jobs that were written, by the reply; returns their ids."""
        others = set(left)
        ids = []
        for number, (job, definition) in enumerate(
            zip(self._jobs, self._definitions, strict=True), 1
        ):
            if number not in others:
                ids.append(job.id)
                job.version, job.revision = f"0/{self._text}", 0
                job.created_at = job.updated_at = self._moment
                timed = not (job.cron and 0 in others)
                job.next_enqueue_time = self._first(job.cron)[0] if timed else None
                job.last_error = job.last_error_at = None
                job.mark_saved(definition, (), (None, job.next_enqueue_time))
        return ids
