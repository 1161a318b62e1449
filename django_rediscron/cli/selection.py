"""Which schedules a verb is about: `ID... --queue --function --state --tag`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import click
from redis import Redis

from ..core.exceptions import NoSuchJobError
from ..core.job import RedisCronJob
from ..core.quoting import LONGEST_ID, quoted_id
from ..core.store import Damaged, fetch_many
from ..core.store.keys import changes_key, job_key, outcomes_key, runs_key, skipped_key
from ..core.store.pauses import SHOWN_STATES, in_state, read_pauses
from ..core.store.search import Condition, every, has_word, one_of, search
from ..core.story.gone import read_deleted_ids
from ..terminal import with_progress
from .completion import complete_function, complete_id, complete_queue, complete_tag

SIMILAR_AMONG = 20_000
"""Ids that are compared with a misspelt one at most; more take seconds."""

WILDCARDS = "*?["

PAGE = 200
"""Schedules that are read in one round trip."""


@dataclass(frozen=True)
class Selection:
    """What was asked for; all of it must be met."""

    patterns: Sequence[str] = ()
    """Ids, or patterns of ids; none: all."""
    queue: str | None = None
    function: str | None = None
    """A dotted name or a pattern."""
    state: str | None = None
    tag: str | None = None
    deleted: bool = False
    """Whether patterns find deleted schedules, too, and these are among all."""

    def __bool__(self) -> bool:
        return bool(self.patterns) or self.has_conditions

    @property
    def has_conditions(self) -> bool:
        """Whether not only ids count."""
        return bool(self.queue or self.function or self.state or self.tag)

    def ids(self, connection: Redis) -> list[str]:
        """The schedules that meet it, in the order of the ids that were given, else sorted.

        Raises `NoSuchJobError` if there is none for an id or a pattern.
        """
        ids = chosen_ids(self.patterns, connection, deleted=self.deleted)
        if not self.has_conditions:
            return ids
        conditions = every(*self._conditions(connection))
        rows = search(connection, conditions, values=["func_name"], among=ids)
        found = {id for id, function in rows if self.has_function(function)}
        return [id for id in ids if id in found]

    def only_id(self, ids: Sequence[str]) -> str | None:
        """The id that alone was given, if these are the schedules that were found."""
        return ids[0] if [*self.patterns] == [*ids] and len(ids) == 1 else None

    def _conditions(self, connection: Redis) -> Iterator[Condition]:
        if self.queue is not None:
            yield one_of("queue_name", [self.queue])
        if self.state is not None:
            yield in_state(self.state, read_pauses(connection))
        if self.tag is not None:
            yield has_word("tags", self.tag)

    def has_id(self, id: str) -> bool:
        """Whether this is an id that was asked for."""
        return not self.patterns or any(
            id == each or (is_pattern(each) and fnmatchcase(id, each)) for each in self.patterns
        )

    def has_function(self, name: str) -> bool:
        """Whether this is a function that was asked for."""
        if self.function is None or name == self.function:
            return True
        return is_pattern(self.function) and fnmatchcase(name, self.function)


_Call = Callable[..., None]
_Decorate = Callable[[_Call], _Call]


def ids_argument(metavar: str = "[ID]...", nargs: int = -1, **attributes: Any) -> _Decorate:
    """The argument `ids`."""
    return click.argument(
        "ids", metavar=metavar, nargs=nargs, shell_complete=complete_id, **attributes
    )


ids_option: _Decorate = click.option(
    "--id",
    "ids",
    multiple=True,
    metavar="ID",
    shell_complete=complete_id,
    help="Only this schedule, or those like 'billing:*'; may be repeated.",
)
_deleted = click.option("--deleted", is_flag=True, help="Also schedules deleted within a year.")


def selecting(
    ids: _Decorate | None = None,
    *,
    deleted: bool = False,
    words: re.Pattern[str] | None = None,
) -> _Decorate:
    """Give a verb the arguments of a selection, and its function the `selection=`.

    `ids`: gives it the parameter of that name (default: the argument). `deleted`: it has the option
    `--deleted`. Arguments that match `words` are not ids: its function gets them as `words=`.
    """

    give_ids = ids or ids_argument()
    give_deleted = [_deleted] if deleted else []

    def give(function: _Call) -> _Call:
        def call(*arguments: Any, ids: tuple[str, ...], **options: Any) -> None:
            if words is not None:
                options["words"] = [id for id in ids if words.fullmatch(id)]
                ids = tuple(id for id in ids if not words.fullmatch(id))
            chosen = {name: options.pop(name) for name in _CONDITIONS}
            selection = Selection(ids, **chosen, deleted=options.pop("deleted", False))
            function(*arguments, selection=selection, **options)

        call.__name__, call.__doc__ = function.__name__, function.__doc__
        call.__dict__.update(function.__dict__)
        decorators: list[_Decorate] = [*give_deleted, *_CONDITIONS.values(), give_ids]
        for decorate in decorators:
            decorate(call)
        return call

    return give


def _filled(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """An unset variable of a script must not stand for all schedules."""
    if value == "":
        raise click.BadParameter("it must not be empty")
    return value


_CONDITIONS: dict[str, _Decorate] = {
    "tag": click.option(
        "--tag",
        metavar="WORD",
        callback=_filled,
        help="Only schedules with this tag.",
        shell_complete=complete_tag,
    ),
    "state": click.option(
        "--state", type=click.Choice(SHOWN_STATES), help="Only schedules in this state."
    ),
    "function": click.option(
        "--function",
        metavar="NAME",
        callback=_filled,
        help="Only those of this function: 'billing.*'.",
        shell_complete=complete_function,
    ),
    "queue": click.option(
        "--queue",
        metavar="NAME",
        callback=_filled,
        help="Only schedules of this queue.",
        shell_complete=complete_queue,
    ),
}


def read_selected(
    ids: Sequence[str], connection: Redis
) -> Iterator[tuple[str, RedisCronJob | Damaged | None]]:
    """These schedules, page by page, with the progress on a terminal; None if there is none."""

    def read() -> Iterator[tuple[str, RedisCronJob | Damaged | None]]:
        for at in range(0, len(ids), PAGE):
            page = ids[at : at + PAGE]
            found = fetch_many(page, connection)
            for id in page:
                yield id, found.get(id)

    return with_progress(read(), len(ids))


def is_pattern(text: str) -> bool:
    """Whether it has wildcards; an id may have them, too."""
    return any(c in text for c in WILDCARDS)


def check_id(id: str, connection: Redis) -> None:
    """Raise NoSuchJobError, with similar ids, if nothing is on record of such a schedule."""
    if _is_on_record(id, connection):
        return
    ids = all_ids(connection)
    alike = get_close_matches(id[:LONGEST_ID], ids, n=3) if len(ids) <= SIMILAR_AMONG else []
    guess = f"; did you mean {' or '.join(map(quoted_id, alike))}?" if alike else ""
    raise NoSuchJobError(f"there is no schedule {quoted_id(id)}, and none is on record{guess}")


def chosen_ids(wanted: Sequence[str], connection: Redis, *, deleted: bool = False) -> list[str]:
    """The schedules of these ids and patterns, or all that exist; an exact id comes first.

    `deleted`: patterns find deleted schedules, too, and these are among all. Raises NoSuchJobError.
    """

    def known_ids() -> list[str]:
        gone = read_deleted_ids(connection) if deleted else []
        return sorted({*all_ids(connection), *gone})

    if not wanted:
        return known_ids()
    chosen: dict[str, Any] = {}
    for id in wanted:
        matching = [id]
        if is_pattern(id) and not _is_on_record(id, connection):
            matching = [each for each in known_ids() if fnmatchcase(each, id)]
            if not matching:
                raise NoSuchJobError(f"no schedule has an id like {quoted_id(id)}")
        else:
            check_id(id, connection)
        chosen.update(dict.fromkeys(matching))
    return list(chosen)


def all_ids(connection: Redis) -> list[str]:
    """Ids of the schedules that exist."""
    return sorted(id for (id,) in search(connection))


def _is_on_record(id: str, connection: Redis) -> bool:
    try:
        id.encode()
    except UnicodeEncodeError:  # bytes on the command line that are not UTF-8
        return False
    kinds = (job_key, runs_key, changes_key, skipped_key, outcomes_key)
    return bool(connection.exists(*(key(id) for key in kinds)))
