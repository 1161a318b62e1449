"""`rqrcron migrate`: the schedules of another system become ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from inspect import cleandoc
from typing import Any

import click
from redis import Redis

from ..core.files.fields import described
from ..core.files.importing import UNCHANGED, UPDATED
from ..core.quoting import LONGEST_REASON, cut, quoted
from ..core.schedule.dotted_names import is_dotted_name
from ..core.timing.cron_times import utc_text
from ..migrating import crontab, rq_cron, rq_scheduler
from ..migrating.celery import celery_beat
from ..migrating.comparing import Comparison, our_times
from ..migrating.found import CannotReadError, Found, Maps, Note
from ..migrating.moving import Move, Moving, now
from ..terminal import one_line, with_progress
from .options import json_option
from .story.changes import field_line
from .verb import Verb

MOST_SHOWN = 3
"""Times that are shown of those that differ."""

_COMMON = """
Without --write nothing is written: the lines tell what would be. Each schedule has a line, and
below it what is lost or different here, and whether its next ten times are the same in both
systems. The other system is only read.

A schedule that exists here already is not changed, unless with --replace; its state, enabled or
not, is kept. So the command can be given again. What cannot be carried over is told, and all others
are written.

With --json, "source" is the name of the other system, "written" true or false, and "schedules"
holds an object for each schedule with name (as it is called there), id, outcome ("created",
"updated", "unchanged", "differs", "refused"), done (true if it was done now), error (or null),
definition (as in a file, or null), changes (field -> its text before and after), notes (objects
with text and remedy) and times: there, here and same; or null.

