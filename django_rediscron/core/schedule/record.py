"""A schedule and its hash: the fields, who declares it, and what was changed since."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from redis import Redis
from rq.utils import now

from ..exceptions import DamagedScheduleError, InvalidScheduleError
from ..plain import plain
from ..quoting import cut
from ..timing.durations import Duration, as_seconds
from . import checks as check
from . import codec, origin
from .definition import Definition, Times
from .options import (
    DEFAULT_RESULT_TTL,
    JOB_DEFAULTS,
    TIME_DEFAULTS,
    ScheduleArguments,
    ScheduleOptions,
    refuse_unknown,
)
from .origin import Differences, Origin
from .texts import lossy_text

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


_OWN = ("args", "kwargs", "meta", "name")
"""Fields that differ between schedules that otherwise have the same fields."""

_MUTABLE = ("meta", "webhooks", "retry")
"""Options that are never shared."""

_NO_KWARGS: dict[str, Any] = {}
"""Shared by packed schedules and never changed: snapshots have their own."""


class Record(Definition):
    """A definition that was read from a hash, or is to be written to one."""

    version = ""
    queued: tuple[Any, ...] = ()  # changes in pipelines whose results are not known yet

    # The definition as loaded: a dict or, packed, one that it shares and behind it what is its own.
    _stored_fields: dict[str, str] | tuple[Any, ...] | None = None
    _origin: Origin | None = None  # None if no code declares it
    # The fields that were loaded, and what they say; it holds for these very fields.
    _loaded_definition: tuple[dict[str, str] | None, dict[str, str]] = ({}, {})

    def __init__(
        self,
        id: str,
        queue_name: str,
        func: Callable[..., Any] | str | None = None,
        func_name: str | None = None,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        interval: Duration | None = None,
        cron: str | None = None,
        job_timeout: Duration | None = None,
        result_ttl: Duration | None = DEFAULT_RESULT_TTL,
        ttl: Duration | None = None,
        failure_ttl: Duration | None = None,
        meta: dict[str, Any] | None = None,
        connection: Redis | None = None,
        latest_enqueue_time: datetime | None = None,
        next_enqueue_time: datetime | None = None,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
        enabled: bool = True,
        *,
        webhooks: Sequence[Any] | None = None,
        name: str = "",
        **options: Unpack[ScheduleOptions],
    ) -> None:
        self._prepare()
        self.id, self.queue_name, self.connection = id, queue_name, connection
        if func is None and not func_name:
            raise InvalidScheduleError("either func or func_name is needed, got neither")
        self.func = func_name if func is None else func
        self.name = name or id
        self.args = () if args is None else args
        self.kwargs = {} if kwargs is None else kwargs
        self.interval = as_seconds(interval)
        self.cron = cron or None
        self.job_options = {
            "job_timeout": job_timeout,
            "result_ttl": result_ttl,
            "ttl": ttl,
            "failure_ttl": failure_ttl,
            "meta": meta,
            "webhooks": list(webhooks) if isinstance(webhooks, tuple) else webhooks or None,
        }
        self._set_options(options)
        self.latest_enqueue_time, self.next_enqueue_time = latest_enqueue_time, next_enqueue_time
        self.created_at, self.updated_at, self.enabled = created_at, updated_at, enabled
        self.validate()
        self._time_cron()

    def _set_options(self, options: ScheduleOptions) -> None:
        refuse_unknown(options)
        self.time_options = {n: value for n, value in options.items() if n in TIME_DEFAULTS}
        self.job_options |= {n: value for n, value in options.items() if n in JOB_DEFAULTS}

    def _time_cron(self) -> None:
        """Like RQ's, a cron job knows its next time from the start; an interval is due at once."""
        if self.cron and self.next_enqueue_time is None:
            self.next_enqueue_time = computed = self.get_next_enqueue_time()
            self._loaded_times = (None, computed)

    @classmethod
    def requested(
        cls,
        func: Callable[..., Any] | str,
        queue_name: str,
        id: str,
        arguments: ScheduleArguments,
        connection: Redis | None = None,
    ) -> Self:
        """The schedule that `register` is to write, from its arguments."""
        enabled = arguments.get("enabled")
        said: dict[str, Any] = {**arguments, "enabled": True if enabled is None else enabled}
        job = cls(id, queue_name, func, connection=connection, **said)
        job.enabled_given = enabled is not None
        return job

    def _prepare(self) -> None:
        # Only attributes that the first objects have are kept without a dict of each object's own,
        # which takes more than a kilobyte.
        super()._prepare()
        self.version = ""
        self._stored_fields = None
        self._origin = None

    @property
    def _stored(self) -> dict[str, str] | None:
        """The definition as loaded."""
        stored = self._stored_fields
        if isinstance(stored, tuple):
            common, *own = stored
            self._stored_fields = stored = {**common, **dict(zip(own[::2], own[1::2], strict=True))}
        return stored

    @_stored.setter
    def _stored(self, stored: dict[str, str] | None) -> None:
        self._stored_fields = stored

    def pack(self, kinds: dict[tuple[str, ...], tuple[Any, ...]]) -> None:
        """Take less memory until the loaded fields are needed. Call it just after loading.

        `kinds` holds what schedules share that differ only in arguments and the like.
        """
        stored = self._stored or {}
        own = [each for name in _OWN if name in stored for each in (name, stored.pop(name))]
        said = stored, self._func_name, self.queue_name, self.job_options
        kind = kinds.setdefault((*stored, *stored.values()), said)
        common, self._func_name, self.queue_name, options = kind
        self._stored_fields = (common, *own)
        if options == self.job_options and not any(map(options.get, _MUTABLE)):
            self.job_options = options
        if not self.kwargs:
            self.kwargs = _NO_KWARGS

    # When it runs

    def get_next_enqueue_time(self) -> datetime | None:  # type: ignore[override]
        """The next occurrence after the latest one; without one, from now. None for none."""
        check.check_when(self)
        recurrence = self.recurrence(self.latest_enqueue_time)
        if self.latest_enqueue_time is not None:
            return recurrence.next(self.latest_enqueue_time)
        return recurrence.first(now(), None, retimed=False)

    def validate(self) -> None:
        """Raise `InvalidScheduleError` for anything that could not be stored, read back and run.

        The function is not imported here, but by `save()` if `func_name` was changed.
        """
        check.check_schedule(self)

    # Where it comes from

    @property
    def source(self) -> str:
        """`code` if a project declares it, `runtime` if it was created at run time."""
        return origin.CODE if self._origin else origin.RUNTIME

    @property
    def application(self) -> str | None:
        """The application that declares it, as the setting `REDISCRON["APPLICATION"]` names it."""
        return self._origin.application if self._origin else None

    @property
    def place(self) -> str | None:
        """Where it is declared: `greetings/apps.py:12 (application 'greetings')`."""
        return self._origin.place if self._origin else None

    @property
    def declared(self) -> dict[str, str] | None:
        """The last declared hash fields of the definition, without defaults."""
        return self._origin.declared if self._origin else None

    @property
    def overrides(self) -> Differences:
        """Fields that differ from the code: field of its hash -> (its text, the text of the code).

        A change of this object counts when it is saved. A field that is set back to the declared
        value is no longer an override. `enabled` never is one: declaring it applies only on
        creation.
        """
        declared, stored = self.declared, self._stored
        if declared is None or stored is None or origin.agree(stored, declared):
            return {}
        return origin.differences(self.loaded_definition() or {}, declared)

    @property
    def locked(self) -> bool:
        """Whether only the code may change it."""
        return bool(self._origin and self._origin.locked)

    @property
    def orphaned_at(self) -> datetime | None:
        """When it was found that its application no longer declares it; None if it does."""
        return self._origin.orphaned_at if self._origin else None

    # What its hash says

    def definition(self) -> dict[str, str]:
        """The hash fields that say what to run and when."""
        return codec.dump_definition(self)

    def to_dict(self) -> dict[str, Any]:
        """The whole hash: strings and integers, JSON for args, kwargs and meta, RQ's UTC times."""
        return codec.dump(self) | (self._origin.fields() if self._origin else {})

    def loaded_definition(self) -> dict[str, str] | None:
        """The definition as it was loaded or last saved, in the form that is written; or None."""
        if self._stored is None:
            return None
        stored_fields, definition = self._loaded_definition
        if stored_fields is self._stored:
            return dict(definition)
        stored = self.from_texts({"id": self.id, **self._stored}, None)
        return {**stored.definition(), "enabled": str(int(stored.enabled))}

    def just_loaded_definition(self) -> dict[str, str]:
        """As `loaded_definition`, of a job that was not changed since it was loaded."""
        definition = {**self.definition(), "enabled": str(int(self.enabled))}
        self._loaded_definition = (self._stored, definition)
        return definition

    def count_changes_from(self, stored: Record) -> None:
        """Treat `stored` as the state in Redis: fields that differ from it are changes to save."""
        self._stored, self._loaded_definition = stored._stored, stored._loaded_definition

    def mark_saved(self, fields: Mapping[str, str], unset: Sequence[str], times: Times) -> None:
        """These fields and times were written: further changes of this object count against them.

        An object that was never written whole stays one.
        """
        if self._stored is not None or "func_name" in fields:
            stored = {**(self._stored or {}), **fields}
            self._stored = {name: stored[name] for name in stored if name not in unset}
        self._loaded_times = times

    @classmethod
    def restore(cls, raw_data: Mapping[Any, Any], connection: Redis | None = None) -> Self:
        """The schedule that a hash holds, ready to be enqueued.

        A field that is missing has its default. `func` is imported when it is asked for. Raises
        `DamagedScheduleError` if the hash cannot be read.
        """
        try:
            return cls.from_texts(codec.as_texts(raw_data), connection)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            id = plain(raw_data.get(b"id", raw_data.get("id", "")))
            shown = lossy_text(id) if isinstance(id, bytes) else str(id)
            raise DamagedScheduleError(shown, cut(error) or type(error).__name__) from error

    @classmethod
    def from_texts(cls, data: dict[str, str], connection: Redis | None) -> Self:
        """As `restore`, for a hash of valid texts. Raises `ValueError` if it cannot be read."""
        job = cls.__new__(cls)
        job._prepare()
        job.connection = connection
        codec.load(job, data)
        check.check_timing(job.interval, job.cron, stored=True)
        job._origin = Origin.of(data) if "source" in data else None
        job._stored_fields = codec.editable(data)
        job._loaded_times = (job.latest_enqueue_time, job.next_enqueue_time)
        job.version = codec.version_of(data)
        return job
