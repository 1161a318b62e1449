"""What of a listing is shown where only some queues are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from .core.exceptions import UnknownQueueError
from .core.job import RedisCronJob
from .core.store import Listing
from .core.tombstones import Tombstone

NAMED = 20
"""Queues that an error names at most."""


def chosen(listing: Listing, queues: Sequence[str]) -> list[RedisCronJob]:
    jobs = (job for job in listing.jobs if not queues or job.queue_name in queues)
    return sorted(jobs, key=lambda job: (job.queue_name, job.id))


def chosen_tombstones(listing: Listing, queues: Sequence[str]) -> list[Tombstone]:
    return [
        each
        for each in listing.deleted
        if not queues or (each.declared or {}).get("queue_name") in queues
    ]


def check_queues(listing: Listing, queues: Sequence[str]) -> None:
    """Raise `UnknownQueueError` for queues that nobody knows, and say which ones there are."""
    if not queues or listing.queues is None:
        return
    of_schedules = {job.queue_name for job in listing.jobs}
    of_schedules |= {str((each.declared or {}).get("queue_name")) for each in listing.deleted}
    unknown = [name for name in queues if name not in listing.queues | of_schedules]
    if unknown:
        known = sorted(listing.queues | {job.queue_name for job in listing.jobs})
        names = ", ".join(map(repr, known[:NAMED])) + (", ..." if known[NAMED:] else "")
        raise UnknownQueueError(
            f"there is no queue {', '.join(map(repr, unknown))}; "
            f"{f'the queues are {names}' if known else 'there are no queues'}"
        )
