"""The tables of django-celery-beat."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import islice, takewhile
from typing import Any

from redis import Redis

from ...core.quoting import cut
from ..found import CannotMoveError, Found, Maps, Note, Times, distinct_ids, once
from ..packages import import_models, import_needed, reading_tables
from .tasks import Sent, Tasks
from .timing import next_times, solar, timing_of

_PACKAGE, _APP = "django-celery-beat", "django_celery_beat"
_FIRST_RUN = Note(
    "it runs as soon as it is enabled here; in Celery, one interval later",
    "give it start_at if that is too early",
)
"""Of an interval that is disabled."""

_OPTIONS = ("queue", "exchange", "routing_key", "priority")


def read(connection: Redis, maps: Maps, *, default_queue: str) -> list[Found]:
    """The periodic tasks in the tables, disabled ones, too.

    `default_queue`: what Celery's default queue is called here.
    """
    models = import_models(f"{_APP}.models", _PACKAGE, _APP)
    aware = import_needed(f"{_APP}.utils", _PACKAGE).make_aware
    app = import_needed("celery", "celery").current_app._get_current_object()
    tasks = Tasks(app, maps, default_queue)
    rows = models.PeriodicTask.objects.select_related("interval", "crontab", "solar", "clocked")
    with reading_tables(_PACKAGE):
        rows = list(rows.order_by("pk"))
    ids = distinct_ids([row.name for row in rows])
    now = datetime.now(timezone.utc)
    return [_Row(row, app, aware, now).found(id, tasks) for row, id in zip(rows, ids, strict=True)]


class _Row:
    """A periodic task, with its times in UTC."""

    def __init__(
        self, row: Any, app: Any, aware: Callable[[datetime], datetime], now: datetime
    ) -> None:
        self._row, self._app, self._now = row, app, now
        times = row.start_time, row.expires, row.last_run_at, row.date_changed
        self._start, self._expires, self._last, self._changed = (_utc(t, aware) for t in times)
        self._notes: list[Note] = []
        self._times: Times | None = None

    def found(self, id: str, tasks: Tasks) -> Found:
        """What it becomes here."""
        found = Found(self._row.name, id, None, self._notes)
        try:
            keywords, notes = tasks.keywords_of(self._sent())
            timing = self._timing()
        except CannotMoveError as error:
            self._notes.append(error.note)
            return found
        self._notes += notes
        found.options = keywords | timing | {"enabled": self._row.enabled}
        if self._row.description:
            found.options["description"] = self._row.description
        found.times = self._bounded()
        return found

    def _sent(self) -> Sent:
        """As `ModelEntry` of the package makes it."""
        row = self._row
        loads = import_needed("kombu.utils.json", "celery").loads
        try:
            args, kwargs = loads(row.args or "[]"), loads(row.kwargs or "{}")
            headers = loads(row.headers or "{}")
        except ValueError as error:
            raise CannotMoveError(
                f"its arguments are not JSON, so that Celery disables it: {cut(error)}"
            ) from None
        options = {name: getattr(row, name) for name in _OPTIONS}
        options = {name: value for name, value in options.items() if value is not None}
        options |= {"headers": headers}
        if self._expires or row.expire_seconds:
            options["expires"] = self._expires or row.expire_seconds
        return Sent(row.task, args, kwargs, options)

    # Times

    def _timing(self) -> dict[str, Any]:
        row = self._row
        if row.one_off and row.total_run_count and row.enabled:
            raise CannotMoveError("it is one-off, and has run")
        if self._expires is not None and self._expires <= self._now:
            raise CannotMoveError(f"it expired at {self._expires.isoformat()}")
        if row.solar:  # which Celery cannot make without the package that knows where the sun is
            raise solar(row.solar.event)
        if row.clocked:
            return self._clocked()
        try:
            schedule = row.schedule
        except Exception as error:  # a row without a schedule, or with an invalid one
            raise CannotMoveError(f"its schedule cannot be read: {cut(error)}") from None
        timing, notes = timing_of(schedule)
        self._notes += notes
        if row.one_off:
            timing["max_runs"] = 1
        if "cron" in timing:
            self._times = self._from(next_times(schedule, self._app.timezone))
            begin = self._start
        else:
            begin = self._begin_of_interval(timing["interval"])
            last = begin and begin - timedelta(seconds=timing["interval"])
            self._times = next_times(schedule, self._app.timezone, last)
            if begin is None:
                self._notes.append(_FIRST_RUN)
        if begin is not None and begin > self._now:
            timing["start_at"] = begin
        return timing

    def _clocked(self) -> dict[str, Any]:
        time = self._row.clocked.schedule.clocked_time.astimezone(timezone.utc)
        if time <= self._now:
            raise CannotMoveError(f"it was to run once, at {time.isoformat()}, which is over")
        self._times = lambda after, count: [*islice((time,), count)]
        return once(time)

    def _begin_of_interval(self, seconds: int) -> datetime | None:
        """The next run of an interval, which may be overdue; None for one that is disabled."""
        if not self._row.enabled:
            return self._start
        last = self._last
        if last is None:
            if self._start is not None:
                return self._start
            last = self._changed or self._now
        begin = last + timedelta(seconds=seconds)
        return begin if self._start is None else max(begin, self._start)

    def _from(self, times: Times) -> Times:
        """From the start time on."""
        start = self._start
        if start is None:
            return times
        before = start - timedelta(microseconds=1)
        return lambda after, count: times(max(after, before), count)

    def _bounded(self) -> Times | None:
        times, end, one_off = self._times, self._expires, self._row.one_off
        if times is None:
            return None

        def bounded(after: datetime, count: int) -> list[datetime]:
            found = times(after, 1 if one_off else count)
            return [*takewhile(lambda time: end is None or time < end, found)]

        return bounded


def _utc(time: datetime | None, aware: Callable[[datetime], datetime]) -> datetime | None:
    return None if time is None else aware(time).astimezone(timezone.utc)
