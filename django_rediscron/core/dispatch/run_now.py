"""Runs by hand, and jobs of queues with `ASYNC: False`, which run in the enqueueing process.

RQ's own queue runs the latter. While one runs, its execution is registered and kept alive as by a
worker. So it counts as running, and if this process is killed, RQ's clean-up marks the job as
failed, as it does after a worker died.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Thread
from typing import Any, NamedTuple

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError, WatchError
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.utils import now

from ..exceptions import InvalidScheduleError
from ..quoting import quoted
from ..schedule.definition import FUNCTION_FIELDS
from ..schedule.record import Record
from ..schedule.texts import time_text
from ..store.keys import OCCURRENCE_FIELDS, history_key
from ..store.rq_queues import overridden
from ..store.scripts import Script, run_script
from ..story.in_flight import HAND, enter, entry_text
from ..timing.cron_times import utc_text
from .applications import Applications, own_application
from .custom_queues import enqueue, enqueue_into
from .prepared import PreparedSchedule
from .protocol import HISTORY_LIMIT, HISTORY_TTL
from .template import create_job, terms_of

logger = logging.getLogger(__name__)

NOTE_END = Script("note_end")

ATTEMPTS = 3
"""How often a run by hand is sent to a Redis that does not answer."""

HEARTBEAT = 30.0
LIFE = 90
"""Seconds between the heartbeats of a run, and until it counts as abandoned without one; RQ's
numbers."""

SHOWN = 500
"""Characters of an exception that are shown."""


def write_unqueued(queue: Queue, job: Job, pipe: Pipeline) -> None:
    """Queue the commands that write a job that no worker is to take.

    Its `ttl` is not used: it limits the time in a queue, and this job is in none.
    """
    pipe.sadd(queue.redis_queues_keys, queue.key)
    job.enqueued_at = now()
    job.set_status(JobStatus.QUEUED, pipeline=pipe)
    job.save(pipeline=pipe)


def run_here(schedule: Record, queue: Queue, job: Job) -> str:
    """Run a job of the schedule, which has been written.

    Returns what the function raised, in one line, or ''.

    A callback that raises is logged: the job has ended by then. Raises `RedisError` if the end of
    the job could not be recorded, and `InvalidScheduleError` if the project's own queue class did
    not run it.
    """
    with _registered(job):
        try:
            if overridden(queue):
                job = enqueue(schedule, queue, job.id)
            else:
                queue.run_sync(job)
        except RedisError:
            raise
        except Exception as error:
            if overridden(queue) and not _has_ended(job):
                reason = f"{overridden(queue)} could not run it: {quoted(error)}"
                raise InvalidScheduleError(reason) from error
            logger.exception("A callback of job %s failed", job.id)
        _settle(job)
    return failure_of(job)


def run_enqueued(prepared: PreparedSchedule, job_id: str) -> None:
    """Run the job that a pass has just written for a schedule, and log what fails."""
    schedule, queue = prepared.job, prepared.template.queue
    whose = job_id, schedule.id
    extra = prepared.log_attributes(job_id)
    try:
        failure = run_here(schedule, queue, create_job(schedule, queue, job_id))
    except RedisError as error:
        words = (*whose, error)
        logger.error("Job %s of %r ran; its end is not recorded: %s", *words, extra=extra)
    except Exception:
        logger.exception("Job %s of %r could not be made to run here", *whose, extra=extra)
    else:
        if failure:
            logger.error("Job %s of %r failed: %s", *whose, failure, extra=extra)


def failure_of(job: Job) -> str:
    """What a job that ran here raised, in one line; '' if it did not fail."""
    if job.get_status(refresh=False) != JobStatus.FAILED:
        return ""
    result = job.latest_result()
    text = result.exc_string if result else None
    lines = (text or "").strip().splitlines()
    return lines[-1][:SHOWN] if lines else "no reason is known"


def _has_ended(job: Job) -> bool:
    try:
        stored: Any = job
        stored.refresh()
    except NoSuchJobError:
        return True
    return job.get_status(refresh=False) in (JobStatus.FINISHED, JobStatus.FAILED)


def _settle(job: Job) -> None:
    """Add what RQ leaves out."""
    failed = job.get_status(refresh=False) == JobStatus.FAILED or job.ended_at is None
    if failed:
        run_script(job.connection, NOTE_END, [job.key], [utc_text(now())])
    # RQ 2 reads the status again of a job that it is about to delete.
    status = JobStatus.FAILED if failed else JobStatus.FINISHED
    job.set_status(status, pipeline=job.connection.pipeline())  # for this object only


@contextmanager
def _registered(job: Job) -> Iterator[None]:
    try:
        with job.connection.pipeline() as pipe:
            execution = Execution.create(job, LIFE, pipe)
            job.prepare_for_execution("sync", pipe)
            pipe.execute()
    except RedisError as error:
        # Its status is "started" already, so nothing else would run it.
        logger.warning("Job %s runs, though that could not be recorded: %s", job.id, error)
        yield
        return
    ended = Event()
    beating = Thread(target=_beat, args=(job, execution, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        _forget(job, execution)


def _beat(job: Job, execution: Execution, ended: Event) -> None:
    while not ended.wait(HEARTBEAT):
        try:
            with job.connection.pipeline() as pipe:
                execution.heartbeat(job.started_job_registry, LIFE, pipe)
                pipe.execute()
        except RedisError as error:
            logger.warning("No heartbeat of job %s, which runs here: %s", job.id, error)


def _forget(job: Job, execution: Execution) -> None:
    try:
        with job.connection.pipeline() as pipe:
            execution.delete(job, pipe)
            pipe.execute()
    except RedisError as error:
        logger.warning("The run of job %s stays registered for %s s: %s", job.id, LIFE, error)


class Target(NamedTuple):
    """Where the jobs of a schedule go, and how they are made."""

    schedule: Record
    queue: Queue
    importable: bool
    """Whether this process can import its functions."""
    explain: Callable[[Record, str], str]

    @classmethod
    def of(cls, schedule: Record, connection: Redis) -> Target:
        """Raises `InvalidScheduleError` if it cannot be enqueued from here."""
        applications = Applications(own_application(), connection)
        try:
            queue, importable = applications.target(schedule)
            if importable:
                schedule.import_functions(FUNCTION_FIELDS)
        except InvalidScheduleError as error:
            raise type(error)(applications.explain(schedule, str(error))) from error
        return cls(schedule, queue, importable, applications.explain)

    def create_job(self) -> Job:
        """One RQ job, not yet enqueued; raises likewise."""
        try:
            return create_job(self.schedule, self.queue, importable=self.importable)
        except InvalidScheduleError as error:
            raise type(error)(self.explain(self.schedule, str(error))) from error


def enqueue_now(schedule: Record, connection: Redis) -> Job:
    """Enqueue one RQ job of a schedule without changing its times, and enter it in the history.

    On a queue with `ASYNC: False` it has run when this returns, successfully or not. Functions that
    another application declares are not imported, as in a pass.
    """
    target = Target.of(schedule, connection)
    queue, job = target.queue, target.create_job()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            job = _write(job, schedule, queue, connection)
            break
        except WatchError:
            if attempt == ATTEMPTS:
                raise
    if not queue.is_async:
        run_here(schedule, queue, job)
    return job


def _write(job: Job, schedule: Record, queue: Queue, connection: Redis) -> Job:
    """Write the job, its queue entry and its history entry in one transaction.

    If the connection breaks, redis-py raises `WatchError` instead of sending commands again that
    Redis may have executed. The history shows whether it did.
    """
    history = schedule.job_history_key
    pipe: Any
    with connection.pipeline() as pipe:
        pipe.watch(job.key)
        if pipe.zscore(history, job.id) is not None:
            return job
        pipe.multi()
        job = write_run(pipe, job, schedule, queue, HAND)
        pipe.execute()
    return job


def write_run(
    pipe: Any,
    job: Job,
    schedule: Record,
    queue: Queue,
    cause: str,
    occurrence: datetime | None = None,
) -> Job:
    """Queue the commands that write a job, and enter it in its queue, in the history, and among
    those in flight. Returns the job as the queue's own class made it."""
    if queue.is_async and overridden(queue):
        job = enqueue_into(pipe, schedule, queue, job.id)
    elif queue.is_async:
        at_front = bool(schedule.job_options.get("at_front"))
        queue.enqueue_job(job, pipeline=pipe, at_front=at_front)
    else:
        write_unqueued(queue, job, pipe)
    whose = schedule.id, time_text(occurrence)
    pipe.hset(job.key, mapping=dict(zip(OCCURRENCE_FIELDS, whose, strict=True)))
    moment, shared = now(), terms_of(cause, schedule, queue)
    enter(pipe, job.id, entry_text(occurrence, moment, shared, schedule.id))
    history = history_key(schedule.id)
    pipe.zadd(history, {job.id: moment.timestamp()})
    pipe.zremrangebyrank(history, 0, -HISTORY_LIMIT - 1)
    pipe.expire(history, HISTORY_TTL)
    return job
