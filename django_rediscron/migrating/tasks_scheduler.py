"""django-tasks-scheduler, and django-rq-scheduler before it: their tables, or their export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

from croniter import croniter
from redis import Redis

from ..core.quoting import cut, quoted
from ..core.timing.zones import find_zone
from .found import CannotMoveError, CannotReadError, Found, Maps, Note, Times, distinct_ids, once
from .packages import import_models, import_needed, reading_tables

_PACKAGE, _APP = "django-tasks-scheduler", "scheduler"

_CRON = ("CronTaskType", "CronTask", "CronJob")
_REPEATABLE = ("RepeatableTaskType", "RepeatableTask", "RepeatableJob")
_ONCE = ("OnceTaskType", "OnceTask", "ScheduledTask", "ScheduledJob")
"""What their versions call the kinds of tasks."""

_UNITS = ("seconds", "minutes", "hours", "days", "weeks")


def read(
    connection: Redis, maps: Maps, *, file: Path | None = None, timezone: str | None = None
) -> list[Found]:
    """What is in the tables, or in the JSON or YAML that the command `export` wrote to a file.

    `timezone`: that of cron expressions; by default UTC, or TIME_ZONE if USE_TZ is off.
    """
    tasks = _tables() if file is None else _export(file)
    zone = timezone or _default_zone()
    names = [_name(task, number) for number, task in enumerate(tasks, 1)]
    now = datetime.now(_UTC)
    return [
        _found(name, id, task, maps, _Clock(zone, now))
        for name, id, task in zip(names, distinct_ids(names), tasks, strict=True)
    ]


_UTC = timezone.utc


@dataclass(frozen=True)
class _Clock:
    zone: str
    now: datetime


def _name(task: object, number: int) -> str:
    name = task.get("name") if isinstance(task, Mapping) else None
    return str(name or f"task {number}")


# Where they are


def _tables() -> list[Any]:
    """As their own export has them."""
    models = import_models("scheduler.models", _PACKAGE, _APP)
    kinds = [getattr(models, name, None) for name in ("Task", *_CRON, *_REPEATABLE, *_ONCE)]
    if not any(kinds):
        raise CannotReadError(f"the app {_APP!r} of this project is not that of {_PACKAGE}")
    with reading_tables(_PACKAGE):
        rows = [row for kind in kinds if kind is not None for row in kind.objects.order_by("pk")]
        return [*map(_exported, rows)]


def _exported(row: Any) -> dict[str, Any]:
    try:
        exported: dict[str, Any] = row.to_dict()
        return exported
    except Exception as error:  # such as an invalid cron expression
        return {"name": row.name, "error": cut(error)}


def _export(file: Path) -> list[Any]:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json" or text.lstrip().startswith("["):
            found = json.loads(text)
        else:
            found = import_needed("yaml", "PyYAML").safe_load(text)
    except CannotReadError:
        raise
    except Exception as error:  # of the file, or of PyYAML
        raise CannotReadError(f"{file} cannot be read: {cut(error)}") from None
    if not isinstance(found, list):
        raise CannotReadError(f"{file} is not what manage.py export writes: a list of tasks")
    return found


def _default_zone() -> str:
    try:
        settings = import_module("django.conf").settings
        if settings.configured and not settings.USE_TZ:
            return str(settings.TIME_ZONE)
    except ModuleNotFoundError:
        pass
    return "UTC"


# What they become


def _found(name: str, id: str, task: Any, maps: Maps, clock: _Clock) -> Found:
    found = Found(name, id, None)
    try:
        if not isinstance(task, Mapping) or "error" in task:
            reason = task["error"] if isinstance(task, Mapping) else quoted(task)
            raise CannotMoveError(f"it cannot be read: {reason}")
        called = _called(task, maps)
        timing, found.times = _timing(task, clock, found.notes)
        found.options = called | _job_options(task) | timing
    except CannotMoveError as error:
        found.notes.append(error.note)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        found.notes.append(Note(f"it cannot be read: {type(error).__name__}: {cut(error)}"))
    return found


def _called(task: Mapping[str, Any], maps: Maps) -> dict[str, Any]:
    function = task["callable"]
    return {
        "func": maps.find(function) or function,
        "queue_name": task["queue"],
        "args": tuple(_value(arg) for arg in task.get("callable_args") or ()),
        "kwargs": {arg["key"]: _value(arg) for arg in task.get("callable_kwargs") or ()},
        "enabled": bool(task.get("enabled", True)),
    }


def _value(arg: Mapping[str, Any]) -> Any:
    kind, text = arg["arg_type"], arg["val"]
    if kind == "callable":
        raise CannotMoveError(
            f"an argument is the result of {text}(), which is called at each run",
            "call it in the function, and remove the argument",
        )
    if kind == "datetime":
        raise CannotMoveError(
            f"an argument is a datetime ({text}), which JSON does not have",
            "pass it as a text, which the function parses",
        )
    convert: dict[str, Callable[[str], Any]] = {
        "str": str,
        "int": int,
        "float": float,
        "json": json.loads,
    }
    return text.lower() == "true" if kind == "bool" else convert[kind](text)


def _job_options(task: Mapping[str, Any]) -> dict[str, Any]:
    found = dict[str, Any]()
    if task.get("at_front"):
        found["at_front"] = True
    if task.get("timeout"):
        found["job_timeout"] = task["timeout"]
    if task.get("result_ttl") is not None:
        found["result_ttl"] = task["result_ttl"]
    return found


def _timing(
    task: Mapping[str, Any], clock: _Clock, notes: list[Note]
) -> tuple[dict[str, Any], Times]:
    kind = task["model"]
    if kind in _CRON:
        if not isinstance(task["cron_string"], str):
            raise CannotMoveError("it has no cron expression")
        if task.get("repeat"):
            notes.append(
                Note(
                    f"repeat {task['repeat']} counts for nothing there, either: a cron task runs "
                    f"for ever",
                    "set max_runs if it is to end",
                )
            )
        keywords = {"cron": _cron(task["cron_string"]), "timezone": clock.zone}
        return keywords | _IN_TURN, _cron_times(task["cron_string"], clock.zone)
    if kind in _REPEATABLE:
        return _repeated(task, clock)
    if kind in _ONCE:
        time = _moment(task["scheduled_time"], clock.zone)
        if time <= clock.now:
            raise CannotMoveError(f"it was to run once, at {time.isoformat()}, which is over")
        return once(time), lambda after, count: [time][:count]
    raise CannotMoveError(f"its kind {quoted(kind)} is not known")


_IN_TURN = {"overlap": "skip"}
"""There, a task is scheduled again when its run has ended."""


def _moment(text: Any, zone: str) -> datetime:
    if not isinstance(text, (str, datetime)):
        raise CannotMoveError("it has no scheduled time")
    time = datetime.fromisoformat(text) if isinstance(text, str) else text
    if time.utcoffset() is None:
        time = time.replace(tzinfo=find_zone(zone))
    return time.astimezone(_UTC)


def _repeated(task: Mapping[str, Any], clock: _Clock) -> tuple[dict[str, Any], Times]:
    """Runs at its scheduled time, and then `repeat` times more.

    If that time is past, it has moved on by whole intervals, each of which has cost one of these.
    """
    unit = task["interval_unit"]
    if unit not in _UNITS:
        raise CannotMoveError(f"its unit {quoted(unit)} is not known")
    step = timedelta(**{unit: task["interval"]})
    if step < timedelta(seconds=1):
        raise CannotMoveError("it has no interval")
    time, repeat = _moment(task["scheduled_time"], clock.zone), task.get("repeat")
    gap = max(-((time - clock.now) // step), 0) if time < clock.now else 0
    if repeat is not None and gap > repeat:
        raise CannotMoveError("it has run as often as it was to run")
    begin = time + gap * step
    keywords = {"interval": int(step.total_seconds()), "start_at": begin, **_IN_TURN}
    if repeat is None:
        return keywords, lambda after, count: [*_steps(begin, step, count)]
    runs = repeat - gap + 1
    times = [*_steps(begin, step, min(runs, 1000))]
    return keywords | {"max_runs": runs}, lambda after, count: times[:count]


def _steps(begin: datetime, step: timedelta, count: int) -> Iterator[datetime]:
    return (begin + number * step for number in range(count))


# Cron expressions


def _cron(text: str) -> str:
    """With the same days here, if croniter takes one of two day fields that are restricted."""
    fields = text.split()
    if len(fields) not in (5, 6) or not all(_is_restricted(fields[at]) for at in _DAYS):
        return text
    for at, whole in _DAYS.items():
        fields[at] = ",".join(_without_star(item, whole) for item in fields[at].split(","))
    return " ".join(fields)


_DAYS = {2: "1-31", 4: "0-6"}
"""The fields of days and weekdays, and all their numbers."""


def _is_restricted(field: str) -> bool:
    return field not in ("*", "?", "*/1")


def _without_star(item: str, whole: str) -> str:
    """Here, a field that begins with `*` restricts the other one."""
    return whole + item[1:] if item.startswith("*") else item


def _cron_times(text: str, zone: str) -> Times:
    """As they are computed there: by croniter, in wall time."""

    def times(after: datetime, count: int) -> list[datetime]:
        local = find_zone(zone)
        walk = croniter(text, after.astimezone(local).replace(tzinfo=None))
        walls: Sequence[datetime] = [walk.get_next(datetime) for _ in range(count)]
        return [wall.replace(tzinfo=local) for wall in walls]

    return times