Exit status: 0; 1 when Redis or the source cannot be used, or one of the schedules cannot be carried
over or exists here with another definition; 2 for wrong usage; 130 after Ctrl-C.
"""


@dataclass(frozen=True)
class Source:
    """Another system."""

    name: str
    read: Callable[..., Sequence[Found]]
    """Called with the connection, the `Maps`, and `params` by name. Raises `CannotReadError`."""
    help: str
    """Its first line: what is moved. Then what is to be known of this source."""
    params: Sequence[click.Parameter] = ()
    """What else it takes. No option may be named as those of all sources."""


def _function(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_dotted_name(value):
        raise click.BadParameter(f"must be the dotted name of a function, got {quoted(value)}")
    return value


_timezone = click.Option(
    ["--timezone"],
    metavar="NAME",
    help="The local zone of the process that ran them, such as Europe/Paris (default: of this).",
)

_default_queue = click.Option(
    ["--default-queue"],
    default="default",
    show_default=True,
    metavar="NAME",
    help="The queue of tasks for which Celery has no other than its default queue.",
)

SOURCES = (
    Source(
        "rq-scheduler",
        rq_scheduler.read,
        """Move the jobs of rq-scheduler: cron strings, intervals, and jobs for a single time.

        They are read from the Redis that is chosen as for every verb. Their arguments are unpickled
        as RQ's workers do. rq-scheduler reads cron strings in the local time of its process, see
        --timezone; here the zone is part of the schedule.
        """,
        [_timezone],
    ),
    Source(
        "rq-cron",
        rq_cron.read,
        """Move what a configuration file of RQ's own cron registers.

        FILE is what "rq cron" is given: a path, or the dotted name of a module. It is Python, and
        is run as RQ runs it. RQ reads cron expressions in the local time of its process, see
        --timezone; here the zone is part of the schedule.
        """,
        [click.Argument(["file"]), _timezone],
    ),
    Source(
        "celery",
        celery_beat.read,
        """Move what the beat_schedule of a Celery app has.

        APP is what "celery -A" is given, such as project or project.celery:app, or the dotted name
        of a module with the configuration, or of a beat_schedule in one. Each task becomes the
        function behind it; see --map for those that are bound or not functions.
        """,
        [click.Argument(["app"]), _default_queue],
    ),
    Source(
        "crontab",
        crontab.read,
        """Move the lines of a crontab.

        FILE is what "crontab -l" prints; - is standard input. Each command line becomes the
        argument of the function that --command names, with the variables as env= and what follows
        a % sign as input=. The same as with cron, runs have no time limit.
        """,
        [
            click.Argument(["file"], type=click.File(encoding="utf-8")),
            click.Option(
                ["--command"],
                callback=_function,
                metavar="FUNCTION",
                help="Dotted name of the function that runs command lines.",
            ),
            click.Option(["--queue"], metavar="NAME", help="Their queue (default: default)."),
            click.Option(
                ["--system"],
                is_flag=True,
                help="A user stands before each command (always in /etc/crontab and /etc/cron.d).",
            ),
            _timezone,
        ],
    ),
)


@click.group()
def migrate() -> None:
    """Move the schedules of another system here.

    Without --write, only what would be done is told.
    """


def _maps(context: click.Context, _option: click.Parameter, pairs: Sequence[str]) -> dict[str, str]:
    return dict(_pair(text) for text in pairs)


def _maps_of_file(
    _context: click.Context, _option: click.Parameter, file: Any
) -> dict[str, str] | None:
    if file is None:
        return None
    try:
        lines = [line.strip() for line in file.read().splitlines()]
    except UnicodeDecodeError:
        raise click.BadParameter("it is not UTF-8") from None
    return dict(_pair(line) for line in lines if line and not line.startswith("#"))


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = (part.strip() for part in text.rpartition("="))
    if not (old and equals and is_dotted_name(new)):
        raise click.BadParameter(
            f"must be OLD=NEW, where NEW is the dotted name of a function, got {quoted(text)}"
        )
    return old, new


_write = click.option("--write/--dry-run", help="Write them; by default it is only told.")
_replace = click.option("--replace", is_flag=True, help="Change those that differ here, too.")
_map = click.option(
    "--map",
    "functions",
    multiple=True,
    callback=_maps,
    metavar="OLD=NEW",
    help="Call this function for what is called OLD there (may be repeated).",
)
_maps_file = click.option(
    "--maps",
    "functions_of_file",
    type=click.File(encoding="utf-8"),
    callback=_maps_of_file,
    metavar="FILE",
    help="The same from a file: one OLD=NEW on each line.",
)


def command(source: Source) -> click.Command:
    """The command of a source."""

    def call(
        connection: Redis,
        write: bool,
        replace: bool,
        functions: dict[str, str],
        functions_of_file: dict[str, str] | None,
        as_json: bool,
        **own: Any,
    ) -> None:
        maps = Maps({**(functions_of_file or {}), **functions})
        try:
            found = source.read(connection, maps, **own)
        except CannotReadError as error:
            raise click.ClickException(one_line(str(error))) from None
        for name in maps.unused():
            click.echo(one_line(f"No schedule calls {quoted(name)}, which is mapped"), err=True)
        moving = Moving(found, connection, replace=replace, moment=now())
        try:
            if write:
                for _ in with_progress(moving.carry_out(), len(found)):
                    pass
        finally:  # also if Redis goes away meanwhile
            tell = _to_json if as_json else _to_text
            click.echo(tell(source.name, moving.moves, write=write))
        if any(_failed(move) for move in moving.moves):
            sys.exit(1)

    for option in (_write, _replace, _map, _maps_file, json_option):
        call = option(call)
    found = click.command(source.name, cls=Verb, help=f"{cleandoc(source.help)}\n{_COMMON}")(call)
    found.params = [*source.params, *found.params]
    return found


def _failed(move: Move) -> bool:
    return move.step is None or move.is_kept or bool(move.step.error)


# As text


def _to_text(name: str, moves: Sequence[Move], *, write: bool) -> str:
    lines = [line for move in moves for line in _lines(move, write=write)]
    return "\n".join([*map(one_line, lines), _summary(name, moves, write=write)])


def _lines(move: Move, *, write: bool) -> Iterator[str]:
    found, job = move.found, move.job
    called = "" if found.name == found.id else f" (there: {found.name})"
    yield f"{found.id}{called}  {_outcome_text(move, write=write)}"
    if job is not None:
        yield f"    {job.schedule}, queue {job.queue_name}: {job.func_name}"
    for field, (before, after) in sorted((move.step.changes if move.step else {}).items()):
        yield "    " + field_line(field, before, after)
    for note in move.notes:
        yield f"    {_note_text(note)}"
    if move.comparison is not None:
        yield f"    {_comparison_text(move.comparison)}"
    elif job is not None:
        yield f"    next times: {_some(our_times(job, now(), MOST_SHOWN))}"


def _outcome_text(move: Move, *, write: bool) -> str:
    if move.step is None:
        return "cannot be carried over:"
    if move.step.error:
        return f"not {move.step.outcome}: {cut(move.step.error, LONGEST_REASON)}"
    if move.is_kept:
        return "exists here with another definition: change it with --replace"
    would = "" if write or move.step.outcome == UNCHANGED else "would be "
    return f"{would}{move.step.outcome}"


def _note_text(note: Note) -> str:
    return cut(note.text, LONGEST_REASON) + (f"; {note.remedy}" if note.remedy else "")


def _comparison_text(comparison: Comparison) -> str:
    if comparison.error:
        return f"its next times there cannot be computed: {comparison.error}"
    count = max(len(comparison.here), len(comparison.there))
    if comparison.is_same:
        return f"next {count} times: the same there and here"
    parts = [
        f"only {where} {_some(times)}"
        for where, times in (("there", comparison.only_there), ("here", comparison.only_here))
        if times
    ]
    return f"next {count} times differ: {'; '.join(parts)}"


def _some(times: Sequence[datetime]) -> str:
    more = len(times) - MOST_SHOWN
    shown = ", ".join(f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in times[:MOST_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def _summary(name: str, moves: Sequence[Move], *, write: bool) -> str:
    if not moves:
        return f"No schedules of {name} were found"
    outcomes = [_outcome(move) for move in moves]
    counts = ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes))
    told = f"{len(moves)} found: {counts}"
    return told if write else f"{told}. Nothing was written; --write does it"


def _outcome(move: Move) -> str:
    if move.step is None or move.step.error:
        return "refused"
    return "differs" if move.is_kept else move.step.outcome


# As JSON


def _to_json(name: str, moves: Sequence[Move], *, write: bool) -> str:
    facts = [_facts(move, write=write) for move in moves]
    return json.dumps({"source": name, "written": write, "schedules": facts})


def _facts(move: Move, *, write: bool) -> dict[str, Any]:
    step, outcome = move.step, _outcome(move)
    error = step.error if step else (move.notes[-1].text if move.notes else "")
    return {
        "name": move.found.name,
        "id": move.found.id,
        "outcome": outcome,
        "done": write and outcome in ("created", UPDATED),
        "error": error or None,
        "definition": described(move.job) if move.job else None,
        "changes": {field: list(both) for field, both in step.changes.items()} if step else {},
        "notes": [{"text": note.text, "remedy": note.remedy} for note in move.notes],
        "times": _times_facts(move.comparison),
    }


def _times_facts(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None or comparison.error:
        return None
    return {
        "there": [utc_text(time) for time in comparison.there],
        "here": [utc_text(time) for time in comparison.here],
        "same": comparison.is_same,
    }


for source in SOURCES:
    migrate.add_command(command(source))
