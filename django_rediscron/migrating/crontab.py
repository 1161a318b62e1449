"""Crontabs of cron(8): command lines become arguments of a function."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import PurePath
from typing import TextIO

from redis import Redis

from ..core.quoting import quoted
from .crontab_lines import Line, command_and_input, lines_of
from .found import CannotReadError, Found, Maps, Note, distinct_ids
from .local_time import local_zone

SYSTEM = re.compile(r"/etc/crontab|/etc/cron\.d/.+")
"""Files in which each command stands behind a user."""

NOT_PASSED = ("MAILTO", "MAILFROM", "CRON_TZ", "RANDOM_DELAY")
"""Variables that mean something to cron itself."""

_MANAGE = re.compile(r"manage\.py\s+([\w-]+)|django-admin\s+([\w-]+)")
_JOINED = re.compile(r"&&|\|\||[;|]")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_UNUSUAL = re.compile(r"[^\w.+-]")
_BEFORE = ("cd", "test", "sleep", ".", "source", "export", "umask")
"""What stands before the command that matters."""


def read(
    connection: Redis,
    maps: Maps,
    *,
    file: TextIO,
    command: str | None,
    queue: str | None = None,
    timezone: str | None = None,
    system: bool = False,
) -> list[Found]:
    """The lines of a crontab.

    `command`: dotted name of the function that is called with each command line. `system`: whether
    a user stands before each command, as in /etc/crontab. `timezone`: the local zone of the
    machine; by default that of this process.
    """
    try:
        lines = [*lines_of(file.read())]
    except (UnicodeDecodeError, OSError) as error:
        raise CannotReadError(f"it cannot be read as UTF-8: {error}") from None
    zone = local_zone(timezone)
    reader = _Reader(maps, command, queue or "default", zone, system or _is_system(file))
    ids = distinct_ids(map(reader.name, lines))
    return [reader.found(id, line) for id, line in zip(ids, lines, strict=True)]


def _is_system(file: TextIO) -> bool:
    return SYSTEM.fullmatch(str(getattr(file, "name", ""))) is not None


class _Reader:
    """Reads line by line."""

    def __init__(
        self, maps: Maps, function: str | None, queue: str, zone: str, system: bool
    ) -> None:
        self._maps, self._function, self._queue = maps, function, queue
        self._zone, self._system = zone, system

    def _split(self, line: Line) -> tuple[str, str]:
        """The user, if there is one, and the command with its input."""
        if not self._system:
            return "", line.rest
        user, command = (*line.rest.split(None, 1), "", "")[:2]
        return user, command

    def name(self, line: Line) -> str:
        """Of what is run, and enough of a digest to tell it from others."""
        _, command = self._split(line)
        digest = sha256((command or line.text).encode(errors="replace")).hexdigest()[:6]
        return f"{_program(command)}:{digest}"

    def found(self, id: str, line: Line) -> Found:
        found = Found(f"line {line.number}: {line.text}", id, None)
        user, rest = self._split(line)
        command, stdin = command_and_input(rest)
        mapped = self._maps.find(command)
        function = mapped or self._function
        fault = Note(line.fault, line.remedy) if line.fault else self._fault(function, command)
        if fault is not None:
            found.notes.append(fault)
            return found
        variables = dict(line.variables or {})
        found.notes += self._notes(user, variables)
        environment = {k: v for k, v in variables.items() if k not in NOT_PASSED}
        kwargs = {"env": environment or None, "input": stdin}
        found.options = {
            "func": function,
            "queue_name": self._queue,
            "args": () if mapped else (command,),
            "kwargs": {} if mapped else {k: v for k, v in kwargs.items() if v is not None},
            "cron": line.when,
            "timezone": variables.get("CRON_TZ") or self._zone,
            "job_timeout": -1,
        }
        if variables.get("RANDOM_DELAY", "").isdigit():
            found.options["jitter"] = 60 * int(variables["RANDOM_DELAY"])
        return found

    def _fault(self, function: str | None, command: str) -> Note | None:
        if not command:
            where = " behind the user" if self._system else " before the first %"
            return Note(f"it has no command{where}")
        if not self._system and command.split(maxsplit=1)[0] == "root":
            return Note("its command begins with a user", "give --system for a system crontab")
        if function is None:
            return Note(
                "there is no function for its command",
                "name one that runs commands with --command, or --map 'COMMAND=MODULE.FUNCTION'",
            )
        return None

    def _notes(self, user: str, variables: dict[str, str]) -> list[Note]:
        return [note for tell in (_of_user, _of_mail, _of_zone) if (note := tell(user, variables))]


def _of_user(user: str, _variables: dict[str, str]) -> Note | None:
    if not user:
        return None
    return Note(f"it ran as the user {quoted(user)}; here it runs as that of the worker")


def _of_mail(_user: str, variables: dict[str, str]) -> Note | None:
    if not variables.get("MAILTO"):
        return None
    return Note(
        f"its output was sent to {quoted(variables['MAILTO'])}; here it is not",
        "have failures reported with NOTIFY",
    )


def _of_zone(_user: str, variables: dict[str, str]) -> Note | None:
    if "CRON_TZ" not in variables:
        return None
    return Note(
        f"CRON_TZ={variables['CRON_TZ']} counts, as in cronie; Debian's cron ignores it",
        "take it out of the file if that has run it",
    )


def _program(command: str) -> str:
    """What a command line runs, in a word without what globs and shells know as their own."""
    if match := _MANAGE.search(command):
        return match[1] or match[2]
    for part in _JOINED.split(_QUOTED.sub("", command)):
        words = [word for word in part.split() if "=" not in word]
        name = _UNUSUAL.sub("", PurePath(words[0]).name) if words else ""
        if name and name not in _BEFORE:
            return name
    return "cron"
