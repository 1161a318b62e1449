"""Which schedules a verb is about: `ID... --queue --function --state --tag`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, get_args

import click
from redis import Redis

from ..core.schedule.definition import State
from ..core.store.search import Condition, every, has_word, one_of, search
from .story_options import WILDCARDS, chosen_ids


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

    def __bool__(self) -> bool:
        return bool(self.patterns or self.queue or self.function or self.state or self.tag)

    def ids(self, connection: Redis) -> list[str]:
        """The schedules that meet it, in the order of the ids that were given, else sorted.

        Raises `NoSuchJobError` if there is none for an id or a pattern.
        """
        ids = chosen_ids(self.patterns, connection)
        conditions = list(self._conditions())
        if not conditions and self.function is None:
            return ids
        rows = search(connection, every(*conditions), values=["func_name"], among=ids)
        found = {id for id, function in rows if self._has_function(function)}
        return [id for id in ids if id in found]

    def _conditions(self) -> Iterator[Condition]:
        if self.queue is not None:
            yield one_of("queue_name", [self.queue])
        if self.state is not None:
            yield one_of("state", [self.state])
        if self.tag is not None:
            yield has_word("tags", self.tag)

    def _has_function(self, name: str) -> bool:
        if self.function is None or name == self.function:
            return True
        is_pattern = any(c in self.function for c in WILDCARDS)
        return is_pattern and fnmatchcase(name, self.function)


def selecting(function: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the arguments of a selection, and its function the `selection=`."""

    def call(*arguments: Any, ids: tuple[str, ...], **options: Any) -> None:
        chosen = [options.pop(name) for name in ("queue", "function", "state", "tag")]
        function(*arguments, selection=Selection(ids, *chosen), **options)

    call.__name__, call.__doc__ = function.__name__, function.__doc__
    call.__dict__.update(function.__dict__)
    for decorate in (
        click.option("--tag", metavar="WORD", help="Only schedules with this tag."),
        click.option(
            "--state", type=click.Choice(get_args(State)), help="Only schedules in this state."
        ),
        click.option(
            "--function", metavar="NAME", help="Only those of this function: 'billing.*'."
        ),
        click.option("--queue", metavar="NAME", help="Only schedules of this queue."),
        click.argument("ids", metavar="[ID]...", nargs=-1),
    ):
        decorate(call)
    return call
