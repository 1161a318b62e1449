"""Schedules that a project declares in its code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from django.apps import apps

from ..core.declared.declared_schedule import DeclaredSchedule
from ..core.exceptions import InvalidScheduleError
from ..core.job import RedisCronJob
from ..core.quoting import quoted_id
from ..core.schedule.options import ScheduleArguments, by_name, refuse_unknown
from ..queues import default_result_ttl
from .declared_files import declared_entries

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..core.files import Entry


@dataclass(frozen=True)
class Declaration:
    """A declared schedule, and where it is declared."""

    job: RedisCronJob
    application: str | None
    """The label of the Django application whose hook declares it."""
    file: str
    line: int
    locked: bool = False

    @property
    def place(self) -> str:
        """For people: file and line, and the application where it is known."""
        return _place(self.application, self.file, self.line)

    def wanted(self, application: str) -> DeclaredSchedule:
        """What it asks for, as a schedule of that project."""
        return DeclaredSchedule(self.job, application, self.place, self.locked)

    def asks_for(self) -> tuple[object, ...]:
        """Equal for two declarations that ask for the same."""
        job = self.job
        return job.definition(), job.enabled, job.enabled_given, self.locked


def declarations() -> list[Declaration]:
    """What is declared, in that order: in code, then in the files of the setting `FILES`.

    Raises `InvalidScheduleError` if one of the files is wrong: without its schedules, those would
    count as no longer declared.
    """
    found, faults = all_declarations()
    if faults:
        raise InvalidScheduleError("; ".join(faults))
    return found


def all_declarations() -> tuple[list[Declaration], list[str]]:
    """What is declared, without wrong files, and what is wrong with those."""
    known = dict(_declared)
    entries, faults = declared_entries()
    for file, entry in entries:
        try:
            new = _declaration_of(file, entry)
        except InvalidScheduleError as error:
            place = f"{file}:{entry.place.line}"
            faults.append(f"schedule {quoted_id(entry.id)}, declared at {place}: {error}")
            continue
        if known.setdefault(entry.id, new).asks_for() != new.asks_for():
            faults.append(_declared_twice(known[entry.id], new))
    return list(known.values()), faults


def _declaration_of(file: str, entry: Entry) -> Declaration:
    arguments = _with_result_ttl(entry.queue, entry.arguments())
    job = RedisCronJob.requested(entry.function, entry.queue, entry.id, arguments)
    job.off = entry.off
    return Declaration(job, None, file, entry.place.line, entry.locked)


def _with_result_ttl(queue_name: str, arguments: ScheduleArguments) -> ScheduleArguments:
    if arguments.get("result_ttl") is None:
        arguments["result_ttl"] = default_result_ttl(queue_name)
    return arguments


_declared: dict[str, Declaration] = {}


def register(
    func: Callable[..., Any] | str,
    queue_name: str,
    id: str,
    *positional: Any,
    locked: bool = False,
    **arguments: Unpack[ScheduleArguments],
) -> RedisCronJob:
    """Declare the schedule `id` in an `AppConfig.ready` hook.

    What is declared is written to Redis by `manage.py rqcron_scheduler` when it starts, and by
    `manage.py rqrcron_sync`; no other process touches Redis for it. What people change of it stays
    changed, but for the rest it follows the code; with `locked`, nobody else may change it.

    The arguments are those of `RedisCronScheduler.register`; a function that is given by its dotted
    name is imported when the schedule is written; `result_ttl` defaults to the queue's
    `DEFAULT_RESULT_TTL`; `enabled` is for the beginning only, unless it is locked.

    Raises `InvalidScheduleError` if the schedule could not run, if another one is declared with
    this id, or if it is called after start-up (at run time use `get_scheduler().register(...)`),
    and `UnknownQueueError` if the queue is not in `RQ_QUEUES`.
    """
    caller = sys._getframe(1)
    # Django sets `ready` when all hooks have run.
    if apps.ready:
        raise InvalidScheduleError(
            f"schedule {quoted_id(id)} cannot be declared after start-up, as at "
            f"{_place(*_position(caller))}; declare it in AppConfig.ready(), or at run time use "
            f"get_scheduler().register(...)"
        )
    refuse_unknown(arguments, "locked")
    with _named(id, caller):
        arguments = _with_result_ttl(queue_name, by_name(positional, arguments))
        job = RedisCronJob.requested(func, queue_name, id, arguments)
    _declare(job, caller, locked=locked)
    return job


@contextmanager
def _named(id: str, caller: FrameType) -> Iterator[None]:
    """Say of what is wrong with a declaration where it stands: Django's traceback is long."""
    try:
        yield
    except InvalidScheduleError as error:
        place = _place(*_position(caller))
        raise type(error)(f"schedule {quoted_id(id)}, declared at {place}: {error}") from error


def _declare(job: RedisCronJob, caller: FrameType, *, locked: bool) -> None:
    """Remember a declaration. The same one again is no error: hooks may run more than once."""
    application, file, line = _position(caller)
    new = Declaration(job.snapshot(), application, file, line, locked)
    known = _declared.setdefault(job.id, new)
    if known is new or known.asks_for() == new.asks_for():
        return
    if known.place == new.place:
        raise InvalidScheduleError(
            f"schedule {quoted_id(job.id)} is declared twice, differently, by the same line, "
            f"{new.place}; if a loop declares it, make the id differ in each round"
        )
    raise InvalidScheduleError(_declared_twice(known, new))


def _declared_twice(known: Declaration, new: Declaration) -> str:
    return (
        f"schedule {quoted_id(new.job.id)} is declared twice, differently: at {known.place} and at "
        f"{new.place}; give one of them another id"
    )


def _position(caller: FrameType) -> tuple[str | None, str, int]:
    """Application, file and line of a declaration."""
    module = str(caller.f_globals.get("__name__", ""))
    return _application(module), _short(caller.f_code.co_filename, module), caller.f_lineno


def _place(application: str | None, file: str, line: int) -> str:
    return f"{file}:{line} (application {application!r})" if application else f"{file}:{line}"


def _application(module: str) -> str | None:
    """The label of the application that a module belongs to."""
    if not apps.apps_ready:
        return None
    config = apps.get_containing_app_config(module)
    return config.label if config else None


def _short(file: str, module: str) -> str:
    """The file from its topmost package on: the same wherever a release is unpacked."""
    parts = Path(file).parts
    depth = module.count(".") + (2 if parts[-1] == "__init__.py" else 1)
    return "/".join(parts[-depth:])
