"""What of a listing is shown if only some queues, or some schedules, are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ...core.declared.tombstones import Tombstone
from ...core.exceptions import UnknownQueueError
from ...core.job import RedisCronJob
from ...core.store import Listing
from ...core.store.listing import StreamedListing
from ..selection import Selection

NAMED = 20
"""Queues that an error names at most."""


def chosen(listing: Listing, queues: Sequence[str]) -> list[RedisCronJob]:
    return sorted(_of(queues, listing.jobs), key=lambda job: (job.queue_name, job.id))


def stream_chosen(listing: Listing, queues: Sequence[str]) -> Iterator[RedisCronJob]:
    """The same one by one, which need not be in memory all at once."""
    if isinstance(listing, StreamedListing):
        return _of(queues, listing.stream)
    return iter(chosen(listing, queues))


def _of(queues: Sequence[str], jobs: Iterable[RedisCronJob]) -> Iterator[RedisCronJob]:
    return (job for job in jobs if not queues or job.queue_name in queues)


def selected_tombstones(stones: Iterable[Tombstone], selection: Selection) -> list[Tombstone]:
    """Those that were declared as it asks for; deleted ones have no state."""
    return [] if selection.state else [each for each in stones if _is_selected(each, selection)]


def _is_selected(stone: Tombstone, selection: Selection) -> bool:
    declared = stone.declared or {}
    return (
        selection.has_id(stone.id)
        and selection.queue in (None, declared.get("queue_name"))
        and selection.has_function(declared.get("func_name", ""))
        and (selection.tag is None or selection.tag in declared.get("tags", "").split())
    )


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
    of_deleted = {str((each.declared or {}).get("queue_name")) for each in listing.deleted}
    unknown = [name for name in queues if name not in listing.queues | of_deleted]
    if unknown:
        known = sorted(listing.queues)
        names = ", ".join(map(repr, known[:NAMED])) + (", ..." if known[NAMED:] else "")
        raise UnknownQueueError(
            f"there is no queue {', '.join(map(repr, unknown))}; "
            f"{f'the queues are {names}' if known else 'there are no queues'}"
        )
