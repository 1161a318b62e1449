"""Changes of definitions on their way to Redis: whole, announced, and lost by nobody."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from redis import Redis
from rq.utils import now

from .codec import LEFT_OUT, OPTIONAL_FIELDS, parse_time
from .exceptions import NoSuchJobError
from .job import RedisCronJob
from .keys import TIMING_FIELDS, job_key
from .queues import get_queue
from .scripts import DELETE, SAVE, run_script
from .timing import around_interval, next_cron_time, utc_text

BATCH = 250
"""Changes in one script call: Redis is held for a few milliseconds."""


@dataclass
class Change:
    """What is to be written of one schedule, and what its new times are computed from."""

    job: RedisCronJob
    event: str
    create: bool = False
    fields: dict[str, str] = field(default_factory=dict)
    unset: list[str] = field(default_factory=list)
    times: dict[str, str] = field(default_factory=dict)
    # What the writer believes; the script answers `stale` with the truth where it matters.
    timing: list[str] = field(default_factory=list)
    latest: str = ""
    retimed: bool = True

    @classmethod
    def of(cls, job: RedisCronJob, event: str) -> Change:
        """All of a constructed job; of a loaded one what was changed on it."""
        change = cls._whole(job, event)
        loaded = job.loaded_definition()
        if loaded is None:
            if job.created_at is not None:
                change.fields["created_at"] = utc_text(job.created_at)
            return change
        fields = change.fields
        change.create = False
        change.unset = [name for name in change.unset if name in loaded]
        change.fields = {name: value for name, value in fields.items() if loaded.get(name) != value}
        change.retimed = any(name in change.fields for name in TIMING_FIELDS)
        if change.retimed:  # one of them is empty, so they change together
            change.fields.update({name: fields[name] for name in TIMING_FIELDS})
        return change

    @classmethod
    def _whole(cls, job: RedisCronJob, event: str) -> Change:
        fields = job.definition()
        if job.enabled_given:
            fields["enabled"] = str(int(job.enabled))
        change = cls(job, event, create=True, fields=fields)
        change.unset = [name for name in OPTIONAL_FIELDS if name not in fields]
        change.times = job.moved_times()
        change._expect_own_times()
        return change

    @classmethod
    def define(cls, job: RedisCronJob) -> Change:
        """All of a job, announced as created or updated as it turns out."""
        return cls._whole(job, "")

    @classmethod
    def switch(cls, job: RedisCronJob, enabled: bool) -> Change:
        """Nothing but enabled or disabled."""
        event = "enabled" if enabled else "disabled"
        change = cls(job, event, fields={"enabled": str(int(enabled))}, retimed=False)
        change._expect_own_times()
        return change

    @classmethod
    def move(cls, job: RedisCronJob, latest: datetime, following: datetime) -> Change:
        """Nothing but the times of the latest and the next occurrence."""
        times = {
            "latest_enqueue_time": utc_text(latest),
            "next_enqueue_time": utc_text(following),
        }
        change = cls(job, "updated", times=times)
        change._expect_own_times()
        return change

    def _expect_own_times(self) -> None:
        # What is not written counts as it was loaded.
        definition = self.fields
        if not self.create:
            loaded = self.job.loaded_definition() or self.job.definition()
            definition = {**loaded, **self.fields}
        self.timing = [definition[name] for name in TIMING_FIELDS]
        latest = self.job.latest_enqueue_time
        self.latest = utc_text(latest) if latest else ""

    def expect(self, latest: str, retimed: bool, timing: list[str]) -> None:
        """Believe what the script found."""
        self.latest, self.retimed, self.timing = latest, retimed, timing

    def next_times(self, moment: datetime) -> tuple[str, str]:
        """The next time, from this moment, if it never ran (fresh), and if it did (ran)."""
        interval, cron = self.timing
        if cron:
            following = utc_text(next_cron_time(cron, moment))
            return following, following
        seconds = int(interval)
        start = moment
        if self.latest and not self.retimed:  # enabled again: it stays on its grid
            start, _ = around_interval(seconds, parse_time(self.latest), moment)
        return utc_text(moment), utc_text(start + timedelta(seconds=seconds))

    def to_script(self, moment: datetime, *, final: bool) -> dict[str, Any]:
        """This change as the script SAVE takes it; `final` where there is no second attempt."""
        fresh, ran = self.next_times(moment)
        return {
            "id": self.job.id,
            "event": self.event,
            "create": self.create,
            "fields": self.fields,
            "unset": [*self.unset, *(n for n, v in self.fields.items() if LEFT_OUT.get(n) == v)],
            "times": self.times,
            "timing": False if final else self.timing,
            "latest": self.latest,
            "fresh": fresh,
            "ran": ran,
        }

    def record(self, reply: Sequence[Any], moment: datetime) -> None:
        """Bring the object up to what was written."""
        _, _, revision, created_at, latest, following, enabled = reply
        job = self.job
        job.revision = int(revision)
        job.created_at = parse_time(created_at)
        job.updated_at = moment
        job.latest_enqueue_time = parse_time(latest) if latest else None
        job.next_enqueue_time = parse_time(following)
        job.enabled = enabled == "1"
        job.last_error = job.last_error_at = None
        job.mark_saved(self.fields, self.unset)


def save_changes(changes: Sequence[Change], connection: Redis, pipeline: Any | None = None) -> None:
    """Write the changes, each whole or not at all, in few round trips; with a pipeline, queue them.

    Raises `InvalidScheduleError` before anything is written, and `NoSuchJobError` for a schedule
    that was deleted meanwhile, after the others were written.
    """
    for change in changes:
        if "func_name" in change.fields:
            change.job.func  # noqa: B018 - raises where a worker could not import it
    for queue_name in {change.fields.get("queue_name") for change in changes} - {None}:
        get_queue(str(queue_name), connection)
    if pipeline is not None:
        for change in changes:
            _send([change], connection, now(), pipeline)
            # From here on the object counts as written: it neither writes these again over what
            # others changed, nor brings the schedule back that others deleted.
            change.job.mark_saved(change.fields, change.unset)
        return
    missing: list[str] = []
    for start in range(0, len(changes), BATCH):
        pending = list(changes[start : start + BATCH])
        while pending:
            pending = _save_batch(pending, connection, missing)
    if missing:
        names = ", ".join(map(repr, missing[:5])) + (", ..." if missing[5:] else "")
        raise NoSuchJobError(f"nothing was saved of {names}: deleted meanwhile")


def _save_batch(batch: list[Change], connection: Redis, missing: list[str]) -> list[Change]:
    """One script call. Returns the changes that must be sent again with new times."""
    moment = now()
    again = []
    for change, reply in zip(batch, _send(batch, connection, moment), strict=True):
        outcome = reply[0]
        if outcome == "ok":
            change.record(reply, moment)
        elif outcome == "missing":
            missing.append(change.job.id)
        else:
            _, latest, retimed, *timing = reply
            change.expect(latest, bool(retimed), timing)
            again.append(change)
    return again


def _send(
    batch: list[Change], connection: Redis, moment: datetime, pipeline: Any | None = None
) -> Any:
    final = pipeline is not None
    items = [change.to_script(moment, final=final) for change in batch]
    arguments = [f"{moment.timestamp():.6f}", utc_text(moment), json.dumps(items)]
    keys = [change.job.key for change in batch]
    if pipeline is None:
        return json.loads(run_script(connection, SAVE, keys, arguments).decode(errors="replace"))
    return connection.register_script(SAVE)(keys, [*arguments, "raise"], client=pipeline)


def delete_schedules(ids: Iterable[str], connection: Redis, pipeline: Any | None = None) -> int:
    """Delete schedules, each whole; returns how many there were (0 with a pipeline)."""
    ids = list(ids)
    deleted = 0
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        keys = [job_key(id) for id in batch]
        arguments = [f"{now().timestamp():.6f}", *batch]
        if pipeline is None:
            deleted += sum(run_script(connection, DELETE, keys, arguments))
        else:
            connection.register_script(DELETE)(keys, arguments, client=pipeline)
    return deleted
