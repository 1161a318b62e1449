"""What beat sends: tasks of Celery as functions, and their options as ours."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...core.dotted_names import resolve_function
from ...core.exceptions import InvalidScheduleError
from ...core.quoting import cut, quoted
from ...core.schedule.checks import check_arguments
from ..found import CannotMoveError, CannotReadError, Maps, Note
from ..packages import import_needed

_MICROSECOND = timedelta(microseconds=1)

_OPTIONS = {
    "priority": (
        "a queue has no priorities",
        "use at_front, or a queue that workers look at first",
    ),
    "exchange": ("there are no exchanges", "name a queue"),
    "routing_key": ("there are no routing keys", "name a queue"),
    "headers": ("jobs have no headers", "pass the values in kwargs, or in meta"),
    "countdown": ("jobs are not delayed", "move the times of the schedule"),
    "eta": ("jobs are not delayed", "move the times of the schedule"),
    "link": ("no task follows", "name a function in on_success"),
    "link_error": ("no task follows", "name a function in on_failure"),
}
"""What is lost: why, and what to do."""

_UNLIMITED = -1
"""Of `job_timeout`: otherwise, RQ has a limit where Celery has none."""

_HARMLESS = frozenset(
    ("queue", "expires", "time_limit", "soft_time_limit", "retry", "retry_policy", "serializer")
)
"""Options that are carried over, or that are about sending only."""

_HOOKS = ("before_start", "on_success", "on_failure", "on_retry", "after_return")


@dataclass(frozen=True)
class Sent:
    """What beat sends to workers."""

    task: str
    args: Any
    kwargs: Any
    options: Mapping[str, Any]


class Tasks:
    """The tasks of an app.

    `queue`: the name, here, of the queue that Celery uses if none is given.
    """

    def __init__(self, app: Any, maps: Maps, queue: str) -> None:
        self._app, self._maps, self._queue = app, maps, queue
        self._task_class = import_needed("celery", "celery").Task
        self._json = import_needed("kombu.utils.json", "celery")
        try:
            app.loader.import_default_modules()
            app.finalize()
        except Exception as error:  # modules of the project
            raise CannotReadError(
                f"the tasks of the app cannot be imported: {type(error).__name__}: {cut(error)}"
            ) from None

    def keywords_of(self, sent: Sent) -> tuple[dict[str, Any], list[Note]]:
        """What is to be called, and how, and what is different. Raises `CannotMoveError`."""
        if not isinstance(sent.task, str) or not sent.task:
            raise CannotMoveError(f"its task must be the name of one, got {quoted(sent.task)}")
        task = self._find(sent.task)
        function, notes = self._function(sent.task, task)
        options = {**self._options_of_task(task), **sent.options}
        args, kwargs = self._received(sent)
        keywords: dict[str, Any] = {
            "func": function,
            "queue_name": self._queue_name(sent, task, options),
            "args": tuple(args),
            "kwargs": kwargs,
        }
        try:
            keywords |= self._limits(options)
        except (TypeError, ValueError) as error:
            raise CannotMoveError(
                f"its time limit or expires cannot be read: {cut(error)}"
            ) from None
        return keywords, [*notes, *_lost(options), *_hooks(task, self._task_class)]

    # Functions

    def _find(self, name: str) -> Any:
        """A task, or None."""
        found = self._app.tasks.get(name)
        if found is None:
            try:
                found = resolve_function(name)
            except InvalidScheduleError:
                return None
        return found if isinstance(found, self._task_class) else None

    def _function(self, name: str, task: Any) -> tuple[str, list[Note]]:
        given = self._maps.find(name)
        if given is not None:
            return given, []
        if name.startswith("celery."):
            raise CannotMoveError(
                f"{name} is Celery's own task", "RQ deletes results itself, after result_ttl"
            )
        how = f"name a function for it: --map {name}=MODULE.FUNCTION"
        if task is None:
            return self._plain_function(name, how), []
        run = getattr(task, "_orig_run", task.run)
        if inspect.ismethod(run):
            raise CannotMoveError(_why_method(name, task), f"write a plain function, and {how}")
        dotted = f"{run.__module__}.{run.__qualname__}"
        try:
            found = resolve_function(dotted)
        except InvalidScheduleError:
            found = None
        if found is not run and getattr(found, "name", None) != task.name:
            raise CannotMoveError(
                f"the function of the task {quoted(name)}, {dotted}, cannot be imported by its "
                f"name",
                how,
            )
        return dotted, list(_attributes(task))

    def _plain_function(self, name: str, how: str) -> str:
        try:
            resolve_function(name)
        except InvalidScheduleError:
            raise CannotMoveError(
                f"the app has no task {quoted(name)}, and no function of this name can be imported",
                how,
            ) from None
        return name

    # Arguments

    def _received(self, sent: Sent) -> tuple[list[Any], dict[str, Any]]:
        """As the task receives them, in JSON."""
        try:
            args = self._json.loads(self._json.dumps(list(sent.args or ())))
            kwargs = self._json.loads(self._json.dumps(dict(sent.kwargs or {})))
            check_arguments(args, kwargs)
        except (InvalidScheduleError, TypeError, ValueError) as error:
            raise CannotMoveError(
                f"its arguments are not JSON: {cut(error)}",
                "pass texts and numbers, or compute them in the function",
            ) from None
        return args, kwargs

    # Options

    def _options_of_task(self, task: Any) -> dict[str, Any]:
        """What is said where the task is defined."""
        return {} if task is None else dict(task._get_exec_options())

    def _queue_name(self, sent: Sent, task: Any, options: Mapping[str, Any]) -> str:
        """Where Celery's router sends it."""
        router = self._app.amqp.router
        try:
            routed = router.route(dict(options), sent.task, sent.args, sent.kwargs, task)
        except Exception as error:  # also the project's own routers
            raise CannotMoveError(f"Celery cannot route it: {cut(error)}") from None
        name = getattr(routed.get("queue"), "name", routed.get("queue"))
        return self._queue if name in (None, self._app.conf.task_default_queue) else str(name)

    def _limits(self, options: Mapping[str, Any]) -> dict[str, Any]:
        conf = self._app.conf
        limit = options.get("time_limit") or conf.task_time_limit
        limit = limit or options.get("soft_time_limit") or conf.task_soft_time_limit
        found: dict[str, Any] = {"job_timeout": math.ceil(limit) if limit else _UNLIMITED}
        expires = options.get("expires")
        if isinstance(expires, str):
            expires = datetime.fromisoformat(expires)
        if isinstance(expires, timedelta):
            expires = expires.total_seconds()
        if isinstance(expires, datetime):
            if expires.utcoffset() is None:
                expires = expires.replace(tzinfo=self._app.timezone)
            found["end_at"] = expires - _MICROSECOND  # there, not even at that moment
        elif expires is not None:
            found["ttl"] = max(math.ceil(expires), 1)
        return found


