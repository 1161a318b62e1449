"""What of a listing is shown where only some queues are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from .core.job import RedisCronJob
from .core.store import Listing
from .core.tombstones import Tombstone


def chosen(listing: Listing, queues: Sequence[str]) -> list[RedisCronJob]:
    jobs = (job for job in listing.jobs if not queues or job.queue_name in queues)
    return sorted(jobs, key=lambda job: (job.queue_name, job.id))


def chosen_tombstones(listing: Listing, queues: Sequence[str]) -> list[Tombstone]:
    return [
        each
        for each in listing.deleted
        if not queues or (each.declared or {}).get("queue_name") in queues
    ]
