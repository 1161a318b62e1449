"""The scheduler process of a Django project."""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from redis.exceptions import RedisError

from django_rediscron.checks import SETTINGS
from django_rediscron.conf import conf
from django_rediscron.core import (
    InvalidScheduleError,
    LeadershipLostError,
    SchedulerLockedError,
)
from django_rediscron.core.monitoring.leadership import read_leadership
from django_rediscron.core.quoting import quoted
from django_rediscron.core.schedule.origin import describe
from django_rediscron.core.store.connections import own_client
from django_rediscron.core.timing.durations import as_seconds
from django_rediscron.leaders import Leaders
from django_rediscron.queues import queues_beside, servers
from django_rediscron.schedulers import DjangoRedisCronScheduler, get_scheduler
from django_rediscron.sync.orphans import add_orphan_arguments
from django_rediscron.sync.syncing import sync
from django_rediscron.terminal import take_any_text
from django_rediscron.unreachable import UnreachableError, reaching

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOST = 3
"""Exit status for a supervisor that starts the scheduler again: another one leads now."""

LOGGERS = ("django_rediscron", "rq.cron")


class Command(BaseCommand):
    help = (
        "Writes the declared schedules to Redis, then enqueues what is due until it is stopped. "
        "Exit status 1 when another scheduler runs there or Redis cannot be used, 3 when another "
        "scheduler took over from this one."
    )
    requires_system_checks = (SETTINGS,)  # one bad declaration is no reason to stop all the others

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--queue", help="the queue whose Redis is used (default: the setting QUEUE)")
        add(
            "--all",
            action="store_true",
            help="run a scheduler for every Redis of RQ_QUEUES, each of which waits until it leads",
        )
        add("--name", default="", help="unique name (default: host, PID and a random suffix)")
        add(
            "--lock-ttl",
            type=as_seconds,
            metavar="SECONDS",
            help="seconds before another scheduler may take over after a crash "
            "(default: the setting LOCK_TTL)",
        )
        add(
            "--max-sleep-interval",
            type=as_seconds,
            metavar="SECONDS",
            help="maximum seconds between checks for changes "
            "(default: the setting MAX_SLEEP_INTERVAL)",
        )
        add(
            "--standby",
            action="store_true",
            help="while another scheduler runs there, wait to take over from it",
        )
        add("--burst", action="store_true", help="enqueue what is due now, then exit")
        add("--no-sync", action="store_true", help="do not write the declared schedules first")
        add_orphan_arguments(parser)
        add("--pid", metavar="FILE", help="write the process id to this file while it runs")
        add(
            "--logging-level",
            "-l",
            type=str.upper,
            choices=LEVELS,
            help="overrides --verbosity (0: WARNING, 1: INFO, 2 and 3: DEBUG)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        take_any_text()  # ids in log lines, wherever LOGGING sends them
        level = options["logging_level"] or _level(options["verbosity"])
        if options["all"]:
            self._run_all(level, options)
            return
        try:
            scheduler = _scheduler(level, options)
            if options["logging_level"] or options["verbosity"] != 1:
                _set_level(level)
            with _pid_file(options["pid"]):
                self._set_sync(scheduler, options["queue"] or conf.QUEUE, options)
                # It runs for months and uses no database: servers drop idle connections.
                connections.close_all()
                with reaching(scheduler.connection):
                    scheduler.start(burst=options["burst"], standby=options["standby"])
        except LeadershipLostError as error:
            raise CommandError(str(error), returncode=LOST) from None
        except SchedulerLockedError as error:
            raise CommandError(f"{error}{_whose(scheduler)}") from None
        except (InvalidScheduleError, UnreachableError) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:  # before the scheduler minds signals itself
            sys.exit(130)

    def _run_all(self, level: str, options: dict[str, Any]) -> None:
        """A scheduler for each server."""
        if options["queue"]:
            raise CommandError("--all runs one for every server; leave out --queue", returncode=2)
        schedulers = {}
        for server in servers():
            queue = next(queues_beside(server.connection))
            schedulers[server.name] = scheduler = _scheduler(level, {**options, "queue": queue})
            self._set_sync(scheduler, queue, options)
        if not schedulers:
            raise CommandError("no queue of RQ_QUEUES leads to a Redis; run `manage.py check`")
        if options["logging_level"] or options["verbosity"] != 1:
            _set_level(level)
        leaders = Leaders(schedulers)
        try:
            with _pid_file(options["pid"]):
                connections.close_all()
                leaders.run(burst=options["burst"])
        except KeyboardInterrupt:
            sys.exit(130)
        if options["burst"] and leaders.failures:
            raise CommandError(
                "; ".join(f"{name}: {error}" for name, error in leaders.failures.items())
            )

    def _set_sync(
        self, scheduler: DjangoRedisCronScheduler, queue: str, options: dict[str, Any]
    ) -> None:
        if options["no_sync"]:
            return
        orphans = {name: options[name] for name in ("prune", "disable_orphans")}
        warn = not options["all"]
        scheduler.sync = lambda: self._sync(queue, scheduler, warn_of_elsewhere=warn, **orphans)

    def _sync(
        self,
        queue: str,
        scheduler: DjangoRedisCronScheduler,
        *,
        warn_of_elsewhere: bool,
        **orphans: bool,
    ) -> None:
        report = sync(queue, step=scheduler.keep_alive, **orphans)
        log = scheduler.log
        log.info("Declared schedules: %s", report.totals())
        for id, overrides in report.overridden.items():
            log.info("Schedule %r is not as declared: %s", id, describe(overrides))
        for id in report.orphans:
            log.warning("Schedule %r is an orphan: %s", id, report.why_orphan(id))
        for id, reason in report.failed.items():
            log.error("Schedule %r could not be written: %s", id, reason)
        if report.elsewhere and warn_of_elsewhere:
            log.warning(
                "%d declared %s on another Redis, which needs a scheduler of its own "
                "(see --all and --queue): %s",
                len(report.elsewhere),
                "schedule is" if len(report.elsewhere) == 1 else "schedules are",
                ", ".join(report.elsewhere),
            )


def _whose(scheduler: DjangoRedisCronScheduler) -> str:
    """What it means that the scheduler of another project leads."""
    try:
        leader = read_leadership(own_client(scheduler.connection)).leader
    except (RedisError, OSError):
        return ""
    ours = scheduler.application
    if leader is None or leader.application in (None, ours):
        return ""
    whose, ours = quoted(leader.application), quoted(ours)
    return (
        f". It is the scheduler of application {whose}, and enqueues what {ours} declares as well: "
        f"run `manage.py rqrcron_sync` of {ours} when you deploy it"
    )


def _level(verbosity: int) -> str:
    return {0: "WARNING", 1: "INFO"}.get(verbosity, "DEBUG")


def _scheduler(level: str, options: dict[str, Any]) -> DjangoRedisCronScheduler:
    given = {
        name: options[name]
        for name in ("lock_ttl", "max_sleep_interval")
        if options[name] is not None
    }
    try:
        return get_scheduler(options["queue"], logging_level=level, name=options["name"], **given)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _set_level(level: str) -> None:
    """What the command line asks for wins over LOGGING; its default does not."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(level)


@contextmanager
def _pid_file(name: str | None) -> Iterator[None]:
    """The file holds our process id inside, and is gone afterwards.

    Where another scheduler leads it may be that one's file too: then it gets back what it said.
    """
    if not name:
        yield
        return
    path = Path(name).expanduser()
    ours = f"{os.getpid()}\n".encode()
    after: bytes | None = None
    try:
        before = _replace(path, ours)
    except OSError as error:
        raise CommandError(f"--pid {name}: cannot be written: {error.strerror}") from None
    try:
        yield
    except SchedulerLockedError:
        after = before
        raise
    finally:
        with suppress(OSError):
            if _read(path) == ours:
                path.unlink() if after is None else _replace(path, after)


def _replace(path: Path, content: bytes) -> bytes | None:
    """Write a file, and return what it held; None for one that is new. Raises OSError.

    Who may write to its directory must not lead us elsewhere: a link is not followed. What is no
    file, such as a pipe that nobody reads, is refused instead of waited for.
    """
    before = None
    with suppress(FileNotFoundError):
        before = _read(path)
    with open(_open(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
        file.truncate()
        file.write(content)
    return before


def _read(path: Path) -> bytes:
    with open(_open(path, os.O_RDONLY), "rb") as file:
        return file.read()


def _open(path: Path, flags: int) -> int:
    try:
        opened = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(error.errno, "it is a symbolic link") from None
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return opened
