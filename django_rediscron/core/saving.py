"""Changes of definitions on their way to Redis: whole, announced, and lost by nobody."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from redis import Redis
from rq.utils import now

from .codec import LEFT_OUT, OPTIONAL_FIELDS, OPTIONS, load_number, parse_time, time_text
from .exceptions import (
    DamagedScheduleError,
    InvalidScheduleError,
    NoSuchJobError,
    ScheduleChangedError,
    ScheduleLockedError,
)
from .grid import Grid
from .job import RedisCronJob
from .keys import FACTS, RECEIPT_PREFIX, TIMING_FIELDS, member_key
from .options import find_zone
from .queues import get_queue
from .scripts import DELETE, SAVE, run_script, run_scripts
from .timing import utc_text
from .validation import check_timing

BATCH = 250
"""Changes in one script call: Redis is held for a few milliseconds."""


REFUSALS: dict[str, type[Exception]] = {
    "NOSUCHJOB": NoSuchJobError,
    "SCHEDULECHANGED": ScheduleChangedError,
    "SCHEDULELOCKED": ScheduleLockedError,
}
"""What the script's reasons for refusing a change are here."""

MAX_QUEUED = 100
"""Changes queued in pipelines that an object remembers until it knows what came of them."""


@dataclass
class Change:
    """What is to be written of one schedule, and what its next time is computed from."""

    job: RedisCronJob
    event: str
    create: bool = False
    version: str | None = None
    """The version that must stand there, if it matters; "" where nothing may stand there."""
    fields: dict[str, str] = field(default_factory=dict)
    unset: list[str] = field(default_factory=list)
    times: dict[str, str] = field(default_factory=dict)
    # What the writer believes; the script answers `stale` with the truth where it matters.
    facts: dict[str, str] = field(default_factory=dict)
    retimed: bool = True
    receipt: str = ""
    # What a merge with the code read, and what it is to write of the schedule's origin.
    expected: dict[str, Any] | None = None
    marks: dict[str, str | bool] | None = None

    def __post_init__(self) -> None:
        # What the object says now: attributes that are changed later are changes of their own.
        self._said = _state(self.job)

    @classmethod
    def of(cls, job: RedisCronJob, event: str, version: str | None = None) -> Change:
        """All of a constructed job; of a loaded one what was changed on it."""
        change = cls._whole(job, event)
        change.version = version
        if version is not None:
            change.receipt = new_receipt()  # sent again, it would find its own write in its way
        loaded = job.loaded_definition()
        if loaded is None:
            if job.created_at is not None:
                change.fields["created_at"] = utc_text(job.created_at)
            return change
        fields = change.fields
        change.create = False
        change.unset = [name for name in change.unset if name in loaded]
        change.fields = {name: value for name, value in fields.items() if loaded.get(name) != value}
        written = {*change.fields, *change.unset}
        change.retimed = not written.isdisjoint(TIMING_FIELDS)
        if change.retimed:  # one of them is empty, so they change together
            change.fields.update({name: fields[name] for name in ("interval", "cron")})
        change._believe_own()
        return change

    @classmethod
    def _whole(cls, job: RedisCronJob, event: str) -> Change:
        fields = job.definition()
        if job.enabled_given:
            fields["enabled"] = str(int(job.enabled))
        change = cls(job, event, create=True, fields=fields)
        change.unset = [name for name in OPTIONAL_FIELDS if name not in fields]
        change.times = job.moved_times()
        change._believe_own()
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
        change._believe_own()
        return change

    @classmethod
    def move(cls, job: RedisCronJob, latest: datetime, following: datetime | None) -> Change:
        """Nothing but the times of the latest and the next occurrence."""
        times = {"latest_enqueue_time": utc_text(latest)}
        if following is not None:
            times["next_enqueue_time"] = utc_text(following)
        change = cls(job, "updated", times=times, retimed=False)
        change._believe_own()
        return change

    def _believe_own(self) -> None:
        # What is not written counts as it was loaded.
        definition = self.fields
        if not self.create:
            loaded = self.job.loaded_definition() or self.job.definition()
            definition = {**loaded, **dict.fromkeys(self.unset, ""), **self.fields}
        self.facts = {name: definition.get(name, "") for name in FACTS}
        latest = self.job.latest_enqueue_time
        self.facts["latest_enqueue_time"] = utc_text(latest) if latest else ""

    def believe(self, retimed: bool, facts: dict[str, str]) -> None:
        """Believe what the script found. Raises `DamagedScheduleError` for what says no time."""
        self.retimed, self.facts = retimed, facts
        try:
            check_timing(load_number(facts, "interval"), facts["cron"], stored=True)
            self._grid()
        except InvalidScheduleError as error:
            raise DamagedScheduleError(self.job.id, str(error)) from error

    def next_time(self, moment: datetime) -> str:
        """The next time, from this moment, if it has to be computed; "" where nothing is left."""
        latest = self.facts["latest_enqueue_time"]
        found = self._grid().first(
            moment, parse_time(latest) if latest else None, retimed=self.retimed
        )
        return time_text(found)

    def _grid(self) -> Grid:
        facts = self.facts
        options = {name: OPTIONS[name].value(facts[name]) for name in _BOUNDS if facts[name]}
        zone = find_zone(facts["timezone"]) if facts["timezone"] else None
        return Grid(load_number(facts, "interval"), facts["cron"] or None, zone, **options)

    def to_script(self, moment: datetime) -> dict[str, Any]:
        """This change as the script SAVE takes it."""
        item = {
            "id": self.job.id,
            "event": self.event,
            "create": self.create,
            "fields": self.fields,
            "unset": [*self.unset, *(n for n, v in self.fields.items() if LEFT_OUT.get(n) == v)],
            "times": self.times,
            "facts": self.facts,
            "retimed": self.retimed,
            "next": self.next_time(moment),
        }
        if self.version is not None:
            item["version"] = self.version
        if self.receipt:
            item["receipt"] = self.receipt
        if self.expected is not None:
            item["expected"] = self.expected
            item["marks"] = self.marks or {}
            item["quiet"] = not (self.fields or self.unset)
        return item

    def record(self, reply: Sequence[str]) -> None:
        """Bring the object up to what was written, but for what was changed on it since."""
        _, version, revision, created_at, *runtime = reply
        job = self.job
        job.version, job.revision = version, int(revision)
        job.created_at = parse_time(created_at)
        job.updated_at = parse_time(version.partition("/")[2])
        job.last_error = job.last_error_at = None
        latest, following = (parse_time(text) if text else None for text in runtime[:2])
        enabled, finished, runs = runtime[2:]
        job.finished_at = parse_time(finished) if finished else None
        job.runs = int(runs) if runs.isdecimal() else 0
        written = (latest, following, enabled == "1")
        for name, said, value in zip(_STATE, self._said, written, strict=True):
            if getattr(job, name) == said:
                setattr(job, name, value)
        job.mark_saved({**self.fields, "enabled": enabled}, self.unset, (latest, following))


