"""`rqrcron migrate`: the schedules of another system become ours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from inspect import cleandoc
from typing import Any

import click
from redis import Redis

from ...core.dotted_names import is_dotted_name
from ...core.quoting import quoted
from ...migrating.found import CannotReadError, Maps
from ...migrating.moving import Moving, checked, now
from ...terminal import one_line, with_progress
from ..options import json_option
from ..verb import Verb
from .sources import SOURCES, Source
from .telling import failed, to_json, to_text

_COMMON = """
Without --write nothing is written: the lines tell what would be. Each schedule has a line, and
below it what is lost or different here, whether its next ten times are the same in both systems,
and what differs when the clocks of its zone change, in the next twelve months. The other system is
only read.

A schedule that exists here already is not changed, unless with --replace; its state, enabled or
not, is kept. So the command can be given again. What cannot be carried over is told, and all others
are written.

With --json, "source" is the name of the other system, "written" true or false, and "schedules"
holds an object for each schedule with name (as it is called there), id, outcome ("created",
"updated", "unchanged", "differs", "refused"), done (true if it was done now), error (or null),
definition (as in a file, or null), changes (field -> its text before and after), notes (objects
with text and remedy), times (there, here and same; or null) and clock_changes (at, there, here and
same, where times differ).

Exit status: 0; 1 when Redis or the source cannot be used, or one of the schedules cannot be carried
over or exists here with another definition; 2 for wrong usage; 130 after Ctrl-C.
"""


@click.group(no_args_is_help=False)
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
        moment = now()
        moves = [checked(each, moment) for each in with_progress(found, len(found))]
        moving = Moving(moves, connection, replace=replace)
        try:
            if write:
                for _ in with_progress(moving.carry_out(), len(found)):
                    pass
        finally:  # also if Redis goes away meanwhile
            tell = to_json if as_json else to_text
            click.echo(tell(source.name, moving.moves, write=write))
        if any(failed(move) for move in moving.moves):
            sys.exit(1)

    for option in (_write, _replace, _map, _maps_file, json_option):
        call = option(call)
    found = click.command(source.name, cls=Verb, help=f"{cleandoc(source.help)}\n{_COMMON}")(call)
    found.params = [*source.params, *found.params]
    return found


for source in SOURCES:
    migrate.add_command(command(source))
