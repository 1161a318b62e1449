"""What a source has found: a schedule of another system, and what it becomes here."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ..core.exceptions import InvalidScheduleError
from ..core.quoting import LONGEST_ID
from ..core.schedule.checks import check_id

Times = Callable[[datetime, int], list[datetime]]
"""The next times after a moment, at most so many: aware datetimes."""


class CannotReadError(Exception):
    """A source that cannot be read. The text says why, and what to do."""


class Note(NamedTuple):
    """Something that is lost or different here."""

    text: str
    remedy: str = ""


class CannotMoveError(Exception):
    """A schedule that cannot be carried over: why, and what to do."""

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.note = Note(text, remedy)


@dataclass
class Found:
    """A schedule of another system, and what it becomes here."""

    name: str
    """As the other system calls it."""
    id: str
    """Ours, unique among all that was found; the same each time that it is read."""
    options: dict[str, Any] | None
    """Keywords of `register`, with the dotted name of the function as `func`, and `queue_name`.
    None if it cannot be carried over; the notes say why."""
    notes: list[Note] = field(default_factory=list)
    times: Times | None = None
    """Its next times by the other system's own code."""


class Maps:
    """Which functions are to be called, by the names that another system has for them."""

    def __init__(self, functions: Mapping[str, str] | None = None) -> None:
        self._functions = dict(functions or {})
        self._used: set[str] = set()

    def find(self, name: str) -> str | None:
        """The dotted name of the function that is given for this name, None if none is."""
        self._used.add(name)
        return self._functions.get(name)

    def unused(self) -> list[str]:
        """Names that no schedule has."""
        return sorted(self._functions.keys() - self._used)


def once(moment: datetime) -> dict[str, Any]:
    """The keywords of a schedule that runs once, at a moment that is still to come."""
    return {"interval": 60, "start_at": moment, "max_runs": 1}


def distinct_ids(names: Iterable[str]) -> Iterator[str]:
    """Valid ids, as like the names as can be; names that are used again get ` (2)`, ` (3)`, ...

    The same names in the same order always get the same ids.
    """
    taken: Counter[str] = Counter()
    for name in names:
        base = id = _valid(name)
        while taken[id]:
            taken[base] += 1
            id = _valid(f"{base} ({taken[base]})")
        taken[id] += 1
        yield id


def _valid(name: str) -> str:
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in name).strip()
    try:
        check_id(text)
        return text
    except InvalidScheduleError:
        digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:8]
        return f"{text[: LONGEST_ID - 9]}-{digest}".lstrip("-")
