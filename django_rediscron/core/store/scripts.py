"""The Lua scripts of `lua/`: what Redis does in one step.

Redis runs a script alone and to its end, so each of these is one transaction. If Redis refuses
writes (out of memory, read-only, no replicas), it refuses the first one, before anything has
changed; therefore no script may write before it has read and checked all that it needs.

While a script runs, Redis serves nobody else, so work on many schedules takes many calls. Between
them a scheduler sends heartbeats, and can be stopped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from redis import Redis
from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError

from ..schedule.codec import EDITABLE_FIELDS, LEFT_OUT
from ..timing.cron_times import FIRST_YEAR, LAST_YEAR
from ..timing.recurrence import MAX_WAIT
from .actors import OUTSIDE
from .keys import (
    ALARMS,
    CHANGES_KEPT,
    CHANGES_PREFIX,
    CHANGES_TTL,
    DELETED,
    DISABLED,
    DISABLED_UNTIL,
    EDIT_FIELDS,
    ERRORS,
    EVENTS,
    EXECUTION_PREFIX,
    EXECUTIONS_PREFIX,
    GONE,
    INDEX,
    INDEXED,
    LAST_UPDATE,
    LOGGED_SINCE,
    LONGEST_STREAM,
    MAX_PAUSES,
    MAX_REIGNS,
    OFF_FIELDS,
    ORIGIN_FIELDS,
    OUTCOMES_PREFIX,
    REIGN,
    REIGNS,
    RULES,
    TOLD_SUFFIX,
    UNLOGGED_FIELDS,
)

CALL_BYTES = 1024 * 1024
"""Bytes read or written in one script call, if it concerns more than one schedule: Redis is blocked
for about ten milliseconds."""

LIGHT_BYTES = 16 * 1024
"""Up to this many bytes a schedule is light: it does not wait for heavier ones."""

FOLDER = Path(__file__).with_name("lua")

T = TypeVar("T")

Constant = str | int | float | Sequence[str]

CHANGES_KEYS = (INDEX, DISABLED, ERRORS, LAST_UPDATE, INDEXED, DELETED)
"""The first keys of each script that includes `changes`."""

GUARDED_FIELDS = (*EDITABLE_FIELDS, *ORIGIN_FIELDS, *EDIT_FIELDS)
"""All that a merge with the code depends on."""

LARGEST_LOG = 2 * 1024 * 1024
"""Bytes of the changes of a schedule, about: with large arguments fewer of them are kept."""

_DEFAULT_TEXTS = [each for item in LEFT_OUT.items() if item[1] for each in item]

INCLUDES: Mapping[str, Mapping[str, Constant]] = {
    "alive": {"EXECUTION_PREFIX": EXECUTION_PREFIX, "EXECUTIONS_PREFIX": EXECUTIONS_PREFIX},
    "as_expected": {"GUARDED_FIELDS": GUARDED_FIELDS},
    "as_leader": {"RULES": RULES},
    "change_log": {
        "CHANGES_PREFIX": CHANGES_PREFIX,
        "CHANGES_KEPT": CHANGES_KEPT,
        "CHANGES_TTL": CHANGES_TTL,
        "GONE": GONE,
        "LARGEST_LOG": LARGEST_LOG,
        "LOGGED_SINCE": LOGGED_SINCE,
        "OUTCOMES_PREFIX": OUTCOMES_PREFIX,
        "OUTSIDE": OUTSIDE,
        "UNLOGGED_FIELDS": UNLOGGED_FIELDS,
        "DEFAULT_TEXTS": _DEFAULT_TEXTS,
    },
    "changes": {"EVENTS": EVENTS, "DISABLED_UNTIL": DISABLED_UNTIL},
    "epoch": {"FIRST_YEAR": FIRST_YEAR, "LAST_YEAR": LAST_YEAR},
    "forget_off": {"DISABLED_UNTIL": DISABLED_UNTIL, "OFF_FIELDS": OFF_FIELDS},
    "notify": {
        "ALARMS": ALARMS,
        "TOLD_SUFFIX": TOLD_SUFFIX,
        "LONGEST_STREAM": LONGEST_STREAM,
    },
    "off": {"DISABLED_UNTIL": DISABLED_UNTIL},
    "past_pauses": {"MAX_PAUSES": MAX_PAUSES},
    "reigns": {"REIGN": REIGN, "REIGNS": REIGNS, "MAX_REIGNS": MAX_REIGNS},
    "sound": {"MAX_WAIT": MAX_WAIT},
}
"""Constants of files in `lua/includes/` that several scripts include."""

_INCLUDE = re.compile(r"^-- include: *(.*?) *$", re.MULTILINE)


class Script:
    """The script `lua/{name}.lua`; its text is put together when it is first used.

    A line `-- include: other` takes in `lua/includes/other.lua`, once however often it is named.
    `constants`, and those of the includes, are put before the text as `local NAME = value`.
    """

    def __init__(self, name: str, folder: Path = FOLDER, **constants: Constant) -> None:
        self.name = name
        self._folder = folder
        self._constants = constants

    @cached_property
    def text(self) -> str:
        """What Redis runs. Raises `ValueError` if an include is missing or circular."""
        included: list[str] = []  # no attribute, for several threads may be here at once
        path = self._folder / f"{self.name}.lua"
        body = self._resolve(path.read_text(encoding="utf-8"), (self.name,), included)
        constants = dict(self._constants)
        for name in included:
            constants |= INCLUDES.get(name, {})
        return "".join(f"local {n} = {_literal(v)}\n" for n, v in constants.items()) + body

    def _resolve(self, text: str, way: tuple[str, ...], included: list[str]) -> str:
        """A text with its includes, which are added to those that were met before.

        `way`: the files that lead to it, itself last.
        """
        return _INCLUDE.sub(lambda line: self._include(line[1], way, included), text)

    def _include(self, name: str, way: tuple[str, ...], included: list[str]) -> str:
        if name in way[1:]:
            raise ValueError(f"circular include: {' > '.join((*way, name))}")
        if name in included:
            return ""
        path = self._folder / "includes" / f"{name}.lua"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ValueError(f"{way[-1]} includes {name!r}, but there is no {path}") from None
        included.append(name)
        return self._resolve(text, (*way, name), included).rstrip("\n")


def _literal(value: Constant) -> str:
    """A constant as Lua writes it."""
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        escaped = (chr(b) if _is_literal(b) else f"\\{b:03}" for b in value.encode())
        return f"'{''.join(escaped)}'"
    return "{\n" + "".join(f"  {_literal(item)},\n" for item in value) + "}"


def _is_literal(byte: int) -> bool:
    return 32 <= byte < 127 and byte not in b"'\\"


def run_script(
    connection: Redis, script: Script, keys: Sequence[Any], arguments: Sequence[Any]
) -> Any:
    """Run a script that the server may know already; texts come back as bytes.

    They do so even if the client decodes replies: what Redis holds need not be text.
    """
    rest = (len(keys), *keys, *arguments)
    run: Callable[..., Any] = connection.execute_command
    try:
        return run("EVALSHA", _digest(script.text), *rest, **{NEVER_DECODE: True})
    except NoScriptError:
        return run("EVAL", script.text, *rest, **{NEVER_DECODE: True})


@cache
def _digest(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def run_scripts(
    connection: Redis, script: Script, calls: Sequence[tuple[Sequence[Any], Sequence[Any]]]
) -> list[Any]:
    """Run a script many times in one round trip, each time with these keys and arguments.

    Other clients are served between two runs, so many short ones block nobody.
    """
    replies: list[Any] = [None] * len(calls)
    digest = _digest(script.text)
    pending, name, body = list(range(len(calls))), "EVALSHA", digest
    while pending:
        with connection.pipeline(transaction=False) as pipe:
            queue: Callable[..., Any] = pipe.execute_command
            for number in pending:
                keys, arguments = calls[number]
                queue(name, body, len(keys), *keys, *arguments, **{NEVER_DECODE: True})
                name, body = "EVALSHA", digest
            for number, reply in zip(pending, pipe.execute(raise_on_error=False), strict=True):
                replies[number] = reply
        for reply in replies:
            if isinstance(reply, Exception) and not isinstance(reply, NoScriptError):
                raise reply
        pending = [number for number in pending if isinstance(replies[number], NoScriptError)]
        name, body = "EVAL", script.text
    return replies


Step = Callable[[], Any]
"""Called after each step of long work, such as a round trip; may raise `WorkEndedError`."""


class WorkEndedError(BaseException):
    """Ends long work early. Like KeyboardInterrupt, it is not caught by `except Exception`."""


def no_step() -> None:
    """For work that needs nothing between its steps."""


def in_steps(items: Sequence[T], size: int, step: Step) -> Iterator[Sequence[T]]:
    """The items, at most `size` at a time; calls `step` when a part has been dealt with."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
        step()


def in_calls(items: Iterable[T], size: int, weigh: Callable[[T], int]) -> Iterator[list[T]]:
    """The items of each script call: at most `size`, and `CALL_BYTES` unless it is a single item.

    `weigh` returns the approximate bytes of an item.
    """
    call: list[T] = []
    total = 0
    for item in items:
        weight = weigh(item)
        if call and (len(call) == size or total + weight > CALL_BYTES):
            yield call
            call, total = [], 0
        call.append(item)
        total += weight
    if call:
        yield call
