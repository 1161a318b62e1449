"""What happened at one time of a schedule, and why, from the facts that are on record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...schedule.missed import PUNCTUAL
from ...schedule.record import Record
from ...store.reading import Absent, Damaged
from ..changes import CREATED, DELETED, LoggedChange
from .answer import Answer
from .asked import Asked
from .evidence import Evidence
from .telling import Teller
from .timeline import Era, is_occurrence, previous
from .wording import (
    UNLED,
    tell_change,
    tell_duration,
    tell_gap,
    tell_lateness,
    tell_time,
    told,
)


def judge(evidence: Evidence, time: datetime) -> Answer:
    """What happened at this time."""
    return _Judgement(evidence, time).answer()


def skipped_by_clocks(evidence: Evidence, asked: Asked) -> Answer:
    """For a wall time that never was."""
    wall = asked.skipped or asked.time
    skip = tell_time(asked.time, evidence.zone)
    sentence = f"No run was due then: the clocks skipped {wall:%H:%M} that day, at {skip}."
    return Answer(evidence.id, asked.time, "none", sentence)


class _Judgement(Teller):
    """The causes, in the order in which they count."""

    def answer(self) -> Answer:
        era = self.timeline.before(self.time)
        if era is not None:
            self.own = self.evidence.own_time(era, self.time)
        run = self.evidence.run_of(self.time)
        if run is not None:
            return self._of_run(run)
        if self.time > self.evidence.moment:
            return self._to_come()
        if era is None:
            skip = self.evidence.skip_of(None, self.time)
            return self._skipped(skip, None) if skip else self._before_the_log()
        return (
            self._not_due(era)
            or self._recorded(era)
            or self._pending()
            or self._stood_for()
            or self._not_meant_to_run(era)
            or self._beyond_the_records(era)
            or self._taken_away()
            or self._stood_for_in_vain()
            or self._without_trace()
        )

    # What is still to come

    def _pending(self) -> Answer | None:
        evidence = self.evidence
        since = evidence.pending_since
        if since is None or self.time < since:
            return None
        job = evidence.stored
        if isinstance(job, Record) and job.last_error is not None:
            at = job.last_error_at
            sentence = f"It cannot be enqueued: {job.last_error}; last tried {self._at(at)}"
            return self._say("error", sentence, error=job.last_error)
        leader, pause = evidence.leader, evidence.pause
        if self.own > evidence.moment:
            return self._coming()
        if pause is not None:
            return self._say_paused("It is due but not enqueued, because", pause)
        if leader is None:
            gap = evidence.gap_at(evidence.moment)
            because = f"because {tell_gap(gap, self.zone)}"
            sentence = f"It is due but has not been enqueued, {because}"
            return self._say("unled", sentence, **(gap.facts if gap else {}))
        late = tell_duration(evidence.moment - self.own)
        sentence = f"It has been due for {late}; scheduler {leader.leader} is to enqueue it"
        return self._say("coming", sentence, leader=leader.leader)

    def _to_come(self) -> Answer:
        job = self.evidence.stored
        if isinstance(job, Damaged):
            sentence = f"The schedule cannot be read: {job.reason}"
            return self._say("error", sentence, error=job.reason)
        era = self.evidence.present
        answer = self._not_due(era) or self._not_meant_to_run(era)
        if answer is None and self.evidence.will_be_used_up(self.time):
            assert era.definition is not None
            sentence = f"Its {era.definition.max_runs} runs (max_runs) will be used up by then"
            return self._say("finished", sentence)
        return answer or self._coming()

    def _coming(self) -> Answer:
        evidence = self.evidence
        sentence = f"It will be enqueued {self._at(self.own)}"
        if self.own != self.time:
            sentence += f", {tell_duration(self.own - self.time)} after its time (jitter)"
        pause = evidence.pause
        if pause is not None and pause.is_on(self.own):
            sentence = f"It will not be enqueued {self._at(self.own)} unless that ends before:"
            return self._say_paused(sentence, pause, enqueue_at=self.own)
        if evidence.leader is None:
            sentence += f", if a scheduler is running by then: at present {UNLED}"
        job = evidence.stored
        if isinstance(job, Record) and job.last_error is not None:
            sentence += f"; at present the schedule is in error: {job.last_error}"
        return self._say("coming", sentence, enqueue_at=self.own)

    # What was not to run

    def _not_due(self, era: Era) -> Answer | None:
        if not era.fields:
            return self._without_schedule(era)
        job = era.definition
        if job is None or self.time == self.evidence.pending_since:
            return None
        recurrence = self.timeline.recurrence(era, self.time)
        if recurrence is None:
            return self._say("unknown", "When its interval began is not on record")
        if is_occurrence(recurrence, self.time) or self.timeline.is_birth(era, self.time):
            return None
        before, after = previous(recurrence, self.time), recurrence.next(self.time)
        if before is not None and before < era.since and era.begun is not None:
            before = None
        if after is not None and era.until is not None and after > era.until:
            after = None
        near = [self._tell(time) for time in (before, after) if time is not None]
        sentence = "No run was due then"
        if self.time > self.evidence.moment:
            sentence = "No run is due then"
        if near:
            times = "time is" if len(near) == 1 else "times are"
            sentence += f"; the nearest {times} {' and '.join(near)}"
        if before is None and era.begun is not None:
            sentence += f". The schedule was {told(era.begun)}{tell_change(era.begun, self.zone)}"
        if after is None and era.ended is not None:
            sentence += f". The schedule was {told(era.ended)}{tell_change(era.ended, self.zone)}"
        return self._say("none", sentence, previous=before, next=after)

    def _without_schedule(self, era: Era) -> Answer:
        facts: dict[str, Any] = {}
        sentence = (
            "There is no schedule of this id" if era.until is None else "There was no schedule then"
        )
        if era.begun is not None and told(era.begun).startswith(DELETED):
            sentence += f"; it was {told(era.begun)}{tell_change(era.begun, self.zone)}"
            facts |= {"deleted_at": era.begun.at, "deleted_by": era.begun.actor}
        if era.ended is not None:
            sentence += f"; it was created{tell_change(era.ended, self.zone)}"
            facts |= {"created_at": era.ended.at, "created_by": era.ended.actor}
        return self._say("none", sentence, **facts)

    def _not_meant_to_run(self, era: Era) -> Answer | None:
        job = era.definition
        if job is None:
            return None
        if not job.enabled:
            return self._disabled(era)
        if job.end_at is not None and self.time > job.end_at:
            return self._say(
                "finished",
                f"It had finished: its end_at was {self._tell(job.end_at)}",
                finished_at=job.end_at,
            )
        last = self.evidence.used_up(era, self.time, self.own)
        if last is not None:
            sentence = f"It had finished: all {job.max_runs} runs (max_runs) were used up"
            return self._say("finished", f"{sentence} {self._at(last)}", finished_at=last)
        return None

    def _disabled(self, era: Era) -> Answer:
        begun, ended = self.timeline.disabled_by(era)
        how = "created, disabled," if begun and begun.what == CREATED else "disabled"
        sentence = f"The schedule was {how}{tell_change(begun, self.zone)}"
        again = self.timeline.disabled_again_by(era)
        if again is not None:
            sentence += f", and once more{tell_change(again, self.zone)}"
        if ended is not None:
            sentence += f", and {told(ended)}{tell_change(ended, self.zone)}"
        return self._disabled_by(sentence, begun, again)

    def _disabled_by(
        self, sentence: str, change: LoggedChange | None, again: LoggedChange | None = None
    ) -> Answer:
        """`again`: the change that said last why and until when."""
        if change is None:
            return self._say("disabled", sentence)
        said = again or change
        facts: dict[str, Any] = {
            "since": change.at,
            "actor": said.actor,
            "reason": said.reason,
        }
        if said.until is not None:
            facts["until"] = said.until
        return self._say("disabled", sentence, **facts)

    # What left no trace

    def _taken_away(self) -> Answer | None:
        change = self.evidence.change_that_took(self.time, self.own)
        if change is None:
            return None
        after = self.timeline.made_by(change)
        job = after.definition if after else None
        when = f"{tell_change(change, self.zone)}, before it was enqueued"
        what = told(change) + when
        gap = self.evidence.gap_at(self.own)
        if gap is not None and (gap.until is None or gap.until >= change.at):
            sentence = f"It was not enqueued, because {tell_gap(gap, self.zone)}"
            return self._say(
                "unled",
                f"{sentence}. The schedule was {what}",
                changed_at=change.at,
                actor=change.actor,
                **gap.facts,
            )
        if job is not None and not job.enabled:
            return self._disabled_by(f"The schedule was disabled{when}", change)
        if job is not None and job.end_at is not None and self.time > job.end_at:
            return self._say(
                "finished",
                f"The schedule was {what}: its end_at is {self._tell(job.end_at)}",
                finished_at=job.end_at,
            )
        return self._say(
            "missed",
            f"It was missed: the schedule was {what}",
            changed_at=change.at,
            actor=change.actor,
        )

    def _beyond_the_records(self, era: Era) -> Answer | None:
        evidence = self.evidence
        recurrence = self.timeline.recurrence(era, self.time)
        following = recurrence.next(self.time) if recurrence else None
        job_at = evidence.unknown_job(self.own, following)
        if job_at is not None:
            late = (job_at - self.own).total_seconds()
            sentence = f"A job was enqueued {self._at(job_at)}{tell_lateness(late)}; "
            if late <= PUNCTUAL:
                return self._say(
                    "ran", f"{sentence}how it ended is not on record", late_seconds=late
                )
            return self._say("unknown", f"{sentence}what it was for is not on record")
        if evidence.is_on_record(self.own):
            return None
        sentence = "What happened then is not on record: only the latest runs, skips and changes"
        return self._say("unknown", f"{sentence} are kept, for a year at most")

    def _before_the_log(self) -> Answer:
        oldest = self.timeline.oldest
        sentence = "The definition that counted then is not on record"
        if oldest is not None:
            sentence += f": the oldest is from {self._tell(oldest)}"
        return self._say("unknown", sentence)

    def _without_trace(self) -> Answer:
        evidence = self.evidence
        if isinstance(evidence.stored, Damaged):
            return self._say(
                "error",
                f"The schedule cannot be read: {evidence.stored.reason}",
                error=evidence.stored.reason,
            )
        gap = evidence.gap_at(self.own)
        if gap is not None:
            sentence = f"It was not enqueued, because {tell_gap(gap, self.zone)}"
            return self._say("unled", sentence, **gap.facts)
        change = evidence.last_change_before_handled(self.time, self.own)
        if change is not None:
            when = tell_change(change, self.zone)
            sentence = (
                f"It was missed: the schedule was {told(change)}{when} before it was enqueued"
            )
            return self._say("missed", sentence, changed_at=change.at, actor=change.actor)
        leader = evidence.leader_at(self.own)
        sentence = "It should have run, and there is neither a job nor another record of it"
        if leader is not None:
            sentence += f", although scheduler {leader.leader} was leading"
        if isinstance(evidence.stored, Absent):
            sentence += ". The schedule is gone, and no deletion is on record"
        sentence += ". Somebody deleted it in Redis, or Redis lost data"
        return self._say("lost", sentence, leader=leader and leader.leader)
