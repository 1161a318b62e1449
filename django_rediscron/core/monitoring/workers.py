"""Queues that no worker listens to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from redis import Redis

from ..store.connections import bytes_client
from ..store.keys import WORKERS_PREFIX


def without_workers(connection: Redis, queues: Iterable[str]) -> list[str]:
    """Those of these queues for which RQ knows no living worker, sorted, in two round trips.

    One whose workers Redis refuses to tell is not among them.
    """
    client, names = bytes_client(connection), sorted(set(queues))
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.smembers(WORKERS_PREFIX + name)
        replies: list[Any] = pipe.execute(raise_on_error=False)
    known = dict(zip(names, replies, strict=True))
    # RQ deletes the key of a worker that does not answer, but leaves its name in these sets.
    with client.pipeline(transaction=False) as pipe:
        for workers in known.values():
            if isinstance(workers, set) and workers:
                pipe.exists(*workers)
        alive = iter(pipe.execute(raise_on_error=False))
    return [
        name
        for name, workers in known.items()
        if isinstance(workers, set) and not (workers and next(alive))
    ]
