"""One change of a definition: what to write, and what the next time is computed from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..exceptions import DamagedScheduleError, InvalidScheduleError
from ..schedule.checks import check_timing
from ..schedule.codec import LEFT_OUT, OPTIONAL_FIELDS
from ..schedule.definition import NOT_ON_RECORD, Off
from ..schedule.options import OPTIONS
from ..schedule.origin import DEFAULTS
from ..schedule.record import Record
from ..schedule.texts import load_number, load_time, parse_time, time_text
from ..timing.clock_rules import rules_pairs
from ..timing.cron_times import utc_text
from ..timing.recurrence import Recurrence
from ..timing.zones import find_zone
from .keys import FACTS, OFF_FIELDS, TIMING_FIELDS

SYNCED, RESET, REVERTED = "synced", "reset", "reverted"
"""Changes that the log names otherwise than what they do: by the code, back to it, or back to an
earlier revision."""

DISABLED = "disabled"
"""What the log calls a change that disables a schedule, whatever else it does."""

NO_LONGER_DECLARED = "no longer declared"
"""The reason that the log gives for what a sync does with orphans."""


@dataclass
class Change:
    """What to write of one schedule, and what its next time is computed from."""

    job: Record
    event: str
    create: bool = False
    version: str | None = None
    """The version that must be stored, if it matters; "" if nothing may be stored."""
    fields: dict[str, str] = field(default_factory=dict)
    unset: list[str] = field(default_factory=list)
    times: dict[str, str] = field(default_factory=dict)
    # What the writer knows of them; the script answers `stale` with the current ones if it matters.
    facts: dict[str, str] = field(default_factory=dict)
    retimed: bool = True
    receipt: str = ""
    what: str = ""
    """What the log of changes is to say, if not that it was created or updated, whichever it is."""
    reason: str = ""
    off: bool = False
    """Whether it is disabled, for this reason, though it may be so for another one already."""
    until: str = ""
    """When the leader is to enable it."""
    ends: dict[str, str] | None = None
    """Of the leader, which does so: the `token` of its lock, and `until` as it was read."""
    # What a merge with the code read, and which fields of the origin it writes.
    expected: dict[str, Any] | None = None
    origin_fields: dict[str, str | bool] | None = None

    def __post_init__(self) -> None:
        # The state of the object now: attributes that are changed later are separate changes.
        self._said = _state(self.job)

    @classmethod
    def of(cls, job: Record, event: str, version: str | None = None) -> Change:
        """All fields of a constructed job; only the changed ones of a loaded job."""
        change = cls._whole(job, event)
        change.version = version
        if version is not None:
            change.receipt = new_receipt()  # sent twice, it would refuse itself
        loaded = job.loaded_definition()
        if loaded is None:
            if job.created_at is not None:
                change.fields["created_at"] = utc_text(job.created_at)
            change._take_own_state()
            return change
        fields = change.fields
        change.create = False
        change.unset = [name for name in change.unset if name in loaded]
        change.fields = {name: value for name, value in fields.items() if loaded.get(name) != value}
        written = {*change.fields, *change.unset}
        change.retimed = not written.isdisjoint(TIMING_FIELDS)
        if change.retimed:  # one of them is empty, so they change together
            change.fields.update({name: fields[name] for name in ("interval", "cron")})
        change._take_own_facts()
        return change

    @classmethod
    def _whole(cls, job: Record, event: str) -> Change:
        fields = job.definition()
        if job.enabled_given:
            fields["enabled"] = str(int(job.enabled))
        change = cls(job, event, create=True, fields=fields)
        change.unset = [name for name in OPTIONAL_FIELDS if name not in fields]
        change.times = job.moved_times()
        change._take_own_facts()
        return change

    @classmethod
    def define(cls, job: Record) -> Change:
        """All fields of a job, announced as created or updated, whichever it is."""
        change = cls._whole(job, "")
        change._take_own_state()
        return change

    @classmethod
    def replace(
        cls,
        job: Record,
        fields: Mapping[str, str],
        stored: Mapping[str, str],
    ) -> Change:
        """These fields of a schedule whose hash holds `stored`, without loading it."""
        change = cls(job, "updated", retimed=not fields.keys().isdisjoint(TIMING_FIELDS))
        change.unset = [name for name, text in fields.items() if text == DEFAULTS[name]]
        change.fields = {n: text for n, text in fields.items() if text != DEFAULTS[n]}
        change.facts = {name: fields.get(name, stored.get(name, "")) for name in FACTS}
        change._forget_next(stored.get("created_at", ""))
        return change

    @classmethod
    def switch(
        cls, job: Record, enabled: bool, reason: str = "", until: datetime | None = None
    ) -> Change:
        """Only enable, or disable for this reason, until this moment if there is one."""
        event = "enabled" if enabled else "disabled"
        change = cls(job, event, fields={"enabled": str(int(enabled))}, retimed=False)
        if not enabled:
            change.switch_off(reason, until)
        change.reason = reason
        change._take_own_facts()
        return change

    @classmethod
    def move(cls, job: Record, latest: datetime, following: datetime | None) -> Change:
        """Only the times of the latest and the next occurrence."""
        times = {"latest_enqueue_time": utc_text(latest)}
        if following is not None:
            times["next_enqueue_time"] = utc_text(following)
        change = cls(job, "updated", times=times, retimed=False)
        change._take_own_facts()
        return change

    def switch_off(self, reason: str, until: datetime | None) -> None:
        """It is disabled for this reason, until this moment if there is one."""
        self.off, self.reason, self.until = True, reason, time_text(until)

    def _take_own_state(self) -> None:
        """A new schedule may be disabled for a reason, or until some time, from the start."""
        if not self.job.enabled and self.job.off != NOT_ON_RECORD:
            self.switch_off(self.job.off.reason, self.job.off.until)

    def _take_own_facts(self) -> None:
        # Fields that are not written count as they were loaded.
        definition = self.fields
        if not self.create:
            loaded = self.job.loaded_definition() or self.job.definition()
            definition = {**loaded, **dict.fromkeys(self.unset, ""), **self.fields}
        self.facts = {name: definition.get(name, "") for name in FACTS}
        self.facts["latest_enqueue_time"] = time_text(self.job.latest_enqueue_time)
        self.facts["next_enqueue_time"] = time_text(self.job._loaded_times[1])
        self._forget_next(time_text(self.job.created_at))

    def _forget_next(self, created_at: str) -> None:
        """Ignore the stored next time in the cases in which the script ignores it."""
        facts = self.facts
        if (
            self.retimed
            or not facts["latest_enqueue_time"]
            or facts["next_enqueue_time"] == created_at
        ):
            facts["next_enqueue_time"] = ""

    def recompute_from(self, retimed: bool, facts: dict[str, str]) -> None:
        """Use the facts that the script found. Raises `DamagedScheduleError` for invalid ones."""
        self.retimed, self.facts = retimed, facts
        try:
            check_timing(load_number(facts, "interval"), facts["cron"], stored=True)
            self._recurrence()
        except InvalidScheduleError as error:
            raise DamagedScheduleError(self.job.id, str(error)) from error

    def next_time(self, moment: datetime) -> str:
        """The next time, from this moment, if it has to be computed; "" if nothing is left."""
        latest = load_time(self.facts, "latest_enqueue_time")
        return time_text(self._recurrence().first(moment, latest, retimed=self.retimed))

    def _recurrence(self) -> Recurrence:
        facts = self.facts
        options = {name: OPTIONS[name].value(facts[name]) for name in _BOUNDS if facts[name]}
        zone = find_zone(facts["timezone"]) if facts["timezone"] else None
        origin = load_time(facts, "next_enqueue_time")
        return Recurrence(
            load_number(facts, "interval"), facts["cron"] or None, zone, **options, origin=origin
        )

    def weight(self) -> int:
        """Approximate bytes that are sent to the script."""
        texts = [*self.fields.values(), *(self.expected or {}).values()]
        texts += (self.origin_fields or {}).values()
        return sum(len(text) for text in texts if isinstance(text, str))

    def to_script(self, moment: datetime) -> dict[str, Any]:
        """This change as the script `save` takes it."""
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
        if self.facts["cron"]:
            item["rules"] = rules_pairs(self.facts["timezone"])
        if self.version is not None:
            item["version"] = self.version
        if self.what:
            item["what"] = self.what
        if self.reason:
            item["reason"] = self.reason
        if self.off:
            item["off"] = True
        if self.until:
            item["until"] = self.until
        if self.ends:
            item["ends"] = self.ends
        if self.receipt:
            item["receipt"] = self.receipt
        if self.expected is not None:
            item["expected"] = self.expected
            item["origin_fields"] = self.origin_fields or {}
            item["quiet"] = not (self.fields or self.unset)
        return item

    def apply_reply(self, reply: Sequence[str]) -> None:
        """Update the object to what was written, except attributes that were changed since."""
        _, version, revision, created_at, *runtime = reply
        job = self.job
        job.version, job.revision = version, int(revision)
        job.created_at = parse_time(created_at)
        job.updated_at = parse_time(version.partition("/")[2])
        job.last_error = job.last_error_at = None
        latest, following = (parse_time(text) if text else None for text in runtime[:2])
        enabled, finished, runs, *off = runtime[2:]
        job.off = Off.of(dict(zip(OFF_FIELDS, off, strict=False)))
        job.finished_at = parse_time(finished) if finished else None
        job.runs = int(runs) if runs.isdecimal() else 0
        written = (latest, following, enabled == "1")
        for name, said, value in zip(_STATE, self._said, written, strict=True):
            if getattr(job, name) == said:
                setattr(job, name, value)
        job.mark_saved({**self.fields, "enabled": enabled}, self.unset, (latest, following))


_BOUNDS = ("start_at", "end_at")
_STATE = ("latest_enqueue_time", "next_enqueue_time", "enabled")


def _state(job: Record) -> tuple[Any, ...]:
    return tuple(getattr(job, name) for name in _STATE)


def new_receipt() -> str:
    return os.urandom(16).hex()
