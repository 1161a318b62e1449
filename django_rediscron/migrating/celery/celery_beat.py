"""The `beat_schedule` of a Celery app."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from redis import Redis

from ...core.quoting import cut, quoted
from ..found import CannotMoveError, CannotReadError, Found, Maps, Note, distinct_ids
from ..packages import import_needed
from .tasks import Sent, Tasks
from .timing import next_times, timing_of

_FIRST_RUN = Note(
    "it runs as soon as it is created here; in Celery, one interval after beat was started",
    "give it start_at if that is too early",
)
"""Of an interval whose last run is not known."""


def read(connection: Redis, maps: Maps, *, app: str, default_queue: str) -> list[Found]:
    """The periodic tasks of an app, also those of `add_periodic_task`.

    `app`: as `celery -A` takes it, or the dotted name of a module with the configuration, or of a
    `beat_schedule`. `default_queue`: what Celery's default queue is called here.
    """
    found = _find_app(app)
    tasks = Tasks(found, maps, default_queue)
    entries = dict(found.conf.beat_schedule or {})
    ids = distinct_ids(map(str, entries))
    return [
        _found(str(name), id, entry, found, tasks)
        for (name, entry), id in zip(entries.items(), ids, strict=True)
    ]


def _found(name: str, id: str, entry: Any, app: Any, tasks: Tasks) -> Found:
    found = Found(name, id, None)
    try:
        entry = _entry(name, entry, app)
        timing, found.notes = timing_of(entry.schedule)
        found.times = next_times(entry.schedule, app.timezone)
        keywords, notes = tasks.keywords_of(
            Sent(entry.task, entry.args, entry.kwargs, entry.options)
        )
        found.notes += notes
        if "interval" in timing:
            found.notes.append(_FIRST_RUN)
        found.options = keywords | timing
    except CannotMoveError as error:
        found.notes.append(error.note)
    return found


def _entry(name: str, entry: Any, app: Any) -> Any:
    """As beat makes it."""
    kind = import_needed("celery.beat", "celery").ScheduleEntry
    if isinstance(entry, kind):
        entry.app = entry.schedule.app = app
        return entry
    try:
        made = kind(**dict(entry, name=name, app=app))
        made.schedule.is_due  # noqa: B018
    except Exception as error:
        raise CannotMoveError(f"Celery cannot read it: {cut(error)}") from None
    if not isinstance(made.options, Mapping):
        raise CannotMoveError(f"its options must be a dict, got {quoted(made.options)}")
    return made


# The app


def _find_app(name: str) -> Any:
    celery = import_needed("celery", "celery")
    find_app = import_needed("celery.app.utils", "celery").find_app
    found = None
    try:
        found = find_app(name)
    except AttributeError:
        pass
    except Exception as error:  # modules of the project
        raise CannotReadError(
            f"{quoted(name)} cannot be imported: {type(error).__name__}: {cut(error)}; write it as "
            f"celery -A takes it, such as project or project.celery:app"
        ) from None
    if isinstance(found, celery.Celery):
        found.set_current()
        return found
    for configuration in _configurations(name, found):
        return _app_of(configuration, found, celery)
    raise CannotReadError(
        f"{quoted(name)} is neither a Celery app nor a beat_schedule; write it as celery -A takes "
        f"it, such as project or project.celery:app"
    )


def _configurations(name: str, found: Any) -> Iterator[ModuleType]:
    """The module of a configuration that this is, or is in."""
    module, _, _ = name.replace(":", ".").rpartition(".")
    if isinstance(found, Mapping):
        yield import_module(module)
    elif found is None and any(hasattr(sys.modules.get(name), each) for each in _SCHEDULES):
        yield sys.modules[name]


_SCHEDULES = ("beat_schedule", "CELERY_BEAT_SCHEDULE", "CELERYBEAT_SCHEDULE")


def _app_of(configuration: ModuleType, schedule: Mapping[str, Any] | None, celery: Any) -> Any:
    """An app with the settings of a module."""
    app = celery.Celery(set_as_current=False)
    namespace = "CELERY" if hasattr(configuration, "CELERY_BEAT_SCHEDULE") else None
    try:
        app.config_from_object(configuration, namespace=namespace)
        if schedule is not None:
            app.conf.beat_schedule = schedule
        _ = app.timezone
    except Exception as error:
        raise CannotReadError(
            f"Celery cannot use the configuration in {configuration.__name__}: {cut(error)}"
        ) from None
    return app
