"""What was found, checked, compared with what is stored, and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, cast

from redis import Redis

from ..core.exceptions import InvalidScheduleError
from ..core.files.fields import STATE, described
from ..core.files.importing import UPDATED, Import, Step
from ..core.files.nodes import Place, WrongFileError
from ..core.files.reading import Entry, ScheduleFile
from ..core.schedule.options import ScheduleArguments
from ..core.schedule.record import Record
from ..core.store.reading import Absent, read_schedules
from .comparing import ClockChange, Comparison, at_clock_changes, compare
from .found import Found, Note

_PLACE = Place(1, 1)


@dataclass
class Move:
    """What is to become, or has become, of a schedule."""

    found: Found
    notes: list[Note] = field(default_factory=list)
    job: Record | None = None
    """None if it cannot be carried over; the last of the notes says why."""
    comparison: Comparison | None = None
    """None if the other system cannot tell its times."""
    clock_changes: Sequence[ClockChange] = ()
    """Those with which the times differ."""
    step: Step | None = None
    """None if there is none: it cannot be carried over."""
    is_kept: bool = False
    """Whether it exists here already, differs, and is to stay as it is."""


class Moving:
    """The moves of what was found; nothing is written but by `carry_out`.

    What exists here already is only changed with `replace`. Its state is kept in any case.
    """

    def __init__(self, moves: Sequence[Move], connection: Redis, *, replace: bool) -> None:
        self._connection, self._replace = connection, replace
        self.moves = moves
        self._by_id = {move.found.id: move for move in self.moves}
        self._entries = self._stateless({m.found.id: _entry(m.job) for m in self.moves if m.job})
        self._plan()

    def _stateless(self, entries: dict[str, Entry]) -> dict[str, Entry]:
        """What is stored keeps its state."""
        stored = read_schedules(list(entries), self._connection)
        for entry, (known, _) in zip(entries.values(), stored, strict=True):
            if not isinstance(known, Absent):
                for name in STATE:
                    cast("dict[str, Any]", entry.values).pop(name, None)
        return entries

    def _plan(self) -> None:
        """The steps, without schedules that would be refused."""
        try:
            steps = self._import().steps
        except WrongFileError as error:
            for mistake in error.mistakes:
                self._entries.pop(mistake.id, None)
                move = self._by_id[mistake.id]
                move.job = move.comparison = None
                move.notes.append(Note(mistake.text))
            return self._plan()
        for step in steps:
            move = self._by_id[step.id]
            move.step = step
            if step.outcome == UPDATED and not self._replace:
                move.is_kept = True
                del self._entries[step.id]

    def _import(self) -> Import:
        return Import(ScheduleFile("", self._entries), self._connection)

    def carry_out(self) -> Iterator[Move]:
        """Write them, each one whole, and tell of each what became of it."""
        written = self._import().carry_out()
        for step in written:
            self._by_id[step.id].step = step
            yield self._by_id[step.id]


def checked(found: Found, moment: datetime) -> Move:
    """The schedule that it becomes, and its times from that moment on, in both systems."""
    move = Move(found, [*found.notes])
    if found.options is None:
        return move
    options = dict(found.options)
    arguments = {name: options[name] for name in ("args", "kwargs", "meta") if options.get(name)}
    if any(map(_has_tuples, arguments.values())):
        move.notes.append(Note("tuples in its arguments become lists"))
    options |= {name: _with_lists(value) for name, value in arguments.items()}
    if "args" in arguments:
        options["args"] = tuple(options["args"])
    try:
        move.job = _job(found.id, options, moment)
    except (InvalidScheduleError, OverflowError) as error:
        move.notes.append(Note(str(error)))
        return move
    if found.times:
        move.comparison = compare(found.times, move.job, moment)
        if not move.comparison.error:
            move.clock_changes = [*at_clock_changes(found.times, move.job, moment)]
    return move


def _has_tuples(value: Any) -> bool:
    """Whether there are any in it."""
    held = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    return any(type(each) is tuple or _has_tuples(each) for each in held)


def _with_lists(value: Any) -> Any:
    if type(value) in (list, tuple):
        return [_with_lists(each) for each in value]
    if type(value) is dict:
        return {key: _with_lists(each) for key, each in value.items()}
    return value


def _job(id: str, options: dict[str, Any], moment: datetime) -> Record:
    function, queue_name = options.pop("func"), options.pop("queue_name")
    job = Record.requested(function, queue_name, id, cast(ScheduleArguments, options))
    if job.recurrence().first(moment, None, retimed=False) is None:
        raise InvalidScheduleError("it has no times left")
    return job


def _entry(job: Record) -> Entry:
    return Entry(job.id, _PLACE, described(job, with_secrets=True), {})


def now() -> datetime:
    """The moment from which times are compared: a whole second."""
    return datetime.now(timezone.utc).replace(microsecond=0)
