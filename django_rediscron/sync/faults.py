"""Why declared schedules cannot run, as far as that shows without Redis."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import timedelta

from ..core.exceptions import InvalidScheduleError
from ..core.job import RedisCronJob
from ..core.quoting import LONGEST_MESSAGE, cut, quoted, quoted_id
from ..core.schedule.checks import check_schedule
from ..core.sensitive import mask
from ..core.timing.cron_times import next_cron_time
from ..core.timing.zones import find_zone
from ..queues import queue_config
from .declarations import Declaration, all_declarations


def declaration_faults() -> Iterator[str]:
    """Why declared schedules cannot run: a line for each reason."""
    found, wrong_files = all_declarations()
    yield from wrong_files
    for declaration in found:
        for reason in _reasons(declaration):
            id = quoted_id(declaration.job.id)
            yield f"schedule {id}, declared at {declaration.place}: {reason}"


def _reasons(declaration: Declaration) -> Iterator[str]:
    job = declaration.job
    for check in (_check_queue, _check_function, _check_timing):
        try:
            check(job)
        except InvalidScheduleError as error:
            yield str(error)
        except Exception as error:  # a function may be anything that can be called
            yield quoted(error, LONGEST_MESSAGE)


def _check_queue(job: RedisCronJob) -> None:
    queue_config(job.queue_name)


def _check_function(job: RedisCronJob) -> None:
    job.import_functions(job.definition())
    try:
        signature = inspect.signature(job.func)
    except (ValueError, TypeError):  # some that are written in C do not tell
        return
    try:
        signature.bind(*job.args, **job.kwargs)
    except TypeError as error:
        raise InvalidScheduleError(
            f"its arguments {cut(_call(job))} do not fit {job.func_name}{cut(signature)}: "
            f"{cut(error)}"
        ) from None


def _call(job: RedisCronJob) -> str:
    parts = [
        *map(quoted, job.args),
        *(f"{name}={quoted(value)}" for name, value in mask(job.kwargs).items()),
    ]
    return f"({', '.join(parts)})"


def _check_timing(job: RedisCronJob) -> None:
    check_schedule(job.snapshot())
    if job.cron and job.start_at and job.end_at:
        zone = find_zone(job.timezone) if job.timezone else None
        first = next_cron_time(job.cron, job.start_at - timedelta(microseconds=1), zone)
        if first > job.end_at:
            raise InvalidScheduleError(
                f"cron {quoted(job.cron)} never fires between start_at, "
                f"{job.start_at.isoformat()}, and end_at, {job.end_at.isoformat()}"
            )
