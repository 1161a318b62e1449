"""A schedule as the values of its form, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...core.job import RedisCronJob
from ...core.schedule.option_checks import NOTIFY, check_notify, check_retry
from ...core.schedule.options import JOB_DEFAULTS, TIME_DEFAULTS
from ...core.sensitive import mask
from ...queues import default_result_ttl
from ..form_fields.job import NOTIFY_FIELDS

ATTRIBUTES = (
    *("func_name", "queue_name", "interval", "cron", "enabled"),
    *(name for name in TIME_DEFAULTS if name not in ("notify", "tags")),
)
"""Fields that are attributes of the schedule."""

OPTIONS = ("job_timeout", "result_ttl", "ttl", "failure_ttl", *(JOB_DEFAULTS.keys() - {"retry"}))
"""Fields that are options of its jobs."""


def values_of(job: RedisCronJob) -> dict[str, Any]:
    """The values of all fields of the form; sensitive arguments are masked."""
    values: dict[str, Any] = {name: getattr(job, name) for name in ATTRIBUTES}
    values.update({name: job.job_options.get(name) for name in OPTIONS})
    retry = job.job_options.get("retry")
    notify = {} if isinstance(job.notify, bool) else job.notify
    return {
        **values,
        "tags": " ".join(job.tags),
        "notify": "no" if job.notify is False else "yes",
        **{f"notify_{key}": notify.get(key) for key in NOTIFY},
        "id": job.id,
        "name": "" if job.name == job.id else job.name,
        "args": list(job.args),
        "kwargs": mask(job.kwargs),
        "meta": job.job_options.get("meta") or {},
        "retry_max": retry.max if retry else None,
        "retry_intervals": list(retry.intervals) if retry else [],
    }


def apply(job: RedisCronJob, values: Mapping[str, Any], names: Iterable[str]) -> None:
    """Set the attributes and options of a schedule that these fields of the form are for.

    Raises `InvalidScheduleError` for what several fields say together, if that is not valid.
    """
    names = set(names)
    for name in names.intersection(ATTRIBUTES):
        value = values[name]
        setattr(job, name, None if value == "" else value)
    for name in names.intersection(OPTIONS):
        value = values[name]
        job.job_options[name] = None if value == "" else value
    if "result_ttl" in names and values["result_ttl"] is None:
        job.job_options["result_ttl"] = default_result_ttl(job.queue_name)
    if "name" in names:
        job.name = values["name"] or job.id
    if "args" in names:
        job.args = tuple(values["args"])
    if "kwargs" in names:
        job.kwargs = values["kwargs"]
    if "meta" in names:
        job.job_options["meta"] = values["meta"] or None
    if names.intersection(("retry_max", "retry_intervals")):
        job.job_options["retry"] = check_retry("retry", _retry(job, values))
    if "tags" in names:
        job.tags = tuple(values["tags"].replace(",", " ").split())
    if names.intersection(NOTIFY_FIELDS):
        said = {key: values.get(f"notify_{key}") for key in NOTIFY}
        job.notify = check_notify("notify", False if values.get("notify") == "no" else said)


def timed_job(values: Mapping[str, Any], names: Iterable[str], id: str = "new") -> RedisCronJob:
    """A schedule that is made of these fields, which are about its timing, and runs nothing.

    Jitter depends on the id. Raises what `apply` raises.
    """
    job = RedisCronJob(id, "default", func_name="none.none", interval=1)
    job.next_enqueue_time = None
    apply(job, values, names)
    return job


def _retry(job: RedisCronJob, values: Mapping[str, Any]) -> Any:
    greatest, intervals = values.get("retry_max"), values.get("retry_intervals")
    if greatest is None and not intervals:
        return None
    before = job.job_options.get("retry")
    retry: dict[str, Any] = {"max": greatest, "intervals": intervals or [0]}
    if getattr(before, "enqueue_at_front", False):
        retry["enqueue_at_front"] = True
    return retry
