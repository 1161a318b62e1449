"""rq-scheduler: a sorted set of RQ jobs, whose `meta` tells when they are to be enqueued again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, cast

from redis import Redis
from rq.defaults import CALLBACK_TIMEOUT
from rq.exceptions import NoSuchJobError
from rq.job import Job

from ..core.quoting import cut
from .found import CannotMoveError, Found, Maps, Note, Times, distinct_ids, once
from .local_time import local_zone, times_in_zone
from .packages import import_needed
from .rq_scheduler_cron import cron_expression, next_scheduled_time

JOBS = "rq:scheduler:scheduled_jobs"

OWN_META = ("interval", "repeat", "cron_string", "use_local_timezone", "queue_class_name")
"""What rq-scheduler keeps in the `meta` of a job."""

OVERDUE = timedelta(minutes=2)
"""By this, rq-scheduler has looked at least once."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_REMEDY = "let rq-scheduler enqueue it before you move: rqscheduler --burst"


def read(connection: Redis, maps: Maps, *, timezone: str | None = None) -> list[Found]:
    """What is in the sorted set. Arguments and `meta` are unpickled, as RQ's workers do.

    `timezone`: the local zone of the process of rq-scheduler; by default that of this one.
    """
    utils = import_needed("rq_scheduler.utils", "rq-scheduler")
    zone = local_zone(timezone)
    pairs = cast("list[tuple[bytes, float]]", connection.zrange(JOBS, 0, -1, withscores=True))
    entries = sorted((id.decode(errors="replace"), score) for id, score in pairs)
    jobs = [_fetch(id, connection) for id, _ in entries]
    ids = distinct_ids(_name(id, job) for (id, _), job in zip(entries, jobs, strict=True))
    return [
        _Reader(utils, maps, zone, score).found(id, name, job)
        for id, (name, score), job in zip(ids, entries, jobs, strict=True)
    ]


def _fetch(id: str, connection: Redis) -> Job | str:
    """The job, or why there is none."""
    try:
        job = Job.fetch(id, connection)
        job.func_name  # noqa: B018 - unpickles what to call
        return job
    except NoSuchJobError:
        return "the RQ job does not exist any more, so rq-scheduler would not enqueue it either"
    except Exception as error:  # what was pickled may raise anything
        return f"RQ cannot read the job: {_told(error)}"


def _name(id: str, job: Job | str) -> str:
    """The id that was given to the job; of one that RQ made, only its beginning."""
    if isinstance(job, str) or not _UUID.fullmatch(id):
        return id
    return f"{job.func_name}:{id[:8]}"


