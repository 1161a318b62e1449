"""`rqrcron health` on a connection of `RQ_QUEUES`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_rediscron.cli.monitoring.health import probing, tell_health
from django_rediscron.conf import conf
from django_rediscron.core.monitoring.health import MAX_LAG
from django_rediscron.core.timing.durations import as_seconds
from django_rediscron.queues import get_connection, servers
from django_rediscron.terminal import printing


class Command(BaseCommand):
    help = (
        "Says in one line whether schedules run. Exit status 0 when a scheduler leads and no "
        "schedule is late; else 1, and the line begins with the problem: redis unreachable, "
        "no scheduler, stalled scheduler, late schedules or schedules in error."
    )
    requires_system_checks = ()  # it is asked every few seconds, and the scheduler checked them

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--queue", help="the queue whose Redis is asked (default: the setting QUEUE)")
        add("--all", action="store_true", help="ask every Redis of RQ_QUEUES, a line for each")
        add(
            "--max-lag",
            type=as_seconds,
            default=MAX_LAG,
            metavar="SECONDS",
            help="how long a schedule may be due before it is late: 90, 10m (default: %(default)s)",
        )
        add("--json", action="store_true", help="print one JSON object on one line")
        add("--fail-on-error", action="store_true", help="fail for schedules in error, too")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["all"] and options["queue"]:
            raise CommandError("--all asks every server; leave out --queue", returncode=2)
        try:
            probe = probing(
                options["max_lag"],
                fail_on_error=options["fail_on_error"],
                application=conf.APPLICATION,
            )
            connection = get_connection(options["queue"] or conf.QUEUE)
        except ValueError as error:  # a bad lag, an unknown queue
            raise CommandError(str(error), returncode=2) from None
        asked = servers() if options["all"] else []
        with printing():
            write, as_json = self.stdout.write, options["json"]
            all_well = tell_health(probe, connection, asked, write, as_json=as_json)
        if not all_well:
            sys.exit(1)
