"""Writing the declared schedules by hand, or looking what that would change."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_rediscron.core import InvalidScheduleError
from django_rediscron.listing import UnreachableError, one_line
from django_rediscron.sync import Changes, SyncReport, sync


class Command(BaseCommand):
    help = (
        "Writes the declared schedules to Redis, to each one that RQ_QUEUES names. "
        "With --check, exit status 1 when Redis says anything else than the code."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="write nothing, print what would change"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = sync(check=options["check"])
        except (InvalidScheduleError, UnreachableError) as error:
            raise CommandError(str(error)) from None
        if options["verbosity"]:
            for line in _lines(report, check=options["check"]):
                self.stdout.write(line)
        if options["check"] and report.differs:
            sys.exit(1)


def _lines(report: SyncReport, *, check: bool) -> Iterator[str]:
    create, update = ("create", "update") if check else ("created", "updated")
    for id in report.created:
        yield f"{create}  {id}"
    for id, changes in report.updated.items():
        yield f"{update}  {id}: {_changes(changes)}"
    totals = ("{} to create, {} to update" if check else "{} created, {} updated").format(
        len(report.created), len(report.updated)
    )
    yield f"{totals}, {report.unchanged} unchanged"


def _changes(changes: Changes) -> str:
    return one_line(
        ", ".join(
            f"was damaged ({old})"
            if field == "damaged"
            else f"{field} {_shown(old)} -> {_shown(new)}"
            for field, (old, new) in changes.items()
        )
    )


def _shown(value: str) -> str:
    return value or "none"
