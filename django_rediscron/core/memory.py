"""What a scheduler remembers of schedules from pass to pass, instead of reading it again."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from itertools import islice
from typing import Any

from .job import RedisCronJob
from .ready import Ready

LIMIT = 150_000_000
"""Bytes; a schedule with few arguments takes some 1,600. Those that do not fit are read in each
pass; if they took the place of others, none would be known when its turn comes again."""

LOOKED_AT = 200
"""Entries that are looked at after a pass, whether their schedules are still there."""

OVERDUE = 60.0
"""Seconds after which a schedule that did not run has left the index: somebody deleted it."""

_SHARED = ("func_name", "queue_name", "interval", "cron", "timezone", "enabled")


class Memory:
    """Schedules by id, as they were when they ran last."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Ready] = {}
        self._shared: dict[Hashable, Any] = {}
        self.size = 0
        """Bytes, or about that many."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, id: bytes) -> Ready | None:
        return self._entries.get(id)

    def add(self, id: bytes, ready: Ready) -> None:
        """Remember it if there is room."""
        known = self._entries.get(id)
        if known is ready:
            return
        if known is not None:
            self.size -= known.size
        elif self.size + ready.size > LIMIT:
            return
        self._entries[id] = ready
        self.size += ready.size

    def discard(self, id: bytes) -> None:
        ready = self._entries.pop(id, None)
        if ready is not None:
            self.size -= ready.size

    def clear(self) -> None:
        self._entries.clear()
        self.size = 0

    def share(self, job: RedisCronJob) -> None:
        """Let it hold only once what it has in common with others."""
        if len(self._shared) > LOOKED_AT * 100:
            self._shared.clear()
        shared = self._shared.setdefault
        job._func_name = shared(job.func_name, job.func_name)
        job.queue_name = shared(job.queue_name, job.queue_name)
        if not job.kwargs:
            job.kwargs = shared((), job.kwargs)
        with suppress(TypeError):  # some options are lists or dicts
            job.job_options = shared(tuple(job.job_options.items()), job.job_options)
        stored = job._stored or {}
        for name in stored.keys() & _SHARED:
            stored[name] = shared(stored[name], stored[name])

    def sweep(self, moment: float) -> None:
        """Forget schedules that are gone, a few at a time; epoch seconds."""
        for id in list(islice(self._entries, LOOKED_AT)):
            ready = self._entries.pop(id)
            if ready.place < moment - OVERDUE:
                self.size -= ready.size
            else:
                self._entries[id] = ready  # behind all others