_BOUNDS = ("start_at", "end_at")
_STATE = ("latest_enqueue_time", "next_enqueue_time", "enabled")


def _state(job: RedisCronJob) -> tuple[Any, ...]:
    return tuple(getattr(job, name) for name in _STATE)


def save_changes(changes: Sequence[Change], connection: Redis, pipeline: Any | None = None) -> None:
    """Write the changes, each whole or not at all, in few round trips; with a pipeline, queue them.

    Raises `InvalidScheduleError` before anything is written; after the others were written, what
    stands in `REFUSALS` for those that were refused.
    """
    for change in changes:
        change.job.import_functions(change.fields)
    for queue_name in {change.fields.get("queue_name") for change in changes} - {None}:
        get_queue(str(queue_name), connection)
    if pipeline is not None:
        for change in changes:
            change.receipt = change.receipt or new_receipt()
            _send([change], connection, now(), pipeline)
            change.job.queued = (*change.job.queued, change)[-MAX_QUEUED:]
        return
    refused: list[tuple[Change, str, str]] = []
    for start in range(0, len(changes), BATCH):
        pending = list(changes[start : start + BATCH])
        while pending:
            pending = _save_batch(pending, connection, refused)
    if refused:
        _, reason, text = refused[0]
        ids = [repr(change.job.id) for change, other, _ in refused if other == reason]
        names = ", ".join(ids[:5]) + (", ..." if ids[5:] else "")
        raise REFUSALS[reason](f"nothing was saved of {names}: {text}")


