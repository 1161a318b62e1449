"""Processes to be killed, frozen and cut off.

They are forked from a server process that has imported everything, so that hundreds of them cost
little; each makes its own connections.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, ClassVar

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from redis.retry import Retry

from django_rediscron import Notification, Receiver, acting_as
from django_rediscron.core import RedisCronScheduler, SchedulerLockedError
from django_rediscron.core import scheduler as scheduler_module
from django_rediscron.core.dispatch import dispatcher as dispatch
from django_rediscron.core.dispatch import due
from django_rediscron.core.dispatch.protocol import LockLostError
from django_rediscron.core.notifying import telling
from django_rediscron.core.process.leading import Leading
from django_rediscron.core.story import following
from tests.forks import forks
from tests.scripts import Replacements, replace

STOPPED, LOCKED, CUT_OFF, FAILED = 0, 3, 4, 5
"""Exit codes: ended by itself; does not lead; Redis was away or refused; anything else."""

KILLED = -signal.SIGKILL


class Victim:
    """A process that runs `action(url, **options)`, one of the functions below."""

    all: ClassVar[list[Victim]] = []
    """Those of this test; see `end_all`."""

    def __init__(self, action: Callable[..., None], url: str, **options: Any) -> None:
        self._outcome, outcome = forks.Pipe(duplex=False)
        arguments = (action, url, options, outcome)
        self._process = forks.Process(target=_run, args=arguments, daemon=True)
        self._started = threading.Event()
        self.error = ""
        self.sent: set[int] = set()
        """Signals that it was sent."""

    @classmethod
    def end_all(cls) -> None:
        """Leave nobody behind."""
        for victim in cls.all:
            if not victim.has_ended:
                victim.send(signal.SIGKILL)
        cls.all.clear()

    def start(self) -> Victim:
        self.all.append(self)
        self._process.start()
        self._started.set()
        return self

    @property
    def pid(self) -> int:
        """Its number; waits for its start."""
        assert self._started.wait(60)
        assert self._process.pid is not None
        return self._process.pid

    def send(self, number: int) -> None:
        """Send it a signal. Does not return from a SIGKILL before it is dead."""
        self.sent.add(number)
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
            while number == signal.SIGKILL:
                os.kill(self.pid, 0)
                time.sleep(0.001)

    @property
    def has_ended(self) -> bool:
        return self._process.exitcode is not None

    def wait(self, timeout: float = 60) -> int:
        """Its exit code, when it has ended; `error` is what it raised."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            self.send(signal.SIGKILL)
            raise AssertionError(f"the process did not end within {timeout} s")
        with suppress(EOFError):
            if self._outcome.poll():
                self.error = self._outcome.recv()
        return code


def lead(
    url: str,
    *,
    name: str = "victim",
    burst: bool = True,
    batch: int = 3,
    lock_ttl: float = 30,
    standby: bool = False,
    retries: int = 0,
    removed: Replacements = (),
    script: str = "dispatch",
    heartbeats: bool = True,
) -> None:
    """A scheduler, for one pass or until it is stopped.

    It makes a client of its own, which repeats nothing; with `retries` that is undone. Its lock may
    live for less than a second, so that the tests need not wait for longer. `removed` is taken out
    of that script. Without `heartbeats` it sends none between the steps of long work.
    """
    dispatch.BATCH = due.ROOM = following.MOST_ENDED = batch
    scheduler_module.SHORTEST_LOCK_TTL = 0
    replace(script, removed)
    if not heartbeats:
        Leading.keep_alive = lambda life: None  # type: ignore[method-assign]
    if retries:
        scheduler_module.own_client = lambda connection: connection
    scheduler = RedisCronScheduler(connect(url, retries), name=name, lock_ttl=lock_ttl)
    scheduler.start(burst=burst, standby=standby)


def lead_and_tell(
    url: str, *, direct: str, removed: Replacements = (), script: str = "take_notifications"
) -> None:
    """A scheduler for one pass, whose receiver pushes what it is told to the list `told`.

    It does so on a connection to `direct`. `removed` is taken out of that script.
    """
    telling.RETRY = 0.01
    replace(script, removed)
    scheduler_module.SHORTEST_LOCK_TTL = 0
    receivers = [pusher(Redis.from_url(direct))]
    RedisCronScheduler(connect(url), name="victim", receivers=receivers).start(burst=True)


def pusher(connection: Redis) -> Receiver:
    """A receiver that pushes what it is told to a list."""

    def push(notifications: Sequence[Notification]) -> None:
        for each in notifications:
            assert each.run is not None
            connection.rpush("told", f"{each.kind} {each.run.job_id}")

    return Receiver("pusher", push)


def lead_when_free(url: str, *, name: str, lock_ttl: float) -> None:
    """A scheduler that waits until it may lead."""
    while True:
        with suppress(SchedulerLockedError):
            lead(url, name=name, lock_ttl=lock_ttl, burst=False, batch=200)
            return
        time.sleep(0.005)


def edit(
    url: str,
    *,
    how: Callable[[Redis], None],
    retries: int = 0,
    removed: Replacements = (),
) -> None:
    """An editor."""
    replace("save", removed)
    with acting_as("victim"):
        how(connect(url, retries))


def connect(url: str, retries: int = 0) -> Redis:
    """A client that sends a command again so often when its connection breaks.

    Whatever redis-py's version does by default: 5.0 does not repeat, 8.1 does.
    """
    retry = Retry(ConstantBackoff(0.001), retries)
    errors = [ConnectionError, TimeoutError] if retries else []
    return Redis.from_url(url, retry=retry, retry_on_error=errors)


def _run(
    action: Callable[..., None], url: str, options: dict[str, Any], outcome: Connection
) -> None:
    logging.disable()  # hundreds of processes
    try:
        action(url, **options)
    except BaseException as error:
        outcome.send(repr(error))
        if isinstance(error, (SchedulerLockedError, LockLostError)):
            sys.exit(LOCKED)
        away = isinstance(error, (RedisError, OSError))
        sys.exit(CUT_OFF if away else FAILED)
