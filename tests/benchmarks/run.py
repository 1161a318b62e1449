"""One run of the benchmarks: the server, who takes part, how much and how often."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from .contestants import Contestant


@dataclass
class Run:
    """What all measurements of one run have in common."""

    url: str
    contestants: list[Contestant]
    environments: Path
    rounds: int
    count: int
    """Schedules; some measurements take ten times as many."""

    samples: int
    """Of each latency; a tenth of them where one takes seconds."""

    patient: bool
    """Whether to wait for a whole minute."""

    client: Redis = field(init=False)

    def __post_init__(self) -> None:
        self.client = Redis.from_url(self.url)

    def measure(
        self, contestant: Contestant, measurement: str, count: int | None = None
    ) -> dict[str, Any]:
        """One measurement on an empty database."""
        self.empty()
        return contestant.measure(
            self.environments, measurement, self.url, self.count if count is None else count
        )

    def empty(self) -> None:
        # By default Valkey would free the memory while the next measurement runs.
        self.client.execute_command("FLUSHDB", "SYNC")

    def taking_part(self, contestants: list[Contestant]) -> list[Contestant]:
        """Those of them that are in this run."""
        return [contestant for contestant in contestants if contestant in self.contestants]


def use_one_core() -> bool:
    """Put this process and all that it starts on one core, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return True


@contextmanager
def all_cores() -> Iterator[None]:
    """Let what is started meanwhile run on any core; a latency is no matter of throughput."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def table(title: str, head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table under its title."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"### {title}\n\n{body}"
