"""Writing the declared schedules by hand, or looking what that would change."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, SystemCheckError

from django_rediscron.checks import SETTINGS
from django_rediscron.cli.verb import command_line_actor
from django_rediscron.core import InvalidScheduleError
from django_rediscron.core.store.actors import acting_as
from django_rediscron.sync.orphans import add_orphan_arguments
from django_rediscron.sync.report import SyncReport
from django_rediscron.sync.syncing import reset, try_sync
from django_rediscron.terminal import printing
from django_rediscron.unreachable import UnreachableError

DIFFERENT = 1
"""Exit status of `--check` if anything would change; without it, if something was not written."""

UNCHECKED = 2
"""Exit status of `--check` if something that is declared could not be compared."""


class Command(BaseCommand):
    help = (
        "Writes the declared schedules to Redis, to each one that RQ_QUEUES names, and keeps what "
        "people changed or deleted. Exit status 1 if a schedule could not be written. With "
        "--check: 1 if anything would change, 2 if a schedule could not be checked, because its "
        "declaration is wrong or its Redis does not answer."
    )
    requires_system_checks = (SETTINGS,)  # one bad declaration is no reason to leave out all

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

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except SystemCheckError as error:  # wrong settings: nothing was looked at
            if options["json"]:
                report = SyncReport(check=options["check"], not_synced=[str(error)])
                self.stdout.write(json.dumps(report.to_dict()))
            error.returncode = UNCHECKED if options["check"] else DIFFERENT
            raise

    def handle(self, *args: Any, **options: Any) -> None:
        if options["reset"] and (options["prune"] or options["disable_orphans"]):
            raise CommandError("--reset is for one schedule: give it without --prune and the like")
        failure = UNCHECKED if options["check"] else DIFFERENT
        report, failed = _reset(options) if options["reset"] else _sync(options)
        try:
            with printing():
                if options["json"]:
                    self.stdout.write(json.dumps(report.to_dict()))
                elif options["verbosity"] and failed is None:
                    for line in report.lines():
                        self.stdout.write(line)
        except OSError as error:
            raise CommandError(f"cannot write the output: {error.strerror}") from None
        if failed is not None:
            raise CommandError(str(failed), returncode=failure)
        for reason in report.not_synced:
            self.stderr.write(f"not synced: {reason}")
        for reason in report.unreachable:
            self.stderr.write(f"not searched for orphans: {reason}")
        if report.incomplete:
            sys.exit(failure)
        if options["check"] and report.differs:
            sys.exit(DIFFERENT)


def _sync(options: dict[str, Any]) -> tuple[SyncReport, Exception | None]:
    names = ("check", "prune", "disable_orphans")
    try:
        return try_sync(**{name: options[name] for name in names})
    except InvalidScheduleError as error:
        report = SyncReport(check=options["check"])
        report.not_synced.append(str(error))
        return report, error


def _reset(options: dict[str, Any]) -> tuple[SyncReport, Exception | None]:
    id, *fields = options["reset"]
    report = SyncReport(check=options["check"])
    try:
        with acting_as(command_line_actor()):
            return reset(id, fields, check=options["check"]), None
    except InvalidScheduleError as error:
        report.failed[id] = str(error)
        return report, error
    except UnreachableError as error:
        report.not_synced.append(str(error))
        return report, error
