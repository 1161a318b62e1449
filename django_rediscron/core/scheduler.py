"""The scheduler process: birth, loop, death."""

from __future__ import annotations

import logging
import queue
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq.cron import CronScheduler
from rq.defaults import DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.exceptions import SchedulerNotFound, StopRequested
from rq.logutils import setup_loghandlers

from . import store
from .batch import LockLostError
from .codec import DEFAULT_RESULT_TTL
from .dispatch import Dispatcher
from .exceptions import InvalidScheduleError
from .job import RedisCronJob
from .keys import INDEX, INDEXED, LAST_UPDATE
from .listener import ChangeListener
from .lock import LeaderLock

PACKAGE_LOGGER = "django_rediscron"

HEARTBEATS_PER_TTL = 3
"""A heartbeat may come late by two thirds of the lock's life before the lock is lost."""

MAX_BACK_OFF = 1.0
"""Seconds between attempts while Redis is away: it is to be noticed soon when it is back."""


class RedisCronScheduler(CronScheduler):
    """Enqueues the schedules that live in Redis; one such process leads at a time.

    `connection`: the Redis that holds the schedules and the queues. `logging_level`: for a process
    that configured no logging itself. `name`: unique among schedulers, by default made of host, pid
    and chance. `lock_ttl`: seconds after which another scheduler may take over from one that died.
    `max_sleep_interval`: seconds after which a change is seen even where Pub/Sub does not work.
    """

    def __init__(
        self,
        connection: Redis,
        logging_level: str | int = logging.INFO,
        name: str = "",
        lock_ttl: int = 120,
        max_sleep_interval: float = 60.0,
    ) -> None:
        _check_positive("lock_ttl", lock_ttl)
        _check_positive("max_sleep_interval", max_sleep_interval)
        _set_up_logging(logging_level)
        super().__init__(connection, logging_level=logging_level, name=name)
        self.log = logging.getLogger(__name__)
        self.lock_ttl = lock_ttl
        self.max_sleep_interval = max_sleep_interval
        self._lock: LeaderLock | None = None
        self._dispatcher = Dispatcher(connection)
        self._inbox: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._stopping = False
        self._config_ids: Counter[str] | None = None

    # Schedules

    def register(  # type: ignore[override]
        self,
        func: Callable[..., Any],
        queue_name: str,
        id: str = "",
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        interval: int | None = None,
        cron: str | None = None,
        job_timeout: int | str | None = None,
        result_ttl: int | None = DEFAULT_RESULT_TTL,
        ttl: int | None = None,
        failure_ttl: int | None = None,
        meta: dict[str, Any] | None = None,
        enabled: bool | None = None,
        *,
        webhooks: Sequence[Any] | None = None,
        name: str = "",
    ) -> RedisCronJob:
        """Create the schedule `id`, or edit it: all its fields are as given here afterwards.

        An edit keeps `created_at`, and `enabled` where it is not given. Takes effect at once, in
        whatever process the scheduler runs. Raises `InvalidScheduleError` and writes nothing where
        the schedule could not run.
        """
        job = RedisCronJob(
            id=id or self._id_from_config(func, name),
            queue_name=queue_name,
            func=func,
            args=args,
            kwargs=kwargs,
            interval=interval,
            cron=cron,
            job_timeout=job_timeout,
            result_ttl=result_ttl,
            ttl=ttl,
            failure_ttl=failure_ttl,
            meta=meta,
            connection=self.connection,
            enabled=True if enabled is None else enabled,
            webhooks=webhooks,
            name=name,
        )
        job.enabled_given = enabled is not None
        self.register_many([job])
        return job

    def register_many(self, jobs: Sequence[RedisCronJob]) -> None:
        """Create or edit many schedules in few round trips, each one whole.

        `enabled` of a stored schedule is kept where the job's `enabled_given` is False.
        """
        store.define_many(jobs, self.connection)

    def load_config_from_file(self, config_path: str) -> None:
        """Register what a stock RQ cron file declares.

        Its jobs have no ids: each gets its RQ name, by default the name of its function, and where
        a file repeats a name, `#2`, `#3`, ... behind it.
        """
        self._config_ids = Counter()
        try:
            super().load_config_from_file(config_path)
        finally:
            self._config_ids = None

    def _id_from_config(self, func: Callable[..., Any], name: str) -> str:
        if self._config_ids is None:
            raise InvalidScheduleError("id is needed, got none; give the schedule a stable id")
        base = name or f"{func.__module__}.{func.__qualname__}"
        self._config_ids[base] += 1
        count = self._config_ids[base]
        return base if count == 1 else f"{base}#{count}"

    def get_jobs(self) -> list[RedisCronJob]:  # type: ignore[override]
        """The enabled schedules, by queue and id. Those that cannot be read are logged by name."""
        return self._readable(store.list_schedules(self.connection, enabled_only=True))

    def get_all_jobs(self) -> list[RedisCronJob]:
        """All schedules, disabled ones too. Those that cannot be read are logged by name."""
        return self._readable(store.list_schedules(self.connection))

    def _readable(self, listing: store.Listing) -> list[RedisCronJob]:
        for damaged in listing.damaged:
            self.log.warning("Schedule %r is damaged: %s", damaged.id, damaged.reason)
        return listing.jobs

    # A pass

    def enqueue_jobs(self) -> list[RedisCronJob]:  # type: ignore[override]
        """Enqueue what is due and return it; nothing where this scheduler does not lead."""
        if self._lock is None:
            return []
        enqueued: list[RedisCronJob] = []
        with suppress(LockLostError):
            for batch in self._dispatcher.enqueue_due(self._lock.token, self.lock_ttl):
                enqueued += [job.snapshot() for job in batch]
        return enqueued

    def calculate_sleep_interval(self) -> float:
        """Seconds until the next schedule is due, at most `max_sleep_interval`."""
        moment = time.time()
        foreign = self._dispatcher.foreign
        with self.connection.pipeline(transaction=False) as pipe:
            pipe.zrangebyscore(
                INDEX, "-inf", moment, start=0, num=len(foreign) + 1, withscores=True
            )
            pipe.zrangebyscore(INDEX, f"({moment}", "+inf", start=0, num=1, withscores=True)
            due, coming = pipe.execute()
        if any(foreign.get(_raw(id)) != score for id, score in due):
            return 0
        until = coming[0][1] - moment if coming else self.max_sleep_interval
        return max(0.0, min(until, self.max_sleep_interval))

    def save_jobs_data(self) -> None:
        """Nothing: each schedule is stored by itself, so there is no list to keep here."""

    # Life

    def start(self, burst: bool = False) -> None:
        """Lead until asked to stop; with `burst`, one pass.

        In the main thread SIGINT and SIGTERM ask it to stop, in any other only `stop()` does. Redis
        may go away and come back. Raises `SchedulerLockedError` where another scheduler leads, or
        has taken over meanwhile.
        """
        self.log.info("Scheduler %s: starting", self.name)
        handlers = self._install_signal_handlers()
        listener = ChangeListener(self.connection, self._notice)
        try:
            self.register_birth()
            try:
                self._reindex()
                if burst:
                    self._pass()
                else:
                    listener.start()
                    self._run()
            finally:
                listener.stop()
                self._die()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._stopping = False
        self.log.info("Scheduler %s: shutdown complete", self.name)

    def stop(self) -> None:
        """Ask a running scheduler to end after the pass in hand; from any thread or signal."""
        self._stopping = True
        self._inbox.put(_WAKE)

    def register_birth(self) -> None:
        """Take the lock and enter RQ's registry of schedulers.

        Raises `SchedulerLockedError`, a `RuntimeError`, before anything is registered where another
        scheduler holds the lock.
        """
        lock = LeaderLock(self.connection, self.name, self.lock_ttl)
        lock.acquire()
        self._lock = lock
        try:
            super().register_birth()
        except BaseException:
            self._lock = None
            lock.release()
            raise

    def register_death(self, pipeline: Any | None = None) -> None:
        """Leave RQ's registry of schedulers and release the lock, if it is still ours."""
        with suppress(SchedulerNotFound):
            super().register_death(pipeline)
        (self.connection if pipeline is None else pipeline).delete(self.key)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def heartbeat(self) -> None:
        """Extend the lock and tell RQ's registry that this scheduler lives.

        Raises `StopRequested` where the lock is not ours any more.
        """
        if self._lock is None or not self._lock.extend():
            self.log.warning("Scheduler %s: lost the lock", self.name)
            raise StopRequested
        super().heartbeat()

    def _install_signal_handlers(self) -> dict[int, Any]:
        """Returns the handlers that stood before; none where this is not the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {
            number: signal.signal(number, self._request_stop)
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    def _request_stop(self, signum: int, frame: Any) -> None:
        # A handler interrupts anything, a half-written command too; so it leaves word and returns.
        self.log.info("Scheduler %s: received %s", self.name, signal.Signals(signum).name)
        self.stop()

    def _run(self) -> None:
        trouble: float | None = None
        attempts = 0
        while not self._stopping:
            try:
                try:
                    self._pass()
                    self.heartbeat()
                except (LockLostError, StopRequested):
                    self._regain_lock()
                    continue
                pause = min(self.calculate_sleep_interval(), self.lock_ttl / HEARTBEATS_PER_TTL)
                if trouble is not None:
                    away = time.monotonic() - trouble
                    self.log.warning("Scheduler %s: Redis is back after %.1f s", self.name, away)
                trouble, attempts = None, 0
                self._sleep(pause)
            except (RedisError, OSError) as error:
                if trouble is None:
                    trouble = time.monotonic()
                    self.log.error("Scheduler %s: Redis is in trouble: %s", self.name, error)
                attempts += 1
                self._wait(random.uniform(0.5, 1) * min(MAX_BACK_OFF, 0.05 * 2 ** min(attempts, 9)))

    def _pass(self) -> None:
        assert self._lock is not None
        for _ in self._dispatcher.enqueue_due(self._lock.token, self.lock_ttl):
            if self._stopping:
                return

    def _regain_lock(self) -> None:
        """Redis may have lost the lock with its data. Raises where another scheduler has it."""
        lock = LeaderLock(self.connection, self.name, self.lock_ttl)
        lock.acquire()
        self._lock = lock
        self.log.warning("Scheduler %s: took the lost lock again", self.name)
        super().heartbeat()
        self._reindex()

    def _reindex(self) -> None:
        report = store.reindex(self.connection)
        if report.restored or report.pruned:
            self.log.warning(
                "Scheduler %s: repaired the index: %d schedules put back, %d stale members removed",
                self.name,
                report.restored,
                report.pruned,
            )

    def _sleep(self, seconds: float) -> None:
        """Sleep, or wake for what came in; a change by a program that keeps no index is entered."""
        ids = self._wait(seconds)
        if ids:
            indexed, updated = self.connection.mget(INDEXED, LAST_UPDATE)
            if indexed != updated:
                store.index_missing(ids, self.connection)

    def _wait(self, seconds: float) -> set[str]:
        """Wait for messages, at most so long; returns the ids of changed schedules."""
        ids: set[str] = set()
        try:
            message = self._inbox.get(timeout=max(0.0, seconds)) if seconds > 0 else None
            while True:
                if message is not None and message.id is not None:
                    ids.add(message.id)
                message = self._inbox.get_nowait()
        except queue.Empty:
            return ids

    def _notice(self, id: str | None) -> None:
        self._inbox.put(_Message(id))

    def _die(self) -> None:
        try:
            self.register_death()
        except (RedisError, OSError) as error:
            self.log.error(
                "Scheduler %s: could not sign off, the lock expires in %s s: %s",
                self.name,
                self.lock_ttl,
                error,
            )
            self._lock = None


class _Message:
    """Word to the sleeping scheduler: a schedule that changed, or just to look up."""

    __slots__ = ("id",)

    def __init__(self, id: str | None) -> None:
        self.id = id


_WAKE = _Message(None)


def _raw(id: str | bytes) -> bytes:
    return id.encode() if isinstance(id, str) else id


def _check_positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"{name} must be a positive number of seconds, got {value!r}")


def _set_up_logging(level: str | int) -> None:
    """Show log lines in a process that configured no logging, as RQ does; never in another."""
    if not logging.getLogger(PACKAGE_LOGGER).hasHandlers():
        setup_loghandlers(
            level=level,
            name=PACKAGE_LOGGER,
            log_format=DEFAULT_LOGGING_FORMAT,
            date_format=DEFAULT_LOGGING_DATE_FORMAT,
        )
