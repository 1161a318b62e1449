"""Writing the declared schedules by hand, or looking what that would change."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_rediscron.core import InvalidScheduleError
from django_rediscron.sync import reset, sync
from django_rediscron.sync_report import SyncReport
from django_rediscron.terminal import printing
from django_rediscron.unreachable import UnreachableError


class Command(BaseCommand):
    help = (
        "Writes the declared schedules to Redis, to each one that RQ_QUEUES names, and keeps what "
        "people changed or deleted. With --check, exit status 1 when anything would change. Exit "
        "status 1 also where a schedule could not be written."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--check", action="store_true", help="write nothing, print what would change")
        add("--json", action="store_true", help="print one JSON object on one line")
        add(
            "--reset",
            nargs="+",
            metavar=("ID", "FIELD"),
            help="take these fields of one schedule from the code again, by default all that "
            "somebody changed; create it again if somebody deleted it; touch nothing else",
        )
        add_orphan_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        orphans = {name: options[name] for name in ("prune", "disable_orphans")}
        if options["reset"] and any(orphans.values()):
            raise CommandError("--reset is for one schedule: give it without --prune and the like")
        try:
            if options["reset"]:
                id, *fields = options["reset"]
                report = reset(id, fields, check=options["check"])
            else:
                report = sync(check=options["check"], **orphans)
        except (InvalidScheduleError, UnreachableError) as error:
            raise CommandError(str(error)) from None
        try:
            with printing():
                self._print(report, options)
        except OSError as error:
            raise CommandError(f"cannot write the output: {error.strerror}") from None
        for reason in report.not_synced:
            self.stderr.write(f"not synced: {reason}")
        for reason in report.unreachable:
            self.stderr.write(f"not searched for orphans: {reason}")
        if report.incomplete or (options["check"] and report.differs):
            sys.exit(1)

    def _print(self, report: SyncReport, options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(report.to_dict()))
        elif options["verbosity"]:
            for line in report.lines():
                self.stdout.write(line)


def add_orphan_arguments(parser: ArgumentParser) -> None:
    """What to do with schedules that the code does not declare any more."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--prune",
        action="store_true",
        help="delete the schedules that this project declared and does not declare any more",
    )
    group.add_argument(
        "--disable-orphans", action="store_true", help="disable them instead; without: flag them"
    )
