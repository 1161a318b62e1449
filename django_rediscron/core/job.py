"""One schedule: `RedisCronJob`, the persisted form of a recurring job."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from redis import Redis
from rq.job import Job

from .declared.merging import reset_to_code
from .dispatch.run_now import enqueue_now
from .exceptions import InvalidScheduleError, NoSuchJobError
from .quoting import quoted_id
from .schedule.missed import Skip
from .schedule.option_checks import check_moment
from .schedule.record import Record
from .schedule.texts import shown_bytes
from .store.change import Change
from .store.keys import history_key, job_key, skipped_key
from .store.reading import Absent, Damaged, read_schedules, restore_as
from .store.saving import delete_schedules, resolve_pipelined, save_changes


class RedisCronJob(Record):
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

    def __repr__(self) -> str:
        return f"<RedisCronJob {self.id!r}: {self.func_name} {self.schedule}>"

    @property
    def key(self) -> str:
        """The Redis key of the hash that holds this schedule."""
        return job_key(self.id)

    @property
    def job_history_key(self) -> str:
        """The Redis key of the ids of the RQ jobs that this schedule enqueued."""
        return history_key(self.id)

    def get_job_ids(self, connection: Redis, start: int = 0, end: int = -1) -> list[str]:
        """Ids of the RQ jobs that this schedule enqueued, newest first (zero-based, inclusive)."""
        ids = cast("list[bytes]", connection.zrange(self.job_history_key, start, end, desc=True))
        return [shown_bytes(job_id) for job_id in ids]

    def get_skips(self, connection: Redis, start: int = 0, end: int = -1) -> list[Skip]:
        """Occurrences that did not run, and why, newest first (zero-based, inclusive).

        At most the latest 100 records, for at most a year. What is no record is left out.
        """
        texts = cast("list[bytes]", connection.lrange(skipped_key(self.id), start, end))
        return [skip for skip in map(Skip.from_text, texts) if skip is not None]

    # How it is read

    @classmethod
    def fetch(cls, id: str, connection: Redis) -> RedisCronJob:
        """Read one schedule. Raises `NoSuchJobError` or `DamagedScheduleError`."""
        ((found, _),) = read_schedules([id], connection, cls)
        if isinstance(found, Absent):
            raise NoSuchJobError(f"there is no schedule {quoted_id(id)}")
        if isinstance(found, Damaged):
            raise found.error()
        return cast("RedisCronJob", found)

    def refresh(self) -> None:
        """Read this schedule from Redis again, in place; unsaved changes are lost.

        Raises `NoSuchJobError`, or `DamagedScheduleError` and leaves the object as it was.
        """
        fresh = type(self).fetch(self.id, self._connected())
        self.__dict__.update(fresh.__dict__)
        self.queued = ()

    # How it is written

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

        With a pipeline nothing happens until it is executed; the times of the change are computed
        when it is queued, and count from then. Whether it was executed is found out at the next
        save: what was written is not written again, over what others changed since, and what was
        not is still to be written. That can be told for an hour after the execution; later, all
        that this object changed is written again.

        `if_version`: save only if this is the version that stands in Redis, "" for none at all.
        `event` is the word for the change on the channel of events.

        Raises `InvalidScheduleError`, `NoSuchJobError` where a loaded schedule was deleted
        meanwhile, and `ScheduleChangedError` where another version stands there. With a pipeline,
        its `execute` raises a `ResponseError` that begins with `NOSUCHJOB` or `SCHEDULECHANGED`.
        """
        self.validate()
        connection = self._connected()
        resolve_pipelined(self, connection)
        save_changes([Change.of(self, event or "updated", if_version)], connection, pipeline)

    def enable(self, pipeline: Any | None = None) -> None:
        """Let it run from now on: what it missed while disabled is not made up for."""
        self._switch(True, pipeline)

    def disable(self, pipeline: Any | None = None) -> None:
        """Keep it, but do not run it."""
        self._switch(False, pipeline)

    def _switch(self, enabled: bool, pipeline: Any | None) -> None:
        connection = self._connected()
        resolve_pipelined(self, connection)
        self.enabled = enabled
        save_changes([Change.switch(self, enabled)], connection, pipeline)

    def delete(self, pipeline: Any | None = None) -> None:
        """Delete it with its index entry and its history, and tell the schedulers.

        What it enqueued stays in its queue. Deleting what is not there does nothing.
        """
        delete_schedules([self.id], self._connected(), pipeline)

    def reset(self, *fields: str) -> None:
        """Make it what the code declared last: these fields of its hash, or all overridden ones.

        `interval` and `cron` go together. Whether it is enabled is reset where `enabled` is among
        the fields. Unsaved changes of this object are lost. Raises `InvalidScheduleError` where no
        code declares it or where it has no such field, and `NoSuchJobError`.
        """
        reset_to_code(self.id, fields, self._connected())
        self.refresh()

    def set_enqueue_time(self, time: datetime) -> None:
        """Record `time` as the latest occurrence, compute and write the next one.

        Never moves an occurrence back that was recorded meanwhile. Raises `NoSuchJobError`, and
        `InvalidScheduleError` for a time that has no zone.
        """
        if check_moment("time", time) is None:
            raise InvalidScheduleError("time must be an aware datetime, got None")
        if self.connection is not None:
            resolve_pipelined(self, self.connection)
        self.latest_enqueue_time = time
        self.next_enqueue_time = self.get_next_enqueue_time()
        if self.connection is not None:
            change = Change.move(self, self.latest_enqueue_time, self.next_enqueue_time)
            save_changes([change], self.connection)

    def enqueue(self, connection: Redis) -> Job:
        """Enqueue one RQ job now, apart from the schedule: its times stay as they are."""
        return enqueue_now(self, connection)

    def _connected(self) -> Redis:
        if self.connection is None:
            raise ValueError(
                f"schedule {quoted_id(self.id)} has no connection; construct it with connection=..."
            )
        return self.connection


restore_as(RedisCronJob)
