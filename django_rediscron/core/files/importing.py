"""What a file says, written to Redis: everything is checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from redis import Redis

from ..exceptions import (
    DamagedScheduleError,
    InvalidScheduleError,
    NoSuchJobError,
    ScheduleChangedError,
)
from ..quoting import quoted
from ..schedule.definition import Off
from ..schedule.record import Record
from ..schedule.rq_options import CALLBACKS
from ..schedule.texts import lossy_text
from ..sensitive import MASK, mask_changes, unmask
from ..store.change import Change, new_receipt
from ..store.keys import FILES
from ..store.reading import Absent, Damaged, read_schedules
from ..store.rq_queues import get_queue
from ..store.saving import BATCH, delete_schedules, save_changes
from .fields import FIELDS, LOCKED, MASKED, OFF
from .nodes import Mistake, WrongFileError
from .reading import Entry, ScheduleFile

CREATED, UPDATED, UNCHANGED, DELETED = "created", "updated", "unchanged", "deleted"

_REFUSALS = (
    DamagedScheduleError,
    InvalidScheduleError,
    NoSuchJobError,
    ScheduleChangedError,
)


@dataclass(frozen=True)
class Step:
    """What is to become, or has become, of a schedule."""

    id: str
    outcome: str
    changes: Mapping[str, tuple[str, str]]
    """Field of its hash -> text before and after, sensitive values masked."""
    change: Change | None = None
    error: str = ""


class Import:
    """The steps that bring Redis up to a file.

    With `prune`, schedules that this file named when it was imported before, and no longer names,
    are deleted. Raises `WrongFileError` with all that is wrong.
    """

    def __init__(self, file: ScheduleFile, connection: Redis, *, prune: bool = False) -> None:
        self._file, self._connection, self._prune = file, connection, prune
        self._known = _file_of_ids(connection)
        self.steps = [*self._writes(), *self._deletions()]

    def _writes(self) -> list[Step]:
        entries = list(self._file.entries.values())
        found = read_schedules([entry.id for entry in entries], self._connection)
        steps: list[Step] = []
        mistakes: list[Mistake] = []
        for entry, (stored, _) in zip(entries, found, strict=True):
            try:
                steps.append(step_of(entry, stored, self._connection))
            except WrongFileError as error:
                mistakes += error.mistakes
        if mistakes:
            raise WrongFileError(mistakes)
        return steps

    def _deletions(self) -> Iterator[Step]:
        if self._prune:
            gone = [id for id in self._named_before() if id not in self._file.entries]
            for id, (stored, _) in zip(gone, read_schedules(gone, self._connection), strict=True):
                if not isinstance(stored, Absent):
                    yield Step(id, DELETED, {})

    def _named_before(self) -> list[str]:
        return sorted(id for id, file in self._known.items() if file == self._file.name)

    def carry_out(self) -> Iterator[Step]:
        """Take the steps, and tell of each what became of it."""
        self._note()
        for at in range(0, len(self.steps), BATCH):
            page = self.steps[at : at + BATCH]
            changes = [step.change for step in page if step.change is not None]
            reason = ""
            try:
                save_changes(changes, self._connection)
            except _REFUSALS as error:
                reason = str(error)
            for step in page:
                if step.change is not None and not step.change.job.version:
                    yield replace(step, error=reason)
                elif step.outcome == DELETED:
                    yield self._deleted(step)
                else:
                    yield step
        self._forget()

    def _deleted(self, step: Step) -> Step:
        try:
            delete_schedules([step.id], self._connection)
        except _REFUSALS as error:
            return replace(step, error=str(error))
        return step

    def _note(self) -> None:
        """Before anything is written: an import that is killed has named them all the same."""
        name = self._file.name
        new = {id: name for id in self._file.entries if self._known.get(id) != name}
        if name and new:
            self._connection.hset(FILES, mapping=cast("dict[Any, Any]", new))

    def _forget(self) -> None:
        """Those that are no longer there."""
        if self._prune:
            before = [id for id in self._named_before() if id not in self._file.entries]
            found = zip(before, read_schedules(before, self._connection), strict=True)
            gone = [id for id, (stored, _) in found if isinstance(stored, Absent)]
            if gone:
                self._connection.hdel(FILES, *gone)


def _file_of_ids(connection: Redis) -> dict[str, str]:
    """Id -> name of the file that named it last."""
    found = cast("dict[bytes, bytes]", connection.hgetall(FILES))
    return {lossy_text(id): lossy_text(name) for id, name in found.items()}


def step_of(
    entry: Entry,
    stored: Record | Damaged | Absent,
    connection: Redis,
    *,
    merged: bool = False,
) -> Step:
    """The step that gives a schedule all that an entry says.

    `merged`: what others change meanwhile, of a schedule that exists, stays; else the step is
    refused then. Raises `WrongFileError`.
    """
    if isinstance(stored, Damaged) and stored.refused:
        raise WrongFileError([entry.mistake(stored.error())])
    if entry.locked:
        text = f'{LOCKED} is only for files that REDISCRON["FILES"] names'
        raise WrongFileError([entry.mistake(text, LOCKED)])
    known = stored if isinstance(stored, Record) else None
    job = _requested(_unmasked(entry, known), connection)
    change = _change(job, stored, merged=merged)
    if not (change.fields or change.unset or change.off):
        return Step(entry.id, UNCHANGED, {})
    mistakes = list(_faults(entry, change, known, connection))
    if mistakes:
        raise WrongFileError(mistakes)
    before = known.loaded_definition() or {} if known else {}
    after = {**before, **dict.fromkeys(change.unset, ""), **change.fields}
    before |= _off_fields(known)
    after |= dict.fromkeys(OFF, "") | _off_fields(job if job.enabled_given else known)
    changes = {
        name: (before.get(name, ""), after[name])
        for name in after
        if before.get(name, "") != after[name]
    }
    outcome = UPDATED if known else CREATED
    return Step(entry.id, outcome, mask_changes(changes) if known else {}, change)


def _unmasked(entry: Entry, stored: Record | None) -> Entry:
    """Masks stand for what is stored."""
    values = dict(entry.values)
    for name in MASKED:
        if name not in values:
            continue
        kept = FIELDS[name].form.plain(FIELDS[name].of(stored)) if stored else None
        try:
            values[name] = unmask(values[name], {} if kept is None else kept)
        except ValueError as error:
            text = (
                f"{name} has {MASK} for {quoted(str(error))}, which stands for a stored value, and "
                f"none is stored; write the value, or export with --with-secrets"
            )
            raise WrongFileError([entry.mistake(text, name)]) from None
    return replace(entry, values=values)


def _requested(entry: Entry, connection: Redis) -> Record:
    try:
        job = Record.requested(entry.function, entry.queue, entry.id, entry.arguments(), connection)
    except (InvalidScheduleError, OverflowError) as error:
        raise WrongFileError([entry.mistake(error)]) from None
    job.off = entry.off
    return job


def _change(job: Record, stored: Record | Damaged | Absent, *, merged: bool) -> Change:
    """Only what differs, and unless it is to be merged only if the schedule stays as it is."""
    if isinstance(stored, Record):
        job.count_changes_from(stored)
        change = Change.of(job, "updated", None if merged else stored.version)
        if job.enabled_given and not job.enabled and job.off != _said_off(stored):
            change.switch_off(job.off.reason, job.off.until)
        return change
    change = Change.define(job)
    if isinstance(stored, Absent):
        change.version, change.receipt = "", new_receipt()
    return change


def _said_off(job: Record) -> Off:
    """Why and until when it is disabled, as far as files say that."""
    return Off(reason=job.disabled_reason, until=job.disabled_until)


def _off_fields(job: Record | None) -> dict[str, str]:
    return _said_off(job).fields() if job else {}


def _faults(
    entry: Entry, change: Change, stored: Record | None, connection: Redis
) -> Iterator[Mistake]:
    """What would be refused when it is written."""
    if stored and stored.locked:
        text = f"it is locked by the code; change it where it is declared: {stored.place}"
        yield entry.mistake(text)
    for field, keyword in {"func_name": "function", **{name: name for name in CALLBACKS}}.items():
        if field in change.fields:
            try:
                change.job.import_functions([field])
            except InvalidScheduleError as error:
                yield entry.mistake(error, keyword)
    if "queue_name" in change.fields:
        try:
            get_queue(entry.queue, connection)
        except InvalidScheduleError as error:
            yield entry.mistake(error, "queue")
