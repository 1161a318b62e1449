"""What a schedule says: what is to run, and when."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from rq.cron import CronJob

from ..dotted_names import function_name, resolve_function
from ..timing.cron_times import utc_text
from ..timing.recurrence import MAX_WAIT, Recurrence
from ..timing.zones import find_zone
from .options import JOB_DEFAULTS, TimeOptions
from .rq_options import CALLBACKS, make_callback
from .texts import parse_time, time_text

if TYPE_CHECKING:
    from typing_extensions import Self

_LONGEST = timedelta(seconds=MAX_WAIT)

State = Literal["enabled", "disabled", "finished", "error"]

FUNCTION_FIELDS = ("func_name", *CALLBACKS)
"""Fields that hold dotted names."""

Times = tuple["datetime | None", "datetime | None"]


@dataclass(frozen=True)
class Off:
    """Since when a schedule is disabled, by whom, why and until when.

    As far as that is on record: nothing is if another program disabled it, or if it was created so.
    """

    at: datetime | None = None
    by: str | None = None
    """The actor, as in the log of changes."""
    reason: str = ""
    until: datetime | None = None
    """When the leader enables it."""

    @classmethod
    def of(cls, data: Mapping[str, str]) -> Off:
        """What a hash says; only for people, so that what cannot be read counts as missing."""
        if not data.get("disabled_at"):
            return NOT_ON_RECORD
        return cls(
            _moment(data["disabled_at"]),
            data.get("disabled_by") or None,
            data.get("disabled_reason", ""),
            _moment(data.get("disabled_until", "")),
        )

    def fields(self) -> dict[str, str]:
        """The fields of the hash."""
        fields = {
            "disabled_at": time_text(self.at),
            "disabled_by": self.by or "",
            "disabled_reason": self.reason,
            "disabled_until": time_text(self.until),
        }
        return {name: text for name, text in fields.items() if text}

    def describe(self, show: Callable[[datetime], str]) -> str:
        """`since TIME, by ACTOR, until TIME: REASON`, of which parts may be missing."""
        parts = [("since", self.at and show(self.at)), ("by", self.by)]
        parts.append(("until", self.until and show(self.until)))
        text = ", ".join(f"{word} {what}" for word, what in parts if what)
        return ": ".join(filter(None, (text, self.reason)))


NOT_ON_RECORD = Off()


def _moment(text: str) -> datetime | None:
    with suppress(ValueError):
        return parse_time(text) if text else None
    return None


class Definition(TimeOptions, CronJob):
    """What is to run and when, as checks, texts and times see it; `Record` makes and reads it."""

    id: str
    enabled: bool
    created_at: datetime | None
    updated_at: datetime | None

    local_zone: ZoneInfo | None = None
    """The local zone of the application that declares it, if that is not ours."""

    _loaded_times: Times  # latest and next, as they were loaded

    def _prepare(self) -> None:
        self._func: Callable[..., Any] | None = None
        self.revision = 0
        self.last_error: str | None = None
        self.last_error_at: datetime | None = None
        self.runs = 0
        self.finished_at: datetime | None = None
        self.off = NOT_ON_RECORD
        self._loaded_times = (None, None)
        self.enabled_given = True  # False: a stored schedule keeps its own state

    @property
    def has_no_options(self) -> bool:
        """Whether all options have their defaults; asked of thousands of schedules at once."""
        return not self.time_options and JOB_DEFAULTS.keys().isdisjoint(self.job_options)

    @property
    def schedule(self) -> str:
        """When it runs, in short: the cron expression with its time zone, or `every 10s`."""
        if self.cron and self.timezone:
            return f"{self.cron} ({self.timezone})"
        return self.cron or f"every {self.interval}s"

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone in which its cron expression is read; None for the process's local one."""
        return find_zone(self.timezone) if self.timezone else self.local_zone

    @property
    def state(self) -> State:
        """`disabled`, `finished` (nothing is left to run), `error` (see `last_error`) or `enabled`.

        The first of these that applies.
        """
        if not self.enabled:
            return "disabled"
        if self.finished_at is not None:
            return "finished"
        return "enabled" if self.last_error is None else "error"

    @property
    def disabled_at(self) -> datetime | None:
        """Since when it is disabled; None if it is not, or if that is not on record."""
        return None if self.enabled else self.off.at

    @property
    def disabled_by(self) -> str | None:
        """Who disabled it, as in the log of changes; None likewise."""
        return None if self.enabled else self.off.by

    @property
    def disabled_reason(self) -> str:
        """Why it is disabled; empty if nobody said."""
        return "" if self.enabled else self.off.reason

    @property
    def disabled_until(self) -> datetime | None:
        """When the scheduler is to enable it; None for never."""
        return None if self.enabled else self.off.until

    @property
    def func(self) -> Callable[..., Any]:
        """The function, imported on access.

        Raises `InvalidScheduleError` if it cannot be imported.
        """
        if self._func is None:
            self._func = resolve_function(self.func_name)
        return self._func

    @func.setter
    def func(self, func: Callable[..., Any] | str | None) -> None:
        if isinstance(func, str):
            self.func_name = func
            return
        self.func_name = function_name(func)
        self._func = func

    @property
    def func_name(self) -> str:
        """The dotted name of the function."""
        return self._func_name

    @func_name.setter
    def func_name(self, func_name: str) -> None:
        self._func_name = func_name
        self._func = None

    def recurrence(self, origin: datetime | None = None) -> Recurrence:
        """Its occurrences; an interval without `start_at` is counted from `origin`."""
        return Recurrence(self.interval, self.cron, self.zone, self.start_at, self.end_at, origin)

    @property
    def runs_left(self) -> float:
        """How many of `max_runs`; infinite without that limit."""
        return math.inf if self.max_runs is None else self.max_runs - self.runs

    def due_time(self, moment: datetime) -> datetime | None:
        """The next time of an enabled schedule: that of its hash, if it is a possible one.

        Otherwise, as after a change whose writer did not know everything that it depends on, it is
        computed from that change, or from a later occurrence. None if none is left.
        """
        has_options = bool(self.time_options)
        if self.finished_at is not None or (has_options and self.runs_left <= 0):
            return None
        following, latest = self.next_enqueue_time, self.latest_enqueue_time
        if following is not None and following - moment <= _LONGEST:
            if not has_options:
                return following
            start_at, end_at = self.start_at, self.end_at
            if end_at is not None and following > end_at:
                return None
            if start_at is None or following >= start_at:
                return following
        changed = min(self.updated_at or moment, moment)
        since = max(changed, latest or changed)
        return self.recurrence().first(since, latest, retimed=False)

    def import_functions(self, fields: Container[str]) -> None:
        """Raise `InvalidScheduleError` if a function of these fields cannot be imported."""
        if "func_name" in fields:
            self.func  # noqa: B018 - raises
        for name in CALLBACKS:
            text = self.job_options.get(name)
            if text and name in fields:
                make_callback(text, name)

    def moved_times(self) -> dict[str, str]:
        """The times that were set on this object since it was constructed or loaded."""
        names = ("latest_enqueue_time", "next_enqueue_time")
        times = (self.latest_enqueue_time, self.next_enqueue_time)
        return {
            name: utc_text(time)
            for name, time, loaded in zip(names, times, self._loaded_times, strict=True)
            if time is not None and time != loaded
        }

    def snapshot(self) -> Self:
        """A copy that later runs of this schedule do not change."""
        copy = self.__class__.__new__(self.__class__)
        copy.__dict__ = self.__dict__.copy()
        copy.kwargs, copy.job_options = {**self.kwargs}, {**self.job_options}
        return copy