def _save_batch(
    batch: list[Change], connection: Redis, refused: list[tuple[Change, str, str]]
) -> list[Change]:
    """One script call. Returns the changes that must be sent again with new times."""
    again = []
    for change, reply in zip(batch, _send(batch, connection, now()), strict=True):
        outcome = reply[0]
        if outcome == "ok":
            change.record(reply)
        elif outcome == "refused":
            refused.append((change, *reply[1:]))
        else:
            change.believe(*reply[1:])
            again.append(change)
    return again


def write_merged(changes: Sequence[Change], connection: Redis) -> list[Change]:
    """Write merges of schedules with what code declares, thousands in a round trip.

    Returns those of which nothing was written, because somebody changed the schedule meanwhile.
    """
    refused: list[Change] = []
    pending = list(changes)
    while pending:
        parts = [pending[start : start + BATCH] for start in range(0, len(pending), BATCH)]
        replies = run_scripts(connection, SAVE, [_call(part, now()) for part in parts])
        pending = []
        for part, reply in zip(parts, map(_decode, replies), strict=True):
            for change, (outcome, *facts) in zip(part, reply, strict=True):
                if outcome == "refused":
                    refused.append(change)
                elif outcome == "stale":
                    change.believe(*facts)
                    pending.append(change)
    return refused


def _send(
    batch: list[Change], connection: Redis, moment: datetime, pipeline: Any | None = None
) -> Any:
    keys, arguments = _call(batch, moment)
    if pipeline is None:
        return _decode(run_script(connection, SAVE, keys, arguments))
    return connection.register_script(SAVE)(keys, [*arguments, "once"], client=pipeline)


def _call(batch: list[Change], moment: datetime) -> tuple[list[str], list[str]]:
    """Keys and arguments of the script."""
    items = [change.to_script(moment) for change in batch]
    keys = [change.job.key for change in batch]
    return keys, [f"{moment.timestamp():.6f}", utc_text(moment), json.dumps(items)]


def _decode(reply: bytes) -> Any:
    return json.loads(reply.decode(errors="replace"))


def new_receipt() -> str:
    return os.urandom(16).hex()


def settle(job: RedisCronJob, connection: Redis) -> None:
    """Learn what came of the changes of this object that were queued in pipelines.

    Those that were written count as saved: the next save neither writes them over what others have
    changed since, nor brings back what others deleted. All others are still to be written.
    """
    if not job.queued:
        return
    receipts = connection.mget([RECEIPT_PREFIX + change.receipt for change in job.queued])
    unknown = []
    for change, receipt in zip(job.queued, receipts, strict=True):
        if receipt is None:
            unknown.append(change)
        else:
            change.record(json.loads(receipt))
    job.queued = tuple(unknown)


def delete_schedules(
    ids: Iterable[str | bytes], connection: Redis, pipeline: Any | None = None
) -> int:
    """Delete schedules, each whole; returns how many there were (0 with a pipeline).

    One that code declares stays deleted until it is reset. Raises `ScheduleLockedError` for those
    that only the code may change, after the others were deleted.
    """
    ids = list(ids)
    deleted = 0
    locked: list[tuple[str | bytes, str]] = []
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        keys = [member_key(id) for id in batch]
        arguments = [f"{now().timestamp():.6f}", "once" if pipeline is not None else "", *batch]
        if pipeline is not None:
            connection.register_script(DELETE)(keys, arguments, client=pipeline)
            continue
        for id, outcome in zip(batch, run_script(connection, DELETE, keys, arguments), strict=True):
            if isinstance(outcome, int):
                deleted += outcome
            else:
                locked.append((id, outcome.decode(errors="replace")))
    if locked:
        names = ", ".join(repr(id) for id, _ in locked[:5]) + (", ..." if locked[5:] else "")
        raise ScheduleLockedError(
            f"nothing was deleted of {names}: is locked; "
            f"remove it where it is declared: {locked[0][1]}"
        )
    return deleted
