"""One schedule: `RedisCronJob`, the persisted form of a recurring job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from redis import Redis
from rq.job import Job
from rq.utils import now

from . import declared, dispatch, story
from .exceptions import InvalidScheduleError, NoSuchJobError
from .quoting import quoted, quoted_id
from .schedule.checks import check_when
from .schedule.missed import Skip
from .schedule.option_checks import check_end, check_moment, check_reason
from .schedule.record import Record
from .schedule.texts import lossy_text
from .schedule.upcoming import upcoming
from .store.actors import acting_as
from .store.change import Change
from .store.keys import history_key, job_key
from .store.reading import Absent, Damaged, read_schedules, restore_as
from .store.saving import delete_schedules, resolve_pipelined, save_changes
from .story import why
from .timing.description import describe
from .timing.durations import Duration
from .timing.zones import UTC

if TYPE_CHECKING:
    from typing_extensions import Self

    from .story import LoggedChange, Outcomes, Run
    from .story.why import Answer


class RedisCronJob(Record):
    """A recurring RQ job that lives in a Redis hash, with an id that its owner chose.

    `id`: any text without control characters, at most 255 characters, not ending in `:jobs`.
    `queue_name`: the RQ queue that its jobs go to. `func` or `func_name`: what they run, importable
    by its dotted name. `args`, `kwargs`: what it is called with, JSON values. `interval` (whole
    seconds) or `cron` (an expression in local time): when. `job_timeout`, `result_ttl`, `ttl`,
    `failure_ttl` (in seconds, as in RQ), `meta`, `webhooks`: options of its RQ jobs. `enabled`:
    whether it runs. `name` is RQ's name of a cron job, here only a label. All other options are
    described in `ScheduleOptions`.

    `latest_enqueue_time` is the nominal time of the latest occurrence, `next_enqueue_time` that of
    the next one. `revision` counts the changes of the definition. `last_error` and `last_error_at`
    say why the latest occurrence could not be enqueued; None if there was no error. `runs` counts
    the scheduled runs, if `max_runs` is set. `finished_at`: when it finished, None while runs are
    left. `disabled_at`, `disabled_by`, `disabled_reason`, `disabled_until`: since when, by whom,
    why and until when it is disabled; None, or an empty reason, while it is not or if that is not
    on record. `version` is an opaque text that changes with each change of the definition, and not
    with runs; it is empty if nothing is stored.

    Raises `InvalidScheduleError` (a `ValueError`) for a schedule that could not run.
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
        return [lossy_text(job_id) for job_id in ids]

    def get_skips(self, connection: Redis, start: int = 0, end: int = -1) -> list[Skip]:
        """Occurrences that did not run, and why, newest first (zero-based, inclusive).

        The latest 100 records, or `KEEP_RUNS` if that is more, for at most a year. Invalid records
        are left out.
        """
        records = story.read_skips([self.id], connection)[self.id]
        skips = [record for record in records if isinstance(record, Skip)]
        return skips[start : end + 1 or None]

    def get_changes(self, connection: Redis, start: int = 0, end: int = -1) -> list[LoggedChange]:
        """Who changed which fields, newest first (zero-based, inclusive).

        At most the latest 100 changes, until a year after the last one. Those of an earlier
        schedule of the same id are among them. Invalid records are left out.
        """
        changes = story.read_changes(self.id, connection)
        return changes[start:] if end == -1 else changes[start : end + 1]

    # When it runs

    def upcoming(self, number: int, after: datetime | None = None) -> Iterator[datetime]:
        """The next runs, at most `number`: when the scheduler is to enqueue them, jitter included.

        With `after` (an aware datetime) those after that moment; without, the first one is the next
        enqueue time or, if that has passed, the run that `catch_up` leads to. Aware datetimes in
        the time zone of the schedule, in UTC if it has none. Ends when nothing is left to run:
        after `end_at`, after `max_runs`, and at once if the schedule is disabled or finished. If
        `jitter` is thousands of times longer than the period, the times are approximate.
        """
        if type(number) is not int or number < 0:
            raise ValueError(f"number must be a whole number from 0, got {quoted(number)}")
        after = check_moment("after", after)
        check_when(self)
        zone = self.zone or UTC
        runs = islice(upcoming(self, after, now()), number)
        return (run.time.astimezone(zone) for run in runs)

    def describe(self) -> str:
        """When it runs, in plain English: `Every 5 minutes, Monday to Friday (Europe/Paris)`."""
        return describe(self.interval, self.cron, self.timezone, self.max_runs)

    def why(self, time: datetime | str | None = None) -> list[Answer]:
        """What happened at a time, and why: `ran`, `disabled`, `overlap`, ...; see `Answer`.

        `time`: an aware datetime; or ISO 8601 text, or a time of day such as `03:00`, which is the
        latest such time. Texts without a zone are in that of the schedule. There is one answer;
        two for a wall time that the clocks repeated, if both mean something. Without a time: the
        latest occurrence and the next.

        Raises `InvalidScheduleError` (a `ValueError`) for what is no time, and `NoSuchJobError` if
        nothing is on record under this id. `django_rediscron.why(id, time, connection)` is the same
        for the id of a schedule that may have been deleted.
        """
        return why.why(self.id, time, self._connected())

    def get_runs(self, connection: Redis, start: int = 0, end: int = -1) -> list[Run]:
        """Its runs, newest first (zero-based, inclusive): all in flight, and as many that have
        ended as the scheduler keeps, for at most a year after the latest one.
        """
        return story.read_runs_of(self.id, connection, start, end)

    def get_outcomes(self, connection: Redis) -> Outcomes:
        """When it last succeeded and failed, the failures in a row, and how many runs ended how."""
        return story.read_outcomes([self.id], connection)[self.id]

    # How it is read

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The schedule that `to_dict` described, without a connection."""
        return cls.restore(data)

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
        actor: str | None = None,
    ) -> None:
        """Write this schedule and tell the schedulers.

        A loaded schedule writes only the fields that were changed on it; a constructed one is
        created, or replaces the definition that is stored under its id. If the interval or the
        cron expression changes, the next enqueue time is recomputed from now. Times never move
        backwards.

        With a pipeline nothing happens until it is executed; the times are computed when the save
        is queued. The next save finds out whether it was executed: what was written is not written
        again over later changes by others, and what was not is still to be written. This works for
        an hour after the execution; later, all changes of this object are written again.

        `if_version`: save only if this version is stored, "" if none is. `event`: the event to
        publish. `actor`: who changes it, for the log of changes; see `acting_as`.

        Raises `InvalidScheduleError`, `NoSuchJobError` if a loaded schedule was deleted meanwhile,
        and `ScheduleChangedError` if another version is stored. With a pipeline, its `execute`
        raises a `ResponseError` that begins with `NOSUCHJOB` or `SCHEDULECHANGED`.
        """
        self.validate()
        connection = self._connected()
        resolve_pipelined(self, connection)
        with acting_as(actor):
            save_changes([Change.of(self, event or "updated", if_version)], connection, pipeline)

    def enable(self, pipeline: Any | None = None, *, actor: str | None = None) -> None:
        """Let it run from now on; runs missed while it was disabled are not caught up."""
        with acting_as(actor):
            self._switch(True, pipeline)

    def disable(
        self,
        pipeline: Any | None = None,
        *,
        reason: str = "",
        until: datetime | Duration | None = None,
        actor: str | None = None,
    ) -> None:
        """Keep it, but do not run it.

        `reason`: why, a line of at most 200 characters for those who find it disabled. `until`: an
        aware datetime in the future or a duration from now, after which the scheduler enables it as
        `enable` does. A schedule that is disabled already is so for this reason and until then from
        now on. Raises `InvalidScheduleError` for anything else.
        """
        reason, end = check_reason(reason), check_end("until", until, now())
        with acting_as(actor):
            self._switch(False, pipeline, reason, end)

    def _switch(
        self,
        enabled: bool,
        pipeline: Any | None,
        reason: str = "",
        until: datetime | None = None,
    ) -> None:
        connection = self._connected()
        resolve_pipelined(self, connection)
        self.enabled = enabled
        save_changes([Change.switch(self, enabled, reason, until)], connection, pipeline)

    def delete(self, pipeline: Any | None = None, *, actor: str | None = None) -> None:
        """Delete it with its index entry and the list of its RQ jobs, and tell the schedulers.

        Its RQ jobs stay in their queues, and its runs, skips and changes on record. Deleting a
        schedule that does not exist does nothing.
        """
        with acting_as(actor):
            delete_schedules([self.id], self._connected(), pipeline)

    def reset(self, *fields: str, actor: str | None = None) -> None:
        """Restore the last declared values of these fields of its hash, or of all overridden ones.

        `interval` and `cron` are reset together, `enabled` only if it is named. Unsaved changes of
        this object are lost. Raises `InvalidScheduleError` if no code declares it or it has no such
        field, and `NoSuchJobError`.
        """
        with acting_as(actor):
            declared.reset_to_code(self.id, fields, self._connected())
        self.refresh()

    def revert(
        self, revision: int, *, if_version: str | None = None, actor: str | None = None
    ) -> None:
        """Restore the definition that this schedule had at this revision, as a new change.

        `get_changes` lists the revisions. A deleted schedule is created again. Unsaved changes of
        this object are lost. `if_version`: only if this version is stored. Raises
        `InvalidScheduleError` if the revision is not on record or could not run,
        `ScheduleLockedError`, and `ScheduleChangedError` if somebody changes it meanwhile.
        """
        story.revert(self.id, revision, self._connected(), if_version=if_version, actor=actor)
        self.refresh()

    def set_enqueue_time(self, time: datetime) -> None:
        """Record `time` as the latest occurrence, compute and write the next one.

        Never moves back an occurrence that was recorded meanwhile. Raises `NoSuchJobError`, and
        `InvalidScheduleError` for a time without a zone.
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
        """Enqueue one RQ job now; the times of the schedule are not affected."""
        return dispatch.enqueue_now(self, connection)

    def _connected(self) -> Redis:
        if self.connection is None:
            raise ValueError(
                f"schedule {quoted_id(self.id)} has no connection; construct it with connection=..."
            )
        return self.connection


restore_as(RedisCronJob)