def _why_method(name: str, task: Any) -> str:
    if getattr(task, "_decorated", False):
        return (
            f"the task {quoted(name)} is bound (bind=True): its function takes the task itself, "
            f"which RQ does not pass"
        )
    kind = type(task)
    return (
        f"the task {quoted(name)} is the class {kind.__module__}.{kind.__qualname__}, no function"
    )


def _attributes(task: Any) -> Iterator[Note]:
    """What else is said where it is defined, and counts for nothing here."""
    retried = getattr(task, "autoretry_for", ())
    if retried:
        names = ", ".join(getattr(each, "__name__", str(each)) for each in retried)
        yield Note(
            f"Celery retries it after {names}, up to {task.max_retries} times; here it is not",
            f"set retry={task.max_retries}, after which RQ retries it whatever it raised",
        )
    if task.rate_limit:
        yield Note(f"rate_limit {task.rate_limit!r} does not count here")


def _lost(options: Mapping[str, Any]) -> Iterator[Note]:
    for name, value in options.items():
        if name in _HARMLESS or value in (None, {}, (), []):
            continue
        if name in _OPTIONS:
            why, remedy = _OPTIONS[name]
            yield Note(f"{name} {quoted(value)} is lost: {why}", remedy)
        else:
            yield Note(f"option {name}={quoted(value)} is lost: it is Celery's")


def _hooks(task: Any, plain: Any) -> Iterator[Note]:
    own = [
        name for name in _HOOKS if task and getattr(type(task), name) is not getattr(plain, name)
    ]
    if own:
        yield Note(
            f"{', '.join(own)} of its class {type(task).__mro__[1].__name__} are not called here",
            "name functions in on_success and on_failure",
        )