class _Reader:
    """Reads one job that is scheduled for a time."""

    def __init__(self, utils: Any, maps: Maps, zone: str, score: float) -> None:
        self._utils, self._maps, self._zone = utils, maps, zone
        self._score = score
        self._notes: list[Note] = []

    def found(self, id: str, name: str, job: Job | str) -> Found:
        found = Found(name, id, None, self._notes)
        if isinstance(job, str):
            self._notes.append(Note(job))
            return found
        try:
            self._next = datetime.fromtimestamp(int(self._score), timezone.utc)
            found.options = {**self._what(job), **self._when(job)}
            found.times = self._times(job)
        except CannotMoveError as error:
            self._notes.append(error.note)
        except (AttributeError, OSError, OverflowError, TypeError, ValueError) as error:
            # its time, or what is in its meta
            found.options = None
            self._notes.append(Note(f"it cannot be read: {_told(error)}"))
        return found

    # What to run

    def _what(self, job: Job) -> dict[str, Any]:
        if job.instance is not None:
            raise CannotMoveError(
                "it calls a method of an instance, which is pickled in the job",
                "move it to a function at the top of a module",
            )
        if job._dependency_ids:
            self._notes.append(Note("it depended on other jobs; here each run is on its own"))
        if job.meta.get("queue_class_name"):
            self._notes.append(
                Note("it named the class of its queue; here the settings of the queue do")
            )
        return {
            "func": self._maps.find(str(job.func_name)) or job.func_name,
            "queue_name": job.origin,
            "args": tuple(job.args),
            "kwargs": dict(job.kwargs),
            "meta": {key: value for key, value in job.meta.items() if key not in OWN_META} or None,
            **self._job_options(job),
        }

    def _job_options(self, job: Job) -> dict[str, Any]:
        options: dict[str, Any] = {
            "job_timeout": job.timeout,
            "ttl": job.ttl,
            "failure_ttl": job.failure_ttl,
            "on_success": _callback(job._success_callback_name, job.success_callback_timeout),
            "on_failure": _callback(job._failure_callback_name, job.failure_callback_timeout),
            "at_front": bool(job.enqueue_at_front),
        }
        if _recurs(job) and job.result_ttl == -1:
            self._notes.append(
                Note(
                    "results were kept for ever, because rq-scheduler needs the job again; here "
                    "those of each run are kept for RQ's 500 seconds",
                    "edit result_ttl if that is too short",
                )
            )
        else:
            options["result_ttl"] = job.result_ttl
        if job.description != job.get_call_string():
            options["description"] = job.description
        return {name: value for name, value in options.items() if value not in (None, False)}

    # When

    def _when(self, job: Job) -> dict[str, Any]:
        overdue = datetime.now(timezone.utc) - self._next
        if overdue > OVERDUE and _recurs(job):
            told = f"it was due at {self._next:%Y-%m-%dT%H:%M:%SZ}, which is not made up for here"
            self._notes.append(Note(told, _REMEDY))
        options = self._recurrence(job)
        if (runs := _runs_left(job)) is not None:
            options["max_runs"] = runs
        return options

    def _recurrence(self, job: Job) -> dict[str, Any]:
        if interval := job.meta.get("interval"):
            return {"interval": int(interval), "start_at": self._next}
        if text := job.meta.get("cron_string"):
            return {"cron": cron_expression(text), "timezone": self._zone}
        if self._next <= datetime.now(timezone.utc):
            raise CannotMoveError(
                f"its only time, {self._next:%Y-%m-%dT%H:%M:%SZ}, is past", _REMEDY
            )
        return once(self._next)

    def _times(self, job: Job) -> Times:
        """The time in the sorted set, and those that follow when it is enqueued then."""
        text = job.meta.get("cron_string")

        def times(after: datetime, count: int) -> list[datetime]:
            found: list[datetime] = []
            for time in self._walk(job, after):
                if time > after:
                    found.append(time)
                if len(found) == count:
                    break
            return found[: _runs_left(job)]

        return times_in_zone(times, self._zone) if text else times

    def _walk(self, job: Job, after: datetime) -> Iterator[datetime]:
        time = self._next
        yield time
        if interval := job.meta.get("interval"):
            step = timedelta(seconds=int(interval))
            if time <= after:
                time += (after - time) // step * step
            while True:
                time += step
                yield time
        elif text := job.meta.get("cron_string"):
            time = max(time, after)
            local = job.meta.get("use_local_timezone")
            while (following := self._following(text, time, local)) is not None:
                time = following
                yield time

    def _following(self, text: str, moment: datetime, local: object) -> datetime | None:
        """What rq-scheduler computes at this moment; in the second pass of a repeated hour that may
        be past, and it would compute it again until it is not."""
        now = moment
        while True:
            found = next_scheduled_time(self._utils, text, now, local)
            if found is None or found > moment:
                return found
            now += timedelta(minutes=1)


def _told(error: Exception) -> str:
    return cut(f"{type(error).__name__}: {error}")


def _recurs(job: Job) -> bool:
    return bool(job.meta.get("interval") or job.meta.get("cron_string"))


def _runs_left(job: Job) -> int | None:
    """How often it is still to run; rq-scheduler counts down. None for no limit."""
    if not _recurs(job):
        return 1
    repeat = job.meta.get("repeat")
    return None if repeat is None or int(repeat) < 0 else max(int(repeat), 1)


def _callback(name: str | None, timeout: int | None) -> str | None:
    """As it is written here."""
    return f"{name} {timeout}" if name and timeout not in (None, CALLBACK_TIMEOUT) else name
