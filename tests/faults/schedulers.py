"""Schedulers that live for ever, and what they log."""

from __future__ import annotations

import json
import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import EVENTS, LOCK, SCHEDULERS, scheduler_key
from tests import tasks
from tests.processes import start_python, wait_until

from .servers import Server
from .victims import Victim
from .witness import Witness


class Living(Victim):
    """A scheduler process, with its log. `options` are those of `live` below."""

    def __init__(self, server: Server, name: str = "one", **options: Any) -> None:
        self.name = name
        self._log = server.folder / f"{name}.log"
        self._log.touch()
        url = options.pop("url", server.url)
        super().__init__(live, url, log=self._log, name=name, **options)

    def said(self, words: str = "") -> list[str]:
        """Its log lines with these words; each begins with its level."""
        return [line for line in self._log.read_text().splitlines() if words in line]

    def complaints(self) -> list[str]:
        """Its warnings and errors, and anything that is no log line."""
        return [line for line in self.said() if not line.startswith("INFO ")]


SCHEDULES = 10
"""Of an interval of one second."""

Run = Callable[..., Living]
"""Start a scheduler: its name, options of `Living`, and `on`, if it is not the test's server."""


def live(
    url: str,
    *,
    log: Path,
    connect: Callable[[str], Redis] = Redis.from_url,
    standby: bool = False,
    prepare: Callable[[RedisCronScheduler], None] | None = None,
    **options: Any,
) -> None:
    """Run a scheduler on a client as programs make them, until it is asked to stop."""
    logging.disable(logging.NOTSET)
    logging.basicConfig(filename=log, level=logging.INFO, format="%(levelname)s %(message)s")
    scheduler = RedisCronScheduler(connect(url), **options)
    if prepare is not None:
        prepare(scheduler)
    scheduler.start(standby=standby)


def leads(client: Redis, name: str) -> bool:
    """Whether the scheduler of that name holds the lock."""
    holder = client.get(LOCK)
    return holder is not None and holder.startswith(f"{name}:".encode())


def listens(client: Redis) -> bool:
    """Whether somebody listens to changes."""
    return client.pubsub_numsub(EVENTS)[0][1] > 0


def falls_silent(client: Redis, seconds: float = 0.2) -> bool:
    """Whether nobody else asks the server for anything for so long."""
    count = count_commands(client)
    moment = time.monotonic()
    wait_until(lambda: time.monotonic() > moment + seconds)
    return count_commands(client) == count + 1


def count_commands(client: Redis) -> int:
    """That the server has ever executed, but for this one."""
    count: int = client.info("stats")["total_commands_processed"]
    return count


def roles(client: Redis) -> dict[str, str]:
    """Of all schedulers in RQ's registry, by name."""
    names = [name.decode() for name in client.zrange(SCHEDULERS, 0, -1)]
    return {name: (client.hget(scheduler_key(name), "role") or b"").decode() for name in names}


def project(server: Server) -> dict[str, str]:
    """The environment of the tests' own Django project, on that server."""
    return {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "REDISCRON_TEST_URL": server.url,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


@contextmanager
def command(
    server: Server, *declared: dict[str, object], arguments: tuple[str, ...] = (), name: str = "one"
) -> Iterator[subprocess.Popen[str]]:
    """`manage.py rqcron_scheduler` in a project that declares these."""
    options = {**project(server), "REDISCRON_TEST_DECLARED": json.dumps(declared)}
    arguments = ("-m", "django", "rqcron_scheduler", "--name", name, *arguments)
    process = start_python(*arguments, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def declare(scheduler: RedisCronScheduler) -> None:
    """Let a program declare one schedule."""

    def sync() -> None:
        scheduler.register(tasks.echo, "declared", "declared", interval=86400)

    scheduler.sync = sync  # type: ignore[method-assign]


def register_every_second(client: Redis) -> None:
    start = datetime.now(timezone.utc)
    for number in range(SCHEDULES):
        RedisCronJob(
            f"s{number}",
            "metrics",
            tasks.echo,
            interval=1,
            next_enqueue_time=start + timedelta(seconds=number / SCHEDULES),
            connection=client,
        ).save()


def assert_no_occurrence_twice(seen: Witness) -> None:
    """Each job was for a time later than the one before, by whole seconds, and queued once."""
    assert len(seen.pushed) == len(set(seen.pushed))
    assert set(seen.pushed) == {job for jobs in seen.jobs.values() for job in jobs}
    for id, times in seen.times.items():
        assert len(times) == len(seen.jobs[id])
        for earlier, later in pairwise(times):
            step = later - earlier
            assert step == pytest.approx(max(1, round(step)), abs=1e-5), f"{id}: {times}"
