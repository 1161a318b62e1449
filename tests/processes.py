"""Real schedulers and workers for the tests, and ways to await what they do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import rq
from redis import Redis

from django_rediscron.core.monitoring.leadership import read_leadership
from tests.forks import Program, forks

SCHEDULER = """
import logging, sys
from redis import Redis
from django_rediscron.core import RedisCronScheduler
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
scheduler = RedisCronScheduler(
    Redis.from_url({url!r}), name={name!r}, lock_ttl={lock_ttl}, max_sleep_interval={max_sleep}
)
scheduler.start()
"""


@contextmanager
def running_scheduler(
    url: str, name: str = "first", lock_ttl: float = 120, max_sleep: float = 60.0
) -> Iterator[Program]:
    """A scheduler process that holds the lock; killed at the end if it still lives.

    It sleeps for longer than the tests wait, unless something wakes it or it is told otherwise.
    """
    script = SCHEDULER.format(url=url, name=name, lock_ttl=lock_ttl, max_sleep=max_sleep)
    process = Program("-c", script)
    try:
        connection = Redis.from_url(url)
        wait_until(lambda: _leads(connection, name), timeout=60)
        wait_until(lambda: connection.pubsub_numsub("rq:cron_jobs:events")[0][1] >= 1)
        connection.close()
        yield process
    finally:
        process.close()


def _leads(connection: Redis, name: str) -> bool:
    """Whether it holds the lock and has entered the registry, which comes a moment later."""
    leader = read_leadership(connection).leader
    return leader is not None and leader.name == name and leader.role == "leader"


@contextmanager
def working(
    url: str, kind: str = "Worker", name: str | None = None, heartbeat_ttl: int = 2
) -> Iterator[int]:
    """A worker of queue `metrics` whose heartbeats last for so many seconds; its pid."""
    process = forks.Process(target=_work, args=(url, kind, name, heartbeat_ttl))
    process.start()
    try:
        assert process.pid is not None
        yield process.pid
    finally:
        process.kill()
        process.join()


def _work(url: str, kind: str, name: str | None, heartbeat_ttl: int) -> None:
    def ttl(*arguments: object, **options: object) -> int:
        return heartbeat_ttl

    connection = Redis.from_url(url)
    beating = type("Beating", (getattr(rq, kind),), {"get_heartbeat_ttl": ttl})
    worker = beating(
        [rq.Queue("metrics", connection=connection)],
        name=name,
        connection=connection,
        job_monitoring_interval=1,
    )
    worker.work(logging_level="WARNING")


def start_python(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A Python process with its output in one pipe."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def close(stream: IO[str] | None) -> None:
    if stream is not None:
        stream.close()


def next_job_id(connection: Redis, queue_name: str, timeout: float = 20) -> str:
    """Await the next job in a queue, and take it out."""
    popped = connection.blpop([f"rq:queue:{queue_name}"], timeout=timeout)
    assert popped is not None, f"nothing came into queue {queue_name!r} within {timeout} s"
    return str(popped[1].decode())


def within(seconds: float, attempt: Callable[[], float]) -> None:
    """A promise of time: kept in one of three attempts, for others use this machine, too.

    An attempt returns the seconds that it took. Where a process gets but a part of a processor, it
    may take as much longer.
    """
    taken: list[float] = []
    while len(taken) < 3:
        taken.append(attempt())
        if taken[-1] <= seconds or taken[-1] <= seconds * _slowness():
            return
    raise AssertionError(f"{seconds} s are promised, and it took {taken} s")


def _slowness() -> float:
    """Seconds that a tenth of a second of work takes now, in tenths."""
    begin, done = time.monotonic(), time.process_time() + 0.1
    while time.process_time() < done:
        pass
    return (time.monotonic() - begin) / 0.1


def wait_until(condition: Callable[[], object], timeout: float = 30) -> None:
    """For what nothing announces: ask until it is so."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
