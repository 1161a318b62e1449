"""What Redis really did: every occurrence that was enqueued, from its own MONITOR."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from redis import Redis

from django_rediscron.core.store.keys import HISTORY_SUFFIX, JOB_PREFIX

from .world import epoch


@dataclass
class Witness:
    """Filled while its block runs; whole when it has ended."""

    jobs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """RQ jobs entered in the history of each schedule, in turn."""

    entered: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When that was, epoch seconds."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Nominal times written into each schedule, in turn, epoch seconds."""

    pushed: list[str] = field(default_factory=list)
    """RQ jobs pushed on to any queue."""

    def see(self, command: list[str]) -> None:
        name, key = command[0].upper(), command[1] if len(command) > 1 else ""
        if name == "RPUSH":
            self.pushed += command[2:]
        elif not key.startswith(JOB_PREFIX):
            return
        elif name == "ZADD" and key.endswith(HISTORY_SUFFIX):
            id = key[len(JOB_PREFIX) : -len(HISTORY_SUFFIX)]
            self.jobs[id].append(command[3])
            self.entered[id].append(float(command[2]))
        elif name == "HSET" and command[2] == "latest_enqueue_time":
            self.times[key[len(JOB_PREFIX) :]].append(epoch(command[3]))


@contextmanager
def witness(connection: Redis) -> Iterator[Witness]:
    """See all that schedulers enqueue during the block."""
    seen = Witness()
    with connection.monitor() as monitor:

        def listen() -> None:
            for found in monitor.listen():
                if found["command"].startswith("ECHO enough"):
                    return
                if found["client_type"] == "lua":
                    seen.see(found["command"].split(" "))

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield seen
        finally:
            connection.echo("enough")
            thread.join()
