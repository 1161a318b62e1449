"""What shells complete: verbs and options as click does, and names of schedules as Redis has them.

Bash ends words at colons and equals signs, which click does not know, and ids are full of colons.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from fnmatch import fnmatchcase

import click
from click.shell_completion import BashComplete, CompletionItem
from redis import Redis

from ..core.store.connections import own_client
from ..core.store.search import read_names, search
from .verb import ConnectionOptions

TIMEOUT = 1.0
"""Seconds after which nothing is completed, because Redis does not answer."""

VARIABLE = "_RQRCRON_COMPLETE"
"""The variable of the environment by which a shell asks; the name is click's."""

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_BREAKS = frozenset(":=")

_PLAIN = re.compile(r"[\w@%+=:,./-]+")
"""What stands in a command line without quotes."""


def _completing(read: Callable[[Redis], Iterable[str]]) -> Complete:
    """Completes what `read` finds; nothing, without an error, if Redis cannot be used."""

    def complete(
        ctx: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        with suppress(Exception):
            options: ConnectionOptions = ctx.obj
            given = {str(param.name): ctx.params.get(str(param.name)) for param in options.params}
            names = read(own_client(options.connect(given), TIMEOUT))
            fitting = [
                name
                for name in names
                if name.startswith(incomplete) or fnmatchcase(name, f"{incomplete}*")
            ]
            return [CompletionItem(name) for name in sorted(fitting)]
        return []

    return complete


complete_id = _completing(lambda connection: (id for (id,) in search(connection)))
"""An id, also of a pattern that has been begun."""

complete_queue = _completing(lambda connection: read_names(connection).queues)
complete_function = _completing(lambda connection: read_names(connection).functions)
complete_tag = _completing(lambda connection: read_names(connection).tags)


class Bash(BashComplete):
    """Puts together the words that bash has taken apart, and completes the last part of them."""

    _before = ""
    """What stands before the part that bash replaces."""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, last = super().get_completion_args()
        words: list[str] = []
        for word in (*args, last):
            goes_on = words and word and (_is_break(word) or _is_break(words[-1][-1:]))
            if goes_on:
                words[-1] += word
            else:
                words.append(word)
        *args, incomplete = words
        before = incomplete if _is_break(last) else incomplete[: len(incomplete) - len(last)]
        if before.startswith("-"):  # of --queue=reports only the value is completed
            before = before.partition("=")[2]
        self._before = before
        return args, incomplete

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        words = os.environ["COMP_WORDS"].split("\n")
        quote = words[-1][:1] if words[-1][:1] in ("'", '"') else ""
        return [
            item
            for item in super().get_completions(args, incomplete)
            if item.type != "plain" or _can_stand(str(item.value), quote)
        ]

    def format_completion(self, item: CompletionItem) -> str:
        item.value = str(item.value).removeprefix(self._before)
        return super().format_completion(item)


def _can_stand(text: str, quote: str) -> bool:
    """Whether bash inserts it unharmed, in this kind of quotes or in none."""
    return not {"\\", quote} & {*text} if quote else bool(_PLAIN.fullmatch(text))


def _is_break(text: str) -> bool:
    return bool(text) and _BREAKS.issuperset(text)
