"""`rqrcron backfill`: jobs for the occurrences of a schedule in a span of the past."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice

import click
from redis import Redis

from ...core.backfill.note import Order
from ...core.backfill.running import ENQUEUED, RAN_ALREADY, Backfill, Step
from ...core.timing.durations import seconds_from_text
from ...terminal import columns, confirm, fitted, one_line, with_progress
from ..completion import complete_id
from ..options import json_option, moment_in, time_fact
from ..selection import check_id
from ..story.history import short_time
from ..verb import Verb

MOST = 1000
"""Jobs that are enqueued without --yes."""


def _time(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    """A duration would be another time whenever the command is repeated."""
    if value is None:
        return None
    try:
        seconds_from_text(value)
    except (ValueError, OverflowError):
        return moment_in(value)
    raise click.BadParameter(f"{value!r:.80} is not a time such as 2026-06-03T05:40")


@click.command(cls=Verb)
@click.argument("id", metavar="ID", shell_complete=complete_id)
@click.option(
    "--from",
    "begin",
    required=True,
    callback=_time,
    metavar="TIME",
    help="The begin (UTC), included: 2026-06-03T05:40.",
)
@click.option(
    "--to", "end", required=True, callback=_time, metavar="TIME", help="The end, included."
)
@click.option(
    "--as-of", callback=_time, metavar="TIME", help="By the definition of this time, not of today."
)
@click.option(
    "--per-minute",
    type=click.FloatRange(min=0, min_open=True),
    metavar="NUMBER",
    help="How many jobs are enqueued in a minute at most.",
)
@click.option("--again", is_flag=True, help="Also occurrences that ran already.")
@click.option("--abandon", is_flag=True, help="Forget an earlier backfill of this schedule.")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@json_option
def backfill(
    connection: Redis,
    id: str,
    begin: datetime,
    end: datetime,
    as_of: datetime | None,
    per_minute: float | None,
    again: bool,
    abandon: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Enqueue one job for each occurrence of a schedule in a span of the past, oldest first.

    It does not matter whether the schedule is enabled, and its times are not affected. Occurrences
    that have a run on record, by whatever cause and however it ended, are left out, except with
    --again. With an `overlap` other than "allow", each job waits for the end of the run before. A
    line for each occurrence says what became of it.

    The same command goes on if it was interrupted, and works on the same backfill if it is run
    twice. Another one of this schedule is refused until the first is finished, or with --abandon.
    It stops if the schedule is changed, disabled or deleted meanwhile. More than 1,000 jobs need
    --yes. If runs may have happened that are no longer on record, that is confirmed first.

    With --json, "id", "from", "to", "as_of" (or null), "again" and "dry_run" say what was asked
    for; "finished" is true if nothing is left; "left" is how many occurrences are; "enqueued" and
    "ran_already" count those before, earlier commands included; "occurrences" holds an object for
    each of this command (with --dry-run for the first 1,000) with occurrence, outcome, done (true
    if it was enqueued now) and job_id (or null). Times are in UTC.

    Exit status: 0; 1 when Redis cannot be used, or it was refused or stopped; 2 for wrong usage;
    130 after Ctrl-C.
    """
    check_id(id, connection)
    task = Backfill(id, Order(begin, end, as_of, again), connection, abandon=abandon)
    if not dry_run:
        _ask(task, yes=yes)
    report = _Report(task, dry_run=dry_run)
    work = islice(task.preview(), MOST) if dry_run else task.run(per_minute)
    try:
        for step in with_progress(work, report.count):
            report.steps.append(step)
    finally:  # also if it is stopped, or Redis goes away meanwhile
        for line in [report.to_json()] if as_json else report.lines():
            click.echo(line if as_json else fitted(line))


def _ask(task: Backfill, *, yes: bool) -> None:
    if yes:
        return
    number = task.count_to_enqueue()
    if number > MOST:
        raise click.UsageError(f"{number:,} jobs would be enqueued; more than {MOST:,} need --yes")
    if task.has_unknown():
        confirm(f"{_unknown(task)} Enqueue {number} jobs?")


def _unknown(task: Backfill) -> str:
    until = short_time(task.plan.unknown_until)
    return f"Runs before {until} may not be on record: what ran then would run twice."


class _Report:
    """What became of each occurrence, or would."""

    def __init__(self, task: Backfill, *, dry_run: bool) -> None:
        self.count = task.count()
        """Occurrences that were left before."""
        self.steps: list[Step] = []
        self._task = task
        self._dry_run = dry_run
        self._to_enqueue = task.count_to_enqueue()

    @property
    def _left(self) -> int:
        if self._dry_run:
            return self.count
        return 0 if self._task.is_finished else max(0, self.count - len(self.steps))

    @property
    def _counts(self) -> tuple[int, int]:
        """How many got a job, and how many ran already."""
        if self._dry_run:
            return self._to_enqueue, self.count - self._to_enqueue
        enqueued = sum(step.outcome == ENQUEUED for step in self.steps)
        return enqueued, len(self.steps) - enqueued

    def lines(self) -> Iterator[str]:
        """For people."""
        would = "would be " if self._dry_run else ""
        rows = [
            [
                short_time(step.occurrence),
                would + step.outcome if step.outcome == ENQUEUED else step.outcome,
                step.job_id,
            ]
            for step in self.steps
        ]
        yield from columns(rows) if rows else []
        if self._dry_run and len(self.steps) < self.count:
            yield f"... and {self.count - len(self.steps):,} more"
        if self._dry_run and self._task.has_unknown():
            yield _unknown(self._task)
        yield one_line(f"{self._task.id}: {self._summary(would)}")

    def _summary(self, would: str) -> str:
        enqueued, ran = self._counts
        text = f"{enqueued} {would}{ENQUEUED}, {ran} {RAN_ALREADY}"
        before = self._task.done_before
        if before:
            text += f", {before} {'was' if before == 1 else 'were'} done before"
        if self._left and not self._dry_run:
            return f"{text}, {self._left} left; the same command goes on"
        if not self.steps and self._task.is_finished:
            return f"{text}; it is finished, and --abandon begins it anew"
        return text

    def to_json(self) -> str:
        """For programs."""
        order = self._task.order
        done = (0, 0) if self._dry_run else self._counts
        enqueued, ran = (sum(both) for both in zip(self._task.counts_before, done, strict=True))
        facts = [
            {
                "occurrence": time_fact(step.occurrence),
                "outcome": step.outcome,
                "done": not self._dry_run and step.outcome == ENQUEUED,
                "job_id": step.job_id or None,
            }
            for step in self.steps
        ]
        return json.dumps(
            {
                "id": self._task.id,
                "from": time_fact(order.begin),
                "to": time_fact(order.end),
                "as_of": time_fact(order.as_of),
                "again": order.again,
                "dry_run": self._dry_run,
                "finished": self._task.is_finished,
                "enqueued": enqueued,
                "ran_already": ran,
                "left": self._left,
                "occurrences": facts,
            }
        )
