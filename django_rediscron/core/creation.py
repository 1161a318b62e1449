"""Many new schedules at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache

from redis import Redis
from rq.utils import now

from .codec import dump_plain
from .job import RedisCronJob
from .options import has_no_options
from .queues import get_queue
from .scripts import CREATE, run_script
from .timing import next_cron_time, utc_text

BATCH = 250
"""Schedules in one script call: it holds Redis for a few milliseconds."""


def create_new(jobs: Sequence[RedisCronJob], connection: Redis) -> list[RedisCronJob]:
    """Write what is plain and stands nowhere yet, each whole; returns the others, for `Change`.

    Raises `InvalidScheduleError` before anything is written. Most schedules are alike in nearly all
    that they say, and of what is new nothing has to be compared with what stands there.
    """
    for job in jobs:
        job.func  # noqa: B018 - raises where a worker could not import it
    for queue_name in {job.queue_name for job in jobs}:
        get_queue(queue_name, connection)
    if len(jobs) == 1 or len({job.id for job in jobs}) < len(jobs):
        return list(jobs)
    plain = [job for job in jobs if _is_plain(job)]
    written: set[str] = set()
    for start in range(0, len(plain), BATCH):
        batch = plain[start : start + BATCH]
        created = _create(batch, connection, now())
        written.update(created)
        if len(created) < len(batch) / 2:
            break  # they have been registered before, as at every start of a program
    return [job for job in jobs if job.id not in written]


def _is_plain(job: RedisCronJob) -> bool:
    return (
        job.loaded_definition() is None
        and not job.queued
        and (job.latest_enqueue_time, job.next_enqueue_time) == job._loaded_times
        and has_no_options(job)
    )


def _create(batch: list[RedisCronJob], connection: Redis, moment: datetime) -> list[str]:
    """One script call. Returns the ids of what was written."""

    @cache
    def first(cron: str | None) -> tuple[datetime, str, str]:
        following = next_cron_time(cron, moment) if cron else moment
        return following, utc_text(following), f"{following.timestamp():.6f}"

    text = utc_text(moment)
    definitions, items = [], []
    for job in batch:
        _, following, place = first(job.cron)
        definition = dump_plain(job)
        definition["enabled"] = "1" if job.enabled else "0"
        definitions.append(definition)
        item = [place if job.enabled else "", "id", job.id]
        for pair in definition.items():
            item += pair
        item += ("created_at", text, "next_enqueue_time", following)
        items.append(item)
    arguments = [f"{moment.timestamp():.6f}", json.dumps(items, separators=(",", ":"))]
    left = {
        number - 1 for number in run_script(connection, CREATE, [j.key for j in batch], arguments)
    }
    created = []
    for position, job in enumerate(batch):
        if position not in left:
            created.append(job.id)
            job.version, job.revision = f"0/{text}", 0
            job.created_at = job.updated_at = moment
            job.next_enqueue_time = first(job.cron)[0]
            job.last_error = job.last_error_at = None
            job.mark_saved(definitions[position], (), (None, job.next_enqueue_time))
    return created
