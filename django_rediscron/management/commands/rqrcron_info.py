"""`rqrcron info` on a connection of `RQ_QUEUES`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_rediscron.checks import SETTINGS
from django_rediscron.cli.listing import check_interval, reader, show
from django_rediscron.cli.listing.several import show_each
from django_rediscron.conf import conf
from django_rediscron.core.timing.durations import as_seconds
from django_rediscron.queues import get_connection, queue_configs, servers
from django_rediscron.terminal import printing
from django_rediscron.unreachable import UnreachableError


class Command(BaseCommand):
    help = (
        "Lists the schedules of all queues, or of each QUEUE: id, interval or cron expression, "
        "state, next enqueue time (UTC) and queue."
    )
    requires_system_checks = (SETTINGS,)

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("queues", nargs="*", metavar="QUEUE", help="list the schedules of this queue only")
        add(
            "--queue",
            help="the queue whose Redis is listed (default: QUEUE, else the setting QUEUE)",
        )
        add("--all", action="store_true", help="list every Redis of RQ_QUEUES, once")
        add("--by-queue", "-R", action="store_true", help="group the table by queue")
        add(
            "--interval",
            "-i",
            type=as_seconds,
            metavar="SECONDS",
            help="redraw so often until Ctrl-C: 90, 10m",
        )
        add("--json", action="store_true", help="print one JSON object on one line")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["interval"] is not None:
                check_interval(options["interval"])
            if options["all"]:
                self._show_all(options)
                return
            with printing():
                show(
                    reader(
                        get_connection(_whose_redis(options)),
                        options["queues"],
                        queue_configs(),
                        streamed=options["json"],
                    ),
                    queues=options["queues"],
                    by_queue=options["by_queue"],
                    interval=options["interval"],
                    as_json=options["json"],
                    write=self.stdout.write,
                    write_part=partial(self.stdout.write, ending=""),
                    warn=self.stderr.write,
                )
        except (ValueError, UnreachableError) as error:  # a bad interval, an unknown queue
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"cannot write the output: {error.strerror}") from None
        except KeyboardInterrupt:
            sys.exit(130)

    def _show_all(self, options: dict[str, Any]) -> None:
        if options["queues"] or options["queue"] or options["interval"]:
            raise CommandError(
                "--all lists every server once; leave out QUEUE, --queue and --interval",
                returncode=2,
            )
        by_queue, as_json = options["by_queue"], options["json"]
        with printing():
            write = self.stdout.write
            found = show_each(servers(), reader, by_queue=by_queue, as_json=as_json, write=write)
        if not found:
            sys.exit(1)


def _whose_redis(options: dict[str, Any]) -> str:
    """The queue to take the connection from; the Redis of those that are to be listed, if known."""
    named = (name for name in options["queues"] if name in queue_configs())
    return options["queue"] or next(named, conf.QUEUE)
