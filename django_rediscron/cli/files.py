"""`rqrcron export` and `rqrcron import`: schedules in files."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import click
from redis import Redis

from ..core.files.importing import DELETED, UNCHANGED, Import, Step
from ..core.files.nodes import Mistake, WrongFileError
from ..core.files.reading import ScheduleFile, read_file
from ..core.files.schema import schema as file_schema
from ..core.files.writing import FORMATS, file_text
from ..core.job import RedisCronJob
from ..core.quoting import LONGEST_MESSAGE, cut
from ..core.store import Damaged
from ..terminal import confirm, fitted, one_line, with_progress
from .options import json_option
from .selection import Selection, read_selected, selecting
from .story.changes import field_line
from .verb import Verb, tell_server


class _Offline(Verb):
    """A verb that with `--schema` needs no Redis."""

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params.pop("schema"):
            click.echo(json.dumps(file_schema(), indent=2))
            return None
        return super().invoke(ctx)


@click.command("export", cls=_Offline)
@selecting()
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="yaml",
    show_default=True,
    help="How the file is written; yaml needs PyYAML.",
)
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@click.option("--with-secrets", is_flag=True, help="Write sensitive arguments, too.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of such files instead.")
def export(connection: Redis, selection: Selection, form: str, with_secrets: bool) -> None:
    """Print schedules as a file that import takes: all of them, or those named.

    An ID may be a pattern such as 'billing:*'. Keywords are those of register, without defaults;
    the same schedules make the same text. Values of sensitive keyword arguments are written as
    ********, for which import keeps what is stored; with --with-secrets as they are.

    Exit status: 0; 1 when Redis cannot be used, there is no such ID, or one of the schedules cannot
    be read; 2 for wrong usage; 130 after Ctrl-C.
    """
    found = [job for _, job in read_selected(selection.ids(connection), connection)]
    jobs = [job for job in found if isinstance(job, RedisCronJob)]
    try:
        text = file_text(jobs, form, with_secrets=with_secrets)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as import reads it
    click.echo(text, nl=False)
    if not found:
        tell_server()
    damaged = [each for each in found if isinstance(each, Damaged)]
    for each in damaged:
        told = f"not exported: {each.id}: it cannot be read: {each.reason}"
        click.echo(one_line(told), err=True)
    if damaged:
        sys.exit(1)


@click.command("import", cls=Verb)
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.option(
    "--prune", is_flag=True, help="Delete schedules that this file named before and no longer does."
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@json_option
def import_(
    connection: Redis, file: BinaryIO, dry_run: bool, prune: bool, yes: bool, as_json: bool
) -> None:
    """Create and change schedules as FILE says, YAML or JSON; - is standard input.

    Afterwards each schedule in it has all its fields as they stand there, and the defaults of those
    that do not; only "enabled" stays as it is if it is left out. Nothing is written if anything in
    the file is wrong: each mistake is told with its line and column. A line for each schedule says
    what became of it, and the lines below it which fields changed.

    With --prune, schedules are deleted that a file of this name (its key "name", or else the name
    of the file without its directory) named when it was imported before, unless another file
    named them since. More than one is confirmed first, or with --yes.

    With --json, "file" is the name, "dry_run" true or false, "mistakes" holds an object for each
    mistake with line, column, id and message, and "schedules" one for each schedule with id,
    outcome ("created", "updated", "unchanged", "deleted"), done (true if it was done now), error
    (or null) and changes: field -> its text before and after.

    Exit status: 0; 1 when Redis cannot be used, the file is wrong, or one of the schedules could
    not be changed; 2 for wrong usage; 130 after Ctrl-C.
    """
    path = file.name if file.name != "<stdin>" else "-"
    try:
        found = _read(file, path)
        if prune and found.name == "-":
            raise click.UsageError("--prune needs a file with a name, or the key name: in it")
        task = Import(found, connection, prune=prune)
    except WrongFileError as error:
        _tell_mistakes(error.mistakes, path, as_json=as_json, dry_run=dry_run)
        sys.exit(1)
    deletions = sum(step.outcome == DELETED for step in task.steps)
    if deletions > 1 and not (yes or dry_run):
        confirm(f"Delete {deletions} schedules?")
    steps = task.steps if dry_run else task.carry_out()
    done: list[Step] = []
    try:
        for step in with_progress(steps, len(task.steps)):
            done.append(step)
    finally:  # also if Redis goes away meanwhile
        if as_json:
            click.echo(_to_json(found.name, done, dry_run=dry_run))
        else:
            for line in _lines(done, dry_run=dry_run):
                click.echo(fitted(line))
    if any(step.error for step in done):
        sys.exit(1)


def _read(file: BinaryIO, path: str) -> ScheduleFile:
    try:
        return read_file(file.read(), path)
    except WrongFileError:
        raise
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _tell_mistakes(mistakes: Sequence[Mistake], path: str, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        facts = [
            {
                "line": mistake.place.line,
                "column": mistake.place.column,
                "id": mistake.id or None,
                "message": mistake.text,
            }
            for mistake in mistakes
        ]
        told = {"file": path, "dry_run": dry_run, "mistakes": facts, "schedules": []}
        click.echo(json.dumps(told))
        return
    for mistake in mistakes:
        where = f"{path}:{mistake.place.line}:{mistake.place.column}"
        about = f"{mistake.id}: " if mistake.id else ""
        click.echo(one_line(f"{where}: {about}{cut(mistake.text, LONGEST_MESSAGE)}"), err=True)
    click.echo("Nothing was written", err=True)


def _lines(steps: Sequence[Step], *, dry_run: bool) -> Iterator[str]:
    if not steps:
        yield "The file has no schedules"
    for step in steps:
        would = "would be " if dry_run and step.outcome != UNCHANGED else ""
        outcome = f"not {step.outcome}: {step.error}" if step.error else f"{would}{step.outcome}"
        yield one_line(f"{step.id}  {outcome}")
        for name, (before, after) in sorted(step.changes.items()):
            yield "    " + field_line(name, before, after)


def _to_json(name: str, steps: Sequence[Step], *, dry_run: bool) -> str:
    facts = [
        {
            "id": step.id,
            "outcome": step.outcome,
            "done": not (dry_run or step.error or step.outcome == UNCHANGED),
            "error": step.error or None,
            "changes": {field: list(both) for field, both in sorted(step.changes.items())},
        }
        for step in steps
    ]
    return json.dumps({"file": name, "dry_run": dry_run, "mistakes": [], "schedules": facts})
