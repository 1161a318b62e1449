"""What a schedule did: runs, skipped runs, errors and changes, shown with its form."""

from __future__ import annotations

import zlib
from base64 import b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from redis import Redis
from redis.exceptions import RedisError
from rq.job import Job

from ...core.job import RedisCronJob
from ...core.story.runs import Run, read_runs
from ...models import Schedule
from ..display import job_url, outcome, span, time_tag
from ..log import display_value, entries, label

RUNS = 10
SKIPS = 10
CHANGES = 10
LONGEST_ERROR = 500

REASONS = {
    "misfire": gettext_lazy("later than its latest start"),
    "catch_up": gettext_lazy("missed, and not made up for"),
    "overlap": gettext_lazy("the run before had not ended"),
}


@dataclass(frozen=True)
class RunRow:
    """One run, and where to read more about it."""

    run: Run
    outcome: str
    url: str | None
    error: str
    """The last line of its traceback."""

    @property
    def when(self) -> SafeString | str:
        return time_tag(self.run.enqueued_at)

    @property
    def took(self) -> str:
        duration = self.run.duration
        if duration is None:
            return ""
        seconds = duration.total_seconds()
        return span(seconds) if seconds >= 10 else _("%.1f s") % seconds


@dataclass(frozen=True)
class SkipRow:
    """An occurrence that was skipped, or several in succession."""

    occurrence: datetime
    until: datetime | None
    count: int
    reason: str

    @property
    def when(self) -> SafeString | str:
        first = time_tag(self.occurrence)
        return format_html("{} – {}", first, time_tag(self.until)) if self.until else first


@dataclass(frozen=True)
class Override:
    """A field whose value is not that of the code."""

    name: str
    label: str
    actual: str
    declared: str


@dataclass
class Details:
    """What is shown with the form of a schedule."""

    runs: list[RunRow] = field(default_factory=list)
    skips: list[SkipRow] = field(default_factory=list)
    overrides: list[Override] = field(default_factory=list)
    changes: list[LogEntry] = field(default_factory=list)
    unread: str = ""
    """Why runs and skips could not be read."""


def read_details(schedule: Schedule, connection: Redis) -> Details:
    """All of it. What cannot be read from Redis is left out, with the reason."""
    details = Details(changes=list(entries(schedule.id)[:CHANGES]))
    if schedule.job is not None:
        details.overrides = list(_overrides(schedule.job))
    try:
        details.runs = _runs(schedule.id, connection)
        if schedule.job is not None:
            details.skips = list(_skips(schedule.job, connection))
    except RedisError as error:
        details.unread = str(error)
    return details


def _overrides(job: RedisCronJob) -> Iterable[Override]:
    for name, (actual, declared) in job.overrides.items():
        yield Override(
            name, label(name), display_value(name, actual), display_value(name, declared)
        )


def _runs(id: str, connection: Redis) -> list[RunRow]:
    runs = read_runs([id], connection, RUNS)[id]
    errors = _errors([run.job_id for run in runs if run.status == "failed"], connection)
    return [
        RunRow(
            run,
            outcome(run),
            job_url(run.queue_name, run.job_id),
            errors.get(run.job_id, ""),
        )
        for run in runs
    ]


def _skips(job: RedisCronJob, connection: Redis) -> Iterable[SkipRow]:
    for skip in job.get_skips(connection, 0, SKIPS - 1):
        until = skip.until if skip.until != skip.occurrence else None
        reason = str(REASONS.get(skip.reason, skip.reason))
        yield SkipRow(skip.occurrence, until, skip.count, reason)


def _errors(job_ids: Sequence[str], connection: Redis) -> dict[str, str]:
    """The errors of these jobs, as far as RQ keeps them."""
    with connection.pipeline(transaction=False) as pipe:
        for id in job_ids:
            pipe.xrevrange(_results_key(id), count=1)
        replies = pipe.execute(raise_on_error=False)
    return {id: _last_line(reply) for id, reply in zip(job_ids, replies, strict=True)}


def _last_line(results: Any) -> str:
    try:
        packed = results[0][1][b"exc_string"]
        lines = zlib.decompress(b64decode(packed)).decode(errors="replace").strip().splitlines()
    except (IndexError, KeyError, TypeError, ValueError, zlib.error):
        return ""
    return lines[-1][:LONGEST_ERROR] if lines else ""


def _results_key(job_id: str) -> str:
    prefix = Job.redis_job_namespace_prefix.removesuffix("job:")
    return f"{prefix}results:{job_id}"
