"""Answers from records: the runs of an occurrence, its skips and the failures to enqueue it."""

from __future__ import annotations

from datetime import datetime

from ...quoting import quoted
from ...schedule.missed import Skip
from ...store.pauses import Pause
from ...timing.cron_times import utc_text
from ..in_flight import BACKFILL
from ..runs import Run
from .answer import Answer, Verdict
from .evidence import Evidence
from .timeline import Era
from .troubles import Trouble
from .wording import tell_change, tell_duration, tell_gap, tell_lateness, tell_progress, tell_time


class Teller:
    """Makes the answers about one time of a schedule."""

    def __init__(self, evidence: Evidence, time: datetime) -> None:
        self.evidence = evidence
        self.time = time
        self.timeline = evidence.timeline
        self.zone = evidence.zone
        self.own = time  # until the definition is known, and with it the delay

    # Runs

    def _of_run(self, run: Run) -> Answer:
        verdict: Verdict = "ran"
        if run.status in ("queued", "started"):
            verdict = "waiting" if run.status == "queued" else "running"
        late = None if run.enqueued_at is None else (run.enqueued_at - self.own).total_seconds()
        sentence = f"Its job was enqueued {self._at(run.enqueued_at)}"
        if run.cause == BACKFILL:
            sentence, late = f"{sentence} by a backfill", None
        sentence += tell_lateness(late)
        if verdict == "waiting" and not run.attempts:
            return self._in_queue(run, sentence, late)
        sentence += tell_progress(run, self.evidence.moment, self.zone)
        return self._say(verdict, sentence, run, late_seconds=late)

    def _in_queue(self, run: Run, sentence: str, late: float | None) -> Answer:
        sentence += f", and waits in queue {run.queue_name}"
        queue = self.evidence.queues.get(run.job_id)
        if queue is None:
            return self._say("waiting", sentence, run, late_seconds=late)
        place = f"position {queue.position} of {queue.length}"
        sentence += f", at {place}" if queue.position else ", but is not in it"
        workers = ", ".join(queue.workers[:5]) + (", ..." if queue.workers[5:] else "")
        count = len(queue.workers)
        listening = f"{count} worker{'s listen' if count > 1 else ' listens'} on it: {workers}"
        sentence += f"; {listening}" if workers else "; no worker listens on it"
        facts = {"position": queue.position, "length": queue.length, "workers": list(queue.workers)}
        return self._say("waiting", sentence, run, late_seconds=late, **facts)

    def _stood_for(self) -> Answer | None:
        run = self.evidence.stand_in(self.time)
        if run is None or run.occurrence is None:
            return None
        sentence = (
            f"It was missed, and the later run of {self._tell(run.occurrence)}, enqueued "
            f"{self._at(run.enqueued_at)}, stands for it (catch_up='latest')"
        )
        return self._say_with_gap("missed", sentence, run)

    def _stood_for_in_vain(self) -> Answer | None:
        skip = self.evidence.skipped_stand_in(self.own)
        if skip is None or skip.occurrence <= self.time:
            return None
        sentence = (
            f"It was missed, and the later one of {self._tell(skip.occurrence)}, which stands for "
            f"it, was skipped {self._at(skip.at)}, because an earlier run had not ended"
        )
        return self._say_with_gap("missed", sentence, skipped_at=skip.at)

    # What was skipped, and what could not be enqueued

    def _recorded(self, era: Era) -> Answer | None:
        trouble = self.evidence.trouble_at(self.time, self.own)
        skip = self.evidence.skip_of(era, self.time)
        if trouble is not None and self._is_known_to_last(trouble):
            return self._of_trouble(trouble, skip)
        return self._skipped(skip, self.timeline.before(skip.at)) if skip else None

    def _is_known_to_last(self, trouble: Trouble) -> bool:
        """Not so if the run in which it ended need not be on record."""
        since = self.evidence.pending_since
        is_pending = since is not None and since <= self.time
        return is_pending or trouble.run is not None or self.evidence.is_on_record(self.own)

    def _of_trouble(self, trouble: Trouble, skip: Skip | None) -> Answer:
        failure, run, change = trouble.failure, trouble.run, trouble.change
        sentence = f"It could not be enqueued: {failure.text}; first tried {self._at(failure.at)}"
        if run is not None and run.occurrence is not None:
            sentence += f". The next run was that of {self._tell(run.occurrence)}, enqueued"
            sentence += f" {self._at(run.enqueued_at)}"
        elif skip is not None:
            sentence += f". When it could be, it was skipped {self._at(skip.at)} ({skip.reason})"
        elif change is not None:
            sentence += f". The schedule was changed then{tell_change(change, self.zone)}"
        else:
            sentence += ". It is tried again until it can be enqueued"
        return self._say("error", sentence, run, error=failure.text, since=failure.at)

    def _skipped(self, skip: Skip, era: Era | None) -> Answer:
        job = era.definition if era else None
        sentence = f"It was skipped {self._at(skip.at)}"
        if skip.reason == "overlap":
            in_the_way = self.evidence.run_in_the_way(skip.at)
            sentence += ", because an earlier run had not ended"
            if in_the_way is not None:
                whose = self._tell(in_the_way.occurrence) if in_the_way.occurrence else "by hand"
                sentence += f": that of {whose}" if in_the_way.occurrence else f": one {whose}"
            if job is not None:
                sentence += f" (overlap={job.overlap!r})"
            return self._say("overlap", sentence, in_the_way, skipped_at=skip.at)
        if skip.reason == "paused":
            paused = "everything" if skip.queue is None else f"queue {quoted(skip.queue)}"
            by = f" by {skip.by}" if skip.by else ""
            why = f": {skip.text}" if skip.text else ""
            sentence += f", because {paused} was paused{by}{why}"
            said = {"actor": skip.by, "reason": skip.text, "queue": skip.queue}
            return self._say("paused", sentence, None, skipped_at=skip.at, **said)
        late = tell_duration(skip.at - self.own)
        if skip.reason == "misfire":
            limit = f" of {tell_duration(job.misfire_grace)}" if job and job.misfire_grace else ""
            sentence += f", because it was {late} late, more than its misfire_grace{limit}"
            verdict: Verdict = "misfire"
        else:
            how = f"catch_up={job.catch_up!r}" if job else "catch_up"
            if job and job.catch_up == "all":
                how = f"catch_up_limit={job.catch_up_limit}"
            sentence += f", because it was missed, {late} late, and not caught up ({how})"
            verdict = "missed"
        seconds = (skip.at - self.own).total_seconds()
        return self._say_with_gap(verdict, sentence, skipped_at=skip.at, late_seconds=seconds)

    # Words

    def _say_with_gap(
        self, verdict: Verdict, sentence: str, run: Run | None = None, **facts: object
    ) -> Answer:
        """With what is known of who led before and after, if nobody led then."""
        gap = self.evidence.gap_at(self.own)
        if gap is not None:
            sentence, facts = f"{sentence}; {tell_gap(gap, self.zone)}", {**facts, **gap.facts}
        return self._say(verdict, sentence, run, **facts)

    def _say_paused(self, sentence: str, pause: Pause, **facts: object) -> Answer:
        """The sentence, and what is paused."""
        return self._say(
            "paused",
            f"{sentence} {pause.what} is paused {pause.describe(self._tell)}",
            run=None,
            **facts,
            since=pause.at,
            actor=pause.by,
            reason=pause.reason,
            until=pause.until,
            queue=pause.queue,
            missed=pause.missed,
        )

    def _tell(self, time: datetime) -> str:
        return tell_time(time, self.zone)

    def _at(self, time: datetime | None) -> str:
        return f"at {self._tell(time)}" if time else "at an unknown time"

    def _say(
        self, verdict: Verdict, sentence: str, run: Run | None = None, **facts: object
    ) -> Answer:
        plain = {
            name: utc_text(value) if isinstance(value, datetime) else value
            for name, value in facts.items()
            if value not in (None, "")
        }
        return Answer(self.evidence.id, self.time, verdict, f"{sentence}.", run, plain)
