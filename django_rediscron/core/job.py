"""One schedule: `RedisCronJob`, the persisted form of a recurring job."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast
from zoneinfo import ZoneInfo

from redis import Redis
from rq.cron import CronJob
from rq.job import Job
from rq.utils import as_text, now

from . import codec, origin
from . import validation as check
from .callbacks import CALLBACKS, make_callback
from .codec import DEFAULT_RESULT_TTL
from .exceptions import DamagedScheduleError, InvalidScheduleError, NoSuchJobError
from .grid import Grid, upcoming
from .imports import function_name, resolve_function
from .keys import history_key, job_key, skipped_key
from .option_values import CatchUp, Overlap, check_moment
from .options import Option, ScheduleOptions, set_options
from .origin import Differences, Origin
from .skips import Skip
from .texts import time_text
from .timing import utc_text
from .zones import find_zone

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .change import Change

State = Literal["enabled", "disabled", "finished", "error"]

FUNCTION_FIELDS = ("func_name", *CALLBACKS)
"""Fields that hold dotted names."""

_Times = tuple["datetime | None", "datetime | None"]


class RedisCronJob(CronJob):
    """A recurring RQ job that lives in a Redis hash, with an id that its owner chose.

    `id`: any text without control characters, at most 255 characters, not ending in `:jobs`.
    `queue_name`: the RQ queue that its jobs go to. `func` or `func_name`: what they run, importable
    by its dotted name. `args`, `kwargs`: what it is called with, JSON values. `interval` (whole
    seconds) or `cron` (an expression in local time): when. `job_timeout`, `result_ttl`, `ttl`,
    `failure_ttl` (seconds; RQ's own meanings), `meta`, `webhooks`: what RQ is told of each job.
    `enabled`: whether it runs. `name` is RQ's name of a cron job, here only a label. All else is
    described in `ScheduleOptions`.

    `latest_enqueue_time` is the nominal time of the latest occurrence, `next_enqueue_time` that of
    the next one. `revision` counts the changes of the definition. `last_error` and `last_error_at`
    say why the latest occurrence could not be enqueued; None where all is well. `runs` counts what
    was enqueued by schedule, where `max_runs` is set. `finished_at`: since when nothing is left to
    run, None where something is. `version` is an opaque text that changes with each change of the
    definition, and with no run; it is empty where nothing is stored.

    Raises `InvalidScheduleError` (a `ValueError`) for what could not run.
    """

    version = ""
    queued: tuple[Change, ...] = ()  # in pipelines, and nobody knows yet what came of them
    timezone = Option["str | None"]("timezone")
    start_at = Option["datetime | None"]("start_at")
    end_at = Option["datetime | None"]("end_at")
    max_runs = Option["int | None"]("max_runs")
    jitter = Option[float]("jitter")
    misfire_grace = Option["float | None"]("misfire_grace")
    catch_up = Option[CatchUp]("catch_up")
    catch_up_limit = Option[int]("catch_up_limit")
    overlap = Option[Overlap]("overlap")
    time_options: dict[str, Any]  # those of them that are not defaults

    _loaded_times: _Times  # latest and next, as they were loaded
    _origin: Origin | None = None  # where code declares it
    # The fields that were loaded, and what they say; it holds for these very fields.
    _loaded_definition: tuple[dict[str, str] | None, dict[str, str]] = ({}, {})

    def __init__(
        self,
        id: str,
        queue_name: str,
        func: Callable[..., Any] | None = None,
        func_name: str | None = None,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        interval: int | None = None,
        cron: str | None = None,
        job_timeout: int | str | None = None,
        result_ttl: int | None = DEFAULT_RESULT_TTL,
        ttl: int | None = None,
        failure_ttl: int | None = None,
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
        self.id = id
        self.connection = connection
        self.queue_name = queue_name
        if func is not None:
            self.func = func
        elif func_name:
            self.func_name = func_name
        else:
            raise InvalidScheduleError("either func or func_name is needed, got neither")
        self.name = name or id
        self.args = () if args is None else args
        self.kwargs = {} if kwargs is None else kwargs
        self.interval = interval
        self.cron = cron or None
        self.job_options = {
            "job_timeout": job_timeout,
            "result_ttl": result_ttl,
            "ttl": ttl,
            "failure_ttl": failure_ttl,
            "meta": meta,
            "webhooks": list(webhooks) if webhooks else None,
        }
        set_options(self, options)
        self.latest_enqueue_time = latest_enqueue_time
        self.next_enqueue_time = next_enqueue_time
        self.created_at = created_at
        self.updated_at = updated_at
        self.enabled = enabled
        self.validate()
        # Like RQ's, a cron job knows its next time from the start, an interval is due at once.
        if self.cron and next_enqueue_time is None:
            self.next_enqueue_time = computed = self.get_next_enqueue_time()
            self._loaded_times = (None, computed)

    def _prepare(self) -> None:
        self._func: Callable[..., Any] | None = None
        self.revision = 0
        self.last_error: str | None = None
        self.last_error_at: datetime | None = None
        self.runs = 0
        self.finished_at: datetime | None = None
        self._stored: dict[str, str] | None = None  # the definition as loaded
        self._loaded_times = (None, None)
        self.enabled_given = True  # False: a stored schedule keeps its own state

    # What it is

    @property
    def key(self) -> str:
        """The Redis key of the hash that holds this schedule."""
        return job_key(self.id)

    @property
    def job_history_key(self) -> str:
        """The Redis key of the ids of the RQ jobs that this schedule enqueued."""
        return history_key(self.id)

    @property
    def schedule(self) -> str:
        """When it runs, for people: the cron expression with its time zone, or `every 10s`."""
        if self.cron and self.timezone:
            return f"{self.cron} ({self.timezone})"
        return self.cron or f"every {self.interval}s"

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone in which its cron expression is read; None for the process's local one."""
        return find_zone(self.timezone) if self.timezone else None

    @property
    def state(self) -> State:
        """`disabled`, `finished` (nothing is left to run), `error` (see `last_error`) or `enabled`.

        The first of these that is the case.
        """
        if not self.enabled:
            return "disabled"
        if self.finished_at is not None:
            return "finished"
        return "enabled" if self.last_error is None else "error"

    @property
    def func(self) -> Callable[..., Any]:
        """The function, imported when it is asked for.

        Raises `InvalidScheduleError` where it cannot be imported.
        """
        if self._func is None:
            self._func = resolve_function(self.func_name)
        return self._func

    @func.setter
    def func(self, func: Callable[..., Any]) -> None:
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

    # Where it comes from

    @property
    def source(self) -> str:
        """`code` where a project declares it, `runtime` where somebody made it."""
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
        """The hash fields of the definition as the code declared them last, without defaults."""
        return self._origin.declared if self._origin else None

    @property
    def overrides(self) -> Differences:
        """Where it is not as declared: field of its hash -> (its text, the text of the code).

        A change of this object counts when it is saved. A field that is set back to what the code
        says is no override any more. Whether the schedule is enabled is never one: the code says
        that for the beginning only.
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
        """Since when its application does not declare it any more; None where it does."""
        return self._origin.orphaned_at if self._origin else None

    def __repr__(self) -> str:
        return f"<RedisCronJob {self.id!r}: {self.func_name} {self.schedule}>"

    def get_job_ids(self, connection: Redis, start: int = 0, end: int = -1) -> list[str]:
        """Ids of the RQ jobs that this schedule enqueued, newest first (zero-based, inclusive)."""
        ids = cast("list[bytes]", connection.zrange(self.job_history_key, start, end, desc=True))
        return [as_text(job_id) for job_id in ids]

    def get_next_enqueue_time(self) -> datetime | None:  # type: ignore[override]
        """The next occurrence after the latest one; without one, from now. None for none."""
        grid = Grid.of(self, self.latest_enqueue_time)
        if self.latest_enqueue_time is not None:
            return grid.next(self.latest_enqueue_time)
        return grid.first(now(), None, retimed=False)

    def upcoming(self, number: int, after: datetime | None = None) -> Iterator[datetime]:
        """The next occurrences, at most `number`: when they are to be enqueued, jitter included.

        With `after` (an aware datetime) those after that moment; without, the first one is the next
        enqueue time, or, where that has passed, the latest one that is due. Aware datetimes in the
        time zone of the schedule, without one in UTC. Ends where nothing is left to run: after
        `end_at`, after `max_runs`, and at once where the schedule is disabled or finished.
        """
        if type(number) is not int or number < 0:
            raise ValueError(f"number must be a whole number from 0, got {number!r}")
        return upcoming(self, number, check_moment("after", after), now())

    def describe(self) -> str:
        """When it runs, in plain English: `Every 5 minutes, Monday to Friday (Europe/Paris)`."""
        from .describing import describe

        return describe(self)

    def get_skips(self, connection: Redis, start: int = 0, end: int = -1) -> list[Skip]:
        """Occurrences that did not run, and why, newest first (zero-based, inclusive).

        At most the latest 100 records, for at most a year.
        """
        texts = cast("list[bytes]", connection.lrange(skipped_key(self.id), start, end))
        return [Skip.from_text(as_text(text)) for text in texts]

    # What it may be

    def validate(self) -> None:
        """Raise `InvalidScheduleError` for anything that could not be stored, read back and run.

        The function is imported only where `func_name` was changed and `save()` is called.
        """
        check.check_schedule(self)

    # How it is written

    def definition(self) -> dict[str, str]:
        """The hash fields that say what to run and when."""
        return codec.dump_definition(self)

    def import_functions(self, fields: Container[str]) -> None:
        """Raise `InvalidScheduleError` where a function of these fields cannot be imported."""
        if "func_name" in fields:
            self.func  # noqa: B018 - raises
        for name in CALLBACKS:
            if name in fields:
                make_callback(self.job_options.get(name), name)

    def to_dict(self) -> dict[str, Any]:
        """The whole hash: strings and integers, JSON for args, kwargs and meta, RQ's UTC times."""
        fields: dict[str, Any] = {"id": self.id, **self.definition()}
        if self.interval is not None:
            fields["interval"] = self.interval
        for option in ("job_timeout", "result_ttl", "ttl", "failure_ttl"):
            if self.job_options.get(option) is not None:
                fields[option] = self.job_options[option]
        for field in ("latest_enqueue_time", "next_enqueue_time", "created_at", "updated_at"):
            fields[field] = time_text(getattr(self, field))
        fields["enabled"] = int(self.enabled)
        fields["revision"] = self.revision
        if self.max_runs is not None:
            fields["max_runs"] = self.max_runs
            fields["runs"] = self.runs
        if self.finished_at is not None:
            fields["finished_at"] = time_text(self.finished_at)
        if self._origin is not None:
            fields |= self._origin.fields()
        if self.last_error is not None:
            fields["last_error"] = self.last_error
            fields["last_error_at"] = time_text(self.last_error_at)
        return fields

    def save(
        self,
        pipeline: Any | None = None,
        event: str = "updated",
        *,
        if_version: str | None = None,
    ) -> None:
        """Write this schedule and tell the schedulers.

        One that was loaded writes only the fields that were changed on it; one that was constructed
        is created, or replaces the definition that stands under its id. Where the interval or the
        cron expression changes, the next enqueue time is computed anew from now. Times never move
        backwards.

        With a pipeline nothing happens until it is executed. Whether it was is found out at the
        next save: what was written is not written again, over what others changed since, and what
        was not is still to be written. That can be told for an hour after the execution; later, all
        that this object changed is written again.

        `if_version`: save only if this is the version that stands in Redis, "" for none at all.
        `event` is the word for the change on the channel of events.

        Raises `InvalidScheduleError`, `NoSuchJobError` where a loaded schedule was deleted
        meanwhile, and `ScheduleChangedError` where another version stands there. With a pipeline,
        its `execute` raises a `ResponseError` that begins with `NOSUCHJOB` or `SCHEDULECHANGED`.
        """
        from .change import Change
        from .saving import save_changes, settle

        self.validate()
        connection = self._connected()
        settle(self, connection)
        save_changes([Change.of(self, event or "updated", if_version)], connection, pipeline)

    def enable(self, pipeline: Any | None = None) -> None:
        """Let it run from now on: what it missed while disabled is not made up for."""
        self._switch(True, pipeline)

    def disable(self, pipeline: Any | None = None) -> None:
        """Keep it, but do not run it."""
        self._switch(False, pipeline)

    def _switch(self, enabled: bool, pipeline: Any | None) -> None:
        from .change import Change
        from .saving import save_changes, settle

        connection = self._connected()
        settle(self, connection)
        self.enabled = enabled
        save_changes([Change.switch(self, enabled)], connection, pipeline)

    def refresh(self) -> None:
        """Read this schedule from Redis again, in place; unsaved changes are lost.

        Raises `NoSuchJobError`, or `DamagedScheduleError` and leaves the object as it was.
        """
        fresh = type(self).fetch(self.id, self._connected())
        self.__dict__.update(fresh.__dict__)
        self.queued = ()

    def delete(self, pipeline: Any | None = None) -> None:
        """Delete it with its place in the index and its history, and tell the schedulers.

        What it enqueued stays in its queue. Deleting what is not there does nothing.
        """
        from .saving import delete_schedules

        delete_schedules([self.id], self._connected(), pipeline)

    def reset(self, *fields: str) -> None:
        """Make it what the code declared last: these fields of its hash, or all overridden ones.

        `interval` and `cron` go together. Whether it is enabled is reset where `enabled` is among
        the fields. Unsaved changes of this object are lost. Raises `InvalidScheduleError` where no
        code declares it or where it has no such field, and `NoSuchJobError`.
        """
        from .merging import reset_to_code

        reset_to_code(self.id, fields, self._connected())
        self.refresh()

    def set_enqueue_time(self, time: datetime) -> None:
        """Record `time` as the latest occurrence, compute and write the next one.

        Never moves an occurrence back that was recorded meanwhile. Raises `NoSuchJobError`, and
        `InvalidScheduleError` for a time that has no zone.
        """
        from .change import Change
        from .saving import save_changes, settle

        if not isinstance(time, datetime) or time.tzinfo is None:
            raise InvalidScheduleError(f"time must be an aware datetime, got {time!r}")
        if self.connection is not None:
            settle(self, self.connection)
        self.latest_enqueue_time = time
        self.next_enqueue_time = self.get_next_enqueue_time()
        if self.connection is not None:
            change = Change.move(self, self.latest_enqueue_time, self.next_enqueue_time)
            save_changes([change], self.connection)

    def enqueue(self, connection: Redis) -> Job:
        """Enqueue one RQ job now, apart from the schedule: its times stay as they are."""
        from .dispatch import enqueue_now

        return enqueue_now(self, connection)

    def _connected(self) -> Redis:
        if self.connection is None:
            raise ValueError(
                f"schedule {self.id!r} has no connection; construct it with connection=..."
            )
        return self.connection

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
        """As `loaded_definition`, of a job that nobody changed since it was loaded."""
        definition = {**self.definition(), "enabled": str(int(self.enabled))}
        self._loaded_definition = (self._stored, definition)
        return definition

    def count_changes_from(self, stored: RedisCronJob) -> None:
        """Let `stored` be what stands in Redis: where this object differs is a change to save."""
        self._stored, self._loaded_definition = stored._stored, stored._loaded_definition

    def moved_times(self) -> dict[str, str]:
        """The times that were set on this object since it was constructed or loaded."""
        names = ("latest_enqueue_time", "next_enqueue_time")
        times = (self.latest_enqueue_time, self.next_enqueue_time)
        return {
            name: utc_text(time)
            for name, time, loaded in zip(names, times, self._loaded_times, strict=True)
            if time is not None and time != loaded
        }

    def snapshot(self) -> RedisCronJob:
        """A copy that later runs of this schedule do not change."""
        copy = self.__class__.__new__(self.__class__)
        copy.__dict__ = self.__dict__.copy()
        return copy

    def mark_saved(self, fields: Mapping[str, str], unset: Sequence[str], times: _Times) -> None:
        """These fields and times were written: further changes of this object count against them.

        An object that was never written whole stays one.
        """
        if self._stored is not None or "func_name" in fields:
            stored = {**(self._stored or {}), **fields}
            self._stored = {name: stored[name] for name in stored if name not in unset}
        self._loaded_times = times

    # How it is read

    @classmethod
    def fetch(cls, id: str, connection: Redis) -> RedisCronJob:
        """Read one schedule. Raises `NoSuchJobError` or `DamagedScheduleError`."""
        from .reading import Absent, Damaged, read_schedules

        ((found, _),) = read_schedules([id], connection, cls)
        if isinstance(found, Absent):
            raise NoSuchJobError(f"there is no schedule {id!r}")
        if isinstance(found, Damaged):
            raise DamagedScheduleError(id, found.reason)
        return found

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RedisCronJob:
        """The schedule that `to_dict` described, without a connection."""
        return cls.restore(data)

    @classmethod
    def restore(cls, raw_data: Mapping[Any, Any], connection: Redis | None = None) -> RedisCronJob:
        """The schedule that a hash holds, ready to be enqueued.

        A field that is missing has its default. `func` is imported when it is asked for. Raises
        `DamagedScheduleError` where the hash cannot be read.
        """
        try:
            return cls.from_texts(codec.as_texts(raw_data), connection)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            id = raw_data.get(b"id", raw_data.get("id", ""))
            shown = id.decode(errors="backslashreplace") if isinstance(id, bytes) else str(id)
            raise DamagedScheduleError(shown, str(error) or type(error).__name__) from error

    @classmethod
    def from_texts(cls, data: dict[str, str], connection: Redis | None) -> RedisCronJob:
        """As `restore`, of proper texts. Raises `ValueError` for what it cannot read."""
        job = cls.__new__(cls)
        job._prepare()
        job.connection = connection
        codec.load(job, data)
        check.check_timing(job.interval, job.cron, stored=True)
        job._origin = Origin.of(data)
        job._stored = codec.editable(data)
        job._loaded_times = (job.latest_enqueue_time, job.next_enqueue_time)
        changed_at = data.get("updated_at") or data.get("created_at") or ""
        job.version = f"{data.get('revision') or '0'}/{changed_at}"
        return job
