"""Queues whose class, or whose jobs' class, does more than RQ's own when a job is enqueued.

The dispatch script alone would leave that out. So the class is asked to enqueue into a pipeline
that is never executed; its commands go to the dispatch script, which executes them in the same step
as it writes the schedule's new times. So each occurrence is enqueued once, as with other queues.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from redis.client import Pipeline
from rq import Queue
from rq.job import Job

from ..exceptions import InvalidScheduleError
from ..quoting import quoted
from ..schedule.record import Record
from ..store.keys import OCCURRENCE_FIELDS
from ..store.rq_queues import overridden, overrides_calls
from ..timing.cron_times import utc_text
from .protocol import array, texts
from .template import create_job, rq_options

_writing: set[str] = set()
"""Methods that wrote to Redis outside the pipeline: they are not called again."""


def enqueue(
    schedule: Record, queue: Queue, job_id: str | None = None, pipe: Pipeline | None = None
) -> Job:
    """One RQ job of the schedule, enqueued by its queue's own class."""
    at_front = bool(schedule.job_options.get("at_front"))
    if not overrides_calls(queue):
        job = create_job(schedule, queue, job_id)
        return queue.enqueue_job(job, pipeline=pipe, at_front=at_front)
    enqueued: Job | None = queue.enqueue(
        schedule.func_name,
        args=schedule.args,
        kwargs=schedule.kwargs,
        job_id=job_id,
        at_front=at_front,
        pipeline=pipe,
        **rq_options(schedule),
    )
    if enqueued is None:
        raise InvalidScheduleError(f"{overridden(queue)} enqueued nothing")
    return enqueued


def enqueue_into(pipe: Any, schedule: Record, queue: Queue, job_id: str) -> Job:
    """The same, but only into this pipeline, which is still empty.

    Raises `InvalidScheduleError` if the class fails, or writes to Redis by itself.
    """
    custom = overridden(queue)
    if custom in _writing:
        raise InvalidScheduleError(_writes(custom))
    try:
        job = enqueue(schedule, queue, job_id, pipe)
    except InvalidScheduleError:
        raise
    except Exception as error:
        raise InvalidScheduleError(f"{custom} could not enqueue it: {quoted(error)}") from error
    _check(_recorded(pipe), job, queue, custom)
    return job


def commands(schedule: Record, queue: Queue, job_id: str, occurrence: datetime) -> bytes:
    """The commands that enqueue a job of this occurrence, packed for the dispatch script.

    Raises `InvalidScheduleError` if the class fails, or writes to Redis by itself.
    """
    pipe: Any = queue.connection.pipeline()
    pipe.multi()
    job = enqueue_into(pipe, schedule, queue, job_id)
    recorded = _recorded(pipe)
    if pipe.scripts:
        custom = overridden(queue)
        raise InvalidScheduleError(f"{custom} runs a script in its pipeline, which is not possible")
    pipe.reset()
    whose = zip(OCCURRENCE_FIELDS, (schedule.id, utc_text(occurrence)), strict=True)
    recorded.append(("HSET", job.key, *(text for pair in whose for text in pair)))
    encode: Any = queue.connection.get_encoder().encode
    return array([texts(bytes(encode(each)) for each in command) for command in recorded])


def _recorded(pipe: Any) -> list[tuple[Any, ...]]:
    return [_split(arguments) for arguments, _ in pipe.command_stack]


def _split(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """redis-py passes command names of two words as one argument."""
    return (*str(arguments[0]).split(), *arguments[1:])


def _check(recorded: list[tuple[Any, ...]], job: Job, queue: Queue, custom: str) -> None:
    """Raise `InvalidScheduleError` if anything was written outside the pipeline."""
    arguments = {each for command in recorded for each in command[1:] if isinstance(each, str)}
    if {job.key, job.id} <= arguments:
        return
    written = queue.connection.exists(job.key) and job.key not in arguments
    if written or queue.connection.lpos(queue.key, job.id) is not None:
        _writing.add(custom)
        queue.remove(job)
        queue.connection.delete(job.key)
        raise InvalidScheduleError(_writes(custom))
    if job.key not in arguments:
        raise InvalidScheduleError(f"{custom} enqueued nothing")


def _writes(custom: str) -> str:
    return (
        f"{custom} writes to Redis by itself, so that a run could be enqueued twice; let it use "
        f"the pipeline that it is given, and restart the scheduler"
    )
