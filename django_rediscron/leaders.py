"""Schedulers of several servers in one process, each in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from redis.exceptions import RedisError

from .core.exceptions import SchedulerLockedError
from .core.process.inbox import NAP, Signals
from .core.process.systemd import Chorus, speaking
from .core.scheduler import RedisCronScheduler
from .unreachable import reaching

RETRY_PAUSE = 10.0
"""Seconds after which a scheduler that ended with an error is started again."""

logger = logging.getLogger(__name__)


class Leaders:
    """Runs these schedulers, each of them by the name of its server.

    Each stands by until it can lead, so that a server which is away, or where another scheduler
    leads, keeps none of the others from working. One that ends with an error all the same is logged
    and started again. Log lines begin with the name of the server.
    """

    def __init__(self, schedulers: Mapping[str, RedisCronScheduler]) -> None:
        self._schedulers = schedulers
        self._chorus = Chorus(schedulers)
        self._stopping = False
        self.failures: dict[str, BaseException] = {}
        """How those ended that did so with an error, in a burst."""

    def run(self, *, burst: bool) -> None:
        """Run until asked to stop, by SIGINT or SIGTERM; with `burst`, one pass on each server."""
        threads = [
            threading.Thread(target=self._run_one, args=(name, burst), name=name)
            for name in self._schedulers
        ]
        with Signals(self), _servers_in_logs():
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(NAP)

    def stop(self) -> None:
        """Ask all of them to stop; from any thread or signal."""
        self._stopping = self._chorus.is_stopping = True
        for scheduler in self._schedulers.values():
            scheduler.stop()

    def ask_to_sync(self) -> None:
        """Ask all of them to sync, as SIGHUP does."""
        for scheduler in self._schedulers.values():
            scheduler.ask_to_sync()

    def _run_one(self, name: str, burst: bool) -> None:
        _thread.server = name
        scheduler = self._schedulers[name]
        with speaking(lambda state: self._chorus.tell(name, state)):
            while not self._stopping:
                try:
                    with reaching(scheduler.connection):
                        scheduler.start(burst=burst, standby=not burst)
                    return
                except (Exception, SystemExit) as error:  # code of a project may call sys.exit
                    expected = isinstance(error, (RedisError, SchedulerLockedError))
                    logger.error("%s", error, exc_info=None if expected else error)
                    self.failures[name] = error
                if burst:
                    return
                self._pause(name)

    def _pause(self, name: str) -> None:
        until = time.monotonic() + RETRY_PAUSE
        while not self._stopping and time.monotonic() < until:
            self._chorus.tell(name, "WATCHDOG=1\nSTATUS=ended with an error")
            time.sleep(NAP)


_thread = threading.local()


@contextmanager
def _servers_in_logs() -> Iterator[None]:
    """Inside, what a thread of a server logs begins with the server's name."""
    make = logging.getLogRecordFactory()

    def make_with_server(*args: object, **options: object) -> logging.LogRecord:
        record = make(*args, **options)
        name = getattr(_thread, "server", None)
        if name is not None:
            prefix = name.replace("%", "%%") if record.args else name
            record.msg, record.server = f"{prefix}: {record.msg}", name
        return record

    logging.setLogRecordFactory(make_with_server)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)
