"""Schedules that a scheduler remembers from pass to pass, ready to be enqueued."""

from __future__ import annotations

from datetime import datetime

from ..schedule.options import POLICIES
from ..schedule.record import Record
from ..store.batches import LIGHT_BYTES
from ..timing.cron_times import utc_text
from .fingerprint import Fingerprint
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
        "job_id",
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
        self.job_id = ""
        """The RQ job that was just enqueued, while it is logged or run here."""
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

    def log_attributes(self) -> dict[str, str]:
        """Extra attributes of log records: schedule, occurrence and RQ job."""
        latest = self.job.latest_enqueue_time
        occurrence = latest.isoformat() if latest else ""
        return {
            "schedule_id": self.job.id,
            "occurrence": occurrence,
            "rq_job_id": self.job_id,
        }

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
