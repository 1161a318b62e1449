"""RQ's own cron: a file in Python that calls `rq.cron.register`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from redis import Redis
from rq.cron import CronJob, CronScheduler

from ..core.dotted_names import function_name
from ..core.exceptions import InvalidScheduleError
from ..core.quoting import cut
from .found import CannotReadError, Found, Maps, Note, Times, distinct_ids
from .local_time import local_zone, times_in_zone

_OPTIONS = (
    *("args", "kwargs", "interval", "cron", "job_timeout", "result_ttl", "ttl", "failure_ttl"),
    *("meta", "webhooks"),
)


class _Collector(CronScheduler):
    """Loads files as RQ does; keeps what they register, also what RQ refuses."""

    def __init__(self, connection: Redis) -> None:
        super().__init__(connection, logging_level=logging.CRITICAL)
        self.registered: list[tuple[dict[str, Any], CronJob | str]] = []

    def register(self, func: Any, queue_name: str, **said: Any) -> Any:  # type: ignore[override]
        said = {"func": func, "queue_name": queue_name, **said}
        try:
            job = super().register(**said)
        except Exception as error:
            self.registered.append((said, f"RQ refuses it: {cut(error)}"))
            raise
        self.registered.append((said, job))
        return job


def read(connection: Redis, maps: Maps, *, file: str, timezone: str | None = None) -> list[Found]:
    """What a file registers. It is run, by RQ's own loader, as RQ's cron would.

    `timezone`: the local zone of the process that ran RQ's cron; by default that of this one.
    """
    zone = local_zone(timezone)
    collector = _Collector(connection)
    try:
        collector.load_config_from_file(file)
    except Exception as error:  # it is anybody's code
        raise CannotReadError(f"RQ cannot load it: {cut(error)}") from None
    except SystemExit as error:
        raise CannotReadError(f"it ends the process, with status {error.code}") from None
    registered = collector.registered
    names = _numbered([said.get("name") or _called(said["func"]) for said, _ in registered])
    ids = distinct_ids(names)
    return [
        _found(name, id, said, job, maps, zone)
        for name, id, (said, job) in zip(names, ids, registered, strict=True)
    ]


def _called(func: Any) -> str:
    """As RQ calls it."""
    return f"{func.__module__}.{func.__name__}"


def _numbered(names: list[str]) -> list[str]:
    """As `RedisCronScheduler.load_config_from_file` calls them: `name`, `name#2`, ..."""
    counts: Counter[str] = Counter()
    found = []
    for name in names:
        counts[name] += 1
        found.append(name if counts[name] == 1 else f"{name}#{counts[name]}")
    return found


def _found(
    name: str, id: str, said: dict[str, Any], job: CronJob | str, maps: Maps, zone: str
) -> Found:
    found = Found(name, id, None)
    if isinstance(job, str):
        found.notes.append(Note(job))
        return found
    try:
        function = maps.find(job.func_name) or _importable(said["func"])
    except InvalidScheduleError as error:
        remedy = f"or map it: --map {job.func_name}=MODULE.FUNCTION"
        found.notes.append(Note(str(error), remedy))
        return found
    options = {key: said[key] for key in _OPTIONS if said.get(key) is not None}
    found.options = {"func": function, "queue_name": said["queue_name"], **options}
    if said.get("name"):  # which old versions of RQ do not know
        found.options["name"] = said["name"]
    if job.cron:
        found.options["timezone"] = zone
    found.times = times_in_zone(_times(job), zone)
    return found


def _importable(func: Any) -> str:
    """The name by which workers find it. Raises `InvalidScheduleError`."""
    name = function_name(func)
    if name.startswith("rq_cron_config_"):  # RQ's name for a file without a place in a package
        raise InvalidScheduleError(
            f"the function {func.__name__} is defined in the file itself, where no worker finds "
            f"it; move it to a module"
        )
    return name


def _times(job: CronJob) -> Times:
    """As RQ computes them; an interval begins when RQ's cron is started."""

    def times(after: datetime, count: int) -> list[datetime]:
        return [*_walk(job, after, count)]

    return times


def _walk(job: CronJob, after: datetime, count: int) -> Iterator[datetime]:
    latest = after
    for number in range(count):
        if job.interval and number == 0:
            yield after
            continue
        job.latest_enqueue_time = latest
        latest = job.get_next_enqueue_time()
        yield latest
