"""Schedules that a scheduler remembers from pass to pass, ready to be enqueued."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha1
from itertools import chain, count

from ..schedule.options import POLICIES
from ..schedule.record import Record
from ..store.keys import EDIT_FIELDS
from ..store.scripts import LIGHT_BYTES
from ..timing.cron_times import utc_text
from . import protocol
from .protocol import NEARLY_FULL, OCCURRENCE_LENGTH, OVERLAPPED, pack_times
from .template import JobTemplate

Times = tuple["datetime | None", "datetime | None"]

_SIZE = 980  # of this in memory, without texts
_UNTIDIED_RUNS = 90  # fewer than the tenth of a history that is left when it counts as full
_UNTIDIED_SPAN = 86400.0


class PreparedSchedule:
    """A schedule in memory: its RQ job, ready to be sent, and its hash as it was last read."""

    __slots__ = (
        "_tidied",
        "_untidied",
        "due",
        "fingerprint",
        "is_heavy",
        "job",
        "length",
        "plain",
        "score",
        "template",
        "values",
        "weight",
    )

    def __init__(
        self,
        job: Record,
        fingerprint: Fingerprint,
        due: bytes,
        template: JobTemplate,
        values: bytes,
    ) -> None:
        self.job = job
        self.template = template
        self.values = values
        """The fields of its RQ jobs that are not in the template, packed."""
        self.fingerprint = fingerprint
        self.due = due
        """The next time as it is in the hash."""
        self.score = 0.0
        self.plain = POLICIES.isdisjoint(job.time_options) and not template.custom
        """Whether one run stands for all due occurrences, and the script enqueues its job."""
        self.weight = fingerprint.size + len(values)
        """Bytes that Redis reads and writes for an occurrence, approximately."""
        self.is_heavy = self.weight > LIGHT_BYTES
        self.length = OCCURRENCE_LENGTH + template.values_count
        """Items of an occurrence in the list for the script."""
        # Trimming a history and renewing its TTL cost as much as a write, so few runs do it.
        self._untidied = _UNTIDIED_RUNS
        self._tidied = 0.0

    @property
    def size(self) -> int:
        """Bytes that this takes in memory, approximately."""
        return _SIZE + 2 * self.weight

    def wants_tidying(self, due: float) -> bool:
        """Whether the run that is due (epoch seconds) is to trim the history."""
        return self._untidied >= _UNTIDIED_RUNS or due - self._tidied > _UNTIDIED_SPAN

    def log_attributes(self, job_id: str) -> dict[str, str]:
        """Extra attributes of log records on the RQ job that was just enqueued."""
        latest = self.job.latest_enqueue_time
        occurrence = latest.isoformat() if latest else ""
        return {"schedule_id": self.job.id, "occurrence": occurrence, "rq_job_id": job_id}

    def advance(self, due_times: DueTimes, outcome: str) -> None:
        """The occurrence has been written, with this outcome."""
        job = self.job
        if outcome == NEARLY_FULL:
            self._untidied = _UNTIDIED_RUNS
        elif self._untidied >= _UNTIDIED_RUNS:
            self._untidied, self._tidied = 0, due_times.due
        else:
            self._untidied += 1
        times: Times = due_times.new
        ran = outcome != OVERLAPPED
        if not self.plain:
            times = self._times_by_policy(due_times, ran=ran)
        if ran:
            self.fingerprint.ran()
        if job.last_error or job.max_runs is not None:
            self.fingerprint.forget()
        job.latest_enqueue_time, job.next_enqueue_time = job._loaded_times = times
        job.last_error = job.last_error_at = None
        self.due = due_times.following
        self.score = due_times.score

    def _times_by_policy(self, due_times: DueTimes, *, ran: bool) -> Times:
        """Latest and next time, as the script wrote them."""
        job = self.job
        latest, following = due_times.new
        if not ran:
            return job.latest_enqueue_time, following
        if job.max_runs is not None:
            job.runs += 1
            if job.runs >= job.max_runs:
                return latest, None
        return latest, following


class DueTimes:
    """The times of an occurrence that is due: many schedules share them."""

    __slots__ = ("due", "following", "new", "packed", "score")

    def __init__(
        self,
        due: datetime,
        seen: bytes,
        latest: datetime,
        following: datetime | None,
        delay: float = 0.0,
    ) -> None:
        self.new = latest, following
        self.due = due.timestamp()
        score = "" if following is None else f"{following.timestamp() + delay:.6f}"
        self.score = float(score or "inf")
        self.following = b"" if following is None else utc_text(following).encode()
        told = "" if seen and latest is due else utc_text(latest)
        self.packed = pack_times(seen, told, self.following, score)


_SEPARATOR = protocol.SEPARATOR.encode()

TRUSTED = 0.5
"""Seconds since the last comparison of the whole, during which the edit fields are enough."""

_COMPACT_VALUE, _COMPACT_FIELDS = 64, 100
"""Bytes and fields up to which Redis keeps a hash as a list by default, to which it appends."""

_LATEST, _NEXT = "latest_enqueue_time", "next_enqueue_time"


class Fingerprint:
    """Names and values of one schedule's hash, in the order in which Redis returns them.

    So every change by any program is noticed, except that of the latest time, which the next run
    replaces. It stays the same from run to run, as long as nothing but the two times is
    written. Where Redis orders them otherwise, the schedule counts as changed and is read
    again.

    They are compared as one text, with a separator between them that stands in none of them, and
    by their number: a hash in which it does stand has either fewer of them or another text.
    """

    __slots__ = (
        "_appends",
        "_latest",
        "_next",
        "_packed",
        "_text",
        "checked_at",
        "edit_fields",
        "is_known",
        "size",
    )

    def __init__(self, fields: Mapping[str, str], moment: float = 0.0) -> None:
        self.checked_at = moment
        """When the whole was compared last, by the monotonic clock."""
        revision, updated, created = [fields.get(name, "") for name in EDIT_FIELDS]
        self.edit_fields = _packed_edit_fields(revision, updated or created)
        """Instead of the whole, for a comparison of the edit fields and the next time only."""
        self.is_known = True
        """Whether it is that of the hash as it is now."""
        names, items = list(fields), list(chain.from_iterable(fields.items()))
        # Positions of the two values among names and values, from 1 as Lua counts; 0: none.
        self._next = 2 * names.index(_NEXT) + 2 if _NEXT in fields else 0
        self._latest = 2 * names.index(_LATEST) + 2 if _LATEST in fields else 0
        for position in (self._next, self._latest):
            if position:
                items[position - 1] = ""
        text = protocol.SEPARATOR.join(items)
        self._text = text.encode(errors="surrogateescape")
        self._packed = b""
        self.size = len(self._text)
        """Bytes of the hash; the script reads them to compare the whole."""
        # Where the latest time will be when it is written for the first time; 0: not known.
        self._appends = 0
        if self._next and not self._latest and len(fields) < _COMPACT_FIELDS:
            compact = max(map(len, items)) <= _COMPACT_VALUE and self._text.isascii()
            self._appends = len(items) + 2 if compact else 0
        if text.count(protocol.SEPARATOR) >= len(items):
            self._separate(items)

    def _whole(self) -> bytes:
        """Four items for the script: positions of next and latest time, how many names and values
        there are, and all but these two."""
        if not self._packed:
            self._pack(protocol.number(self._text.count(_SEPARATOR) + 1))
            if self._latest:
                self._text = b""  # nothing will be appended from now on
        return self._packed

    def _separate(self, items: list[str]) -> None:
        """Use another separator, for the usual one stands in some of these."""
        candidates = (f"{protocol.SEPARATOR}{number}" for number in count())
        separator = next(s for s in candidates if not any(s in item for item in items))
        self._text = separator.join(items).encode(errors="surrogateescape")
        self._pack(protocol.array([protocol.number(len(items)), protocol.text(separator)]))
        self._text, self._appends = b"", 0

    def _pack(self, length: bytes) -> None:
        text = self._text
        if len(text) > protocol.LONGEST:
            text = sha1(text).hexdigest().encode()
        positions = protocol.number(self._next) + protocol.number(self._latest)
        self._packed = positions + length + protocol.text(text)

    def at(self, moment: float) -> bytes:
        """The items for the script, at this moment of the monotonic clock."""
        if moment - self.checked_at <= TRUSTED:
            return self.edit_fields
        self.checked_at = moment
        return self._packed or self._whole()

    def with_next(self, following: bytes) -> bytes:
        """A list for the script by itself: these, and the next time."""
        return protocol.head(5) + self._whole() + protocol.text(following)

    def edit_fields_with_next(self, following: bytes) -> bytes:
        """The same with the edit fields, if the whole is not known."""
        return protocol.head(5) + self.edit_fields + protocol.text(following)

    def ran(self) -> None:
        """The two times have been written, and nothing else."""
        if not self._next:
            self.is_known = False
        elif not self._latest:
            self.is_known &= bool(self._appends)
            self._latest = self._appends
            self._text += f"{protocol.SEPARATOR}{_LATEST}{protocol.SEPARATOR}".encode()
            self._packed = b""
            self._whole()  # now, for later passes are the more frequent ones

    def forget(self) -> None:
        """Something else has been written, too."""
        self.is_known = False


@lru_cache(maxsize=4096)
def _packed_edit_fields(revision: str, changed_at: str) -> bytes:
    """Four items for the script; schedules that were registered together share them."""
    texts = [
        protocol.text(text.encode(errors="surrogateescape")) for text in (revision, changed_at)
    ]
    return b"".join(texts) + protocol.number(0) * 2


FOLLOWS = protocol.number(0) * 3 + protocol.text("")
"""Instead of those four, if another occurrence of the schedule precedes it in the same call."""


def written_before(time: bytes) -> bytes:
    """The list that says so, and the next time that the other occurrence writes."""
    return protocol.head(5) + FOLLOWS + protocol.text(time)
