"""Django signals for alarms: connect a function to be told.

Each handler is called with keyword arguments:

- `sender`: the class `Notification`, and `signal`: the signal, as Django has it,
- `schedule`: the `RedisCronJob` as it is now; None if it was deleted, and for `leader_changed`,
- `occurrence`: the time that the run was scheduled for, in UTC; None if there is none,
- `run`: the `Run`; None if the alarm is not about one,
- `text`: one or two sentences for people,
- `notification`: the `Notification`, with all that is known.

It runs in a thread of the scheduler that leads, apart from its passes, and may use the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import async_to_sync
from django.dispatch import Signal

from .core.notifying.notification import Notification
from .core.notifying.receivers import Receiver

run_failed = Signal()
"""A run failed, and will not be retried."""

run_recovered = Signal()
"""The first success after failures."""

run_too_long = Signal()
"""A run takes, or took, longer than its schedule's `max_runtime`."""

run_unknown = Signal()
"""How a run ended is unknown: RQ deleted the job before its end was seen."""

schedule_error = Signal()
"""A schedule could not be enqueued."""

schedule_late = Signal()
"""A run was enqueued long after it was due."""

schedule_disabled = Signal()
"""A schedule was disabled after `max_failures` failures in a row."""

leader_changed = Signal()
"""Another scheduler became the leader."""

SIGNALS = {
    "run_failed": run_failed,
    "run_recovered": run_recovered,
    "run_too_long": run_too_long,
    "run_unknown": run_unknown,
    "schedule_error": schedule_error,
    "schedule_late": schedule_late,
    "schedule_disabled": schedule_disabled,
    "leader_changed": leader_changed,
}
"""Kind of alarm -> its signal."""

TIMEOUT = 60
"""Seconds that all handlers of one alarm may take together."""

Handler = Callable[..., Any]
Failures = list[tuple[Handler, Exception]]

_REMEMBERED = 10
"""Alarms of which it is remembered who raised. They come one after the other, but a handler that
hangs may end much later."""


def signals_receiver() -> Receiver | None:
    """The receiver that sends the signals; None if no handler is connected to any of them."""
    if not any(signal.has_listeners(Notification) for signal in SIGNALS.values()):
        return None
    return Receiver("signals", _Sender().tell, timeout=TIMEOUT)


class _Sender:
    """Calls all handlers of an alarm and, when it is told that one again, those that raised."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._raised: dict[str, list[Handler]] = {}

    def tell(self, notifications: Sequence[Notification]) -> None:
        """Raises RuntimeError, to be called again, if a handler raised."""
        for notification in notifications:
            self._tell(notification)

    def _tell(self, notification: Notification) -> None:
        id = notification.id
        with self._lock:
            if id in self._running:
                raise RuntimeError("handlers that were called for this are still running")
            self._running.add(id)
            again = self._raised.get(id)
        try:
            failures = _send(notification) if again is None else _call(again, notification)
            with self._lock:
                self._raised[id] = [handler for handler, _ in failures]
                while len(self._raised) > _REMEMBERED:
                    del self._raised[next(iter(self._raised))]
        finally:
            with self._lock:
                self._running.discard(id)
        if failures:
            raise RuntimeError(
                ", ".join(f"{_name(each)} raised {error!r}" for each, error in failures)
            )


def _send(notification: Notification) -> Failures:
    """Call all handlers. Django logs the tracebacks of those that raise."""
    responses = SIGNALS[notification.kind].send_robust(Notification, **_arguments(notification))
    return [(handler, result) for handler, result in responses if isinstance(result, Exception)]


def _call(handlers: Sequence[Handler], notification: Notification) -> Failures:
    """Call these handlers, as `_send` does."""
    failures: Failures = []
    signal = SIGNALS[notification.kind]
    for handler in handlers:
        call = async_to_sync(handler) if iscoroutinefunction(handler) else handler
        try:
            call(signal=signal, sender=Notification, **_arguments(notification))
        except Exception as error:
            failures.append((handler, error))
    return failures


def _name(handler: Handler) -> str:
    return getattr(handler, "__qualname__", None) or type(handler).__qualname__


def _arguments(notification: Notification) -> dict[str, Any]:
    return {
        "schedule": notification.schedule,
        "occurrence": notification.occurrence,
        "run": notification.run,
        "text": notification.text,
        "notification": notification,
    }
