"""How the leader follows the jobs of schedules until they have ended, and records their runs.

A job is in flight from the script that enqueues it to the script that records its end. In between
the leader looks at what RQ says of it, slice by slice; nothing is put between RQ and the function
that runs. So a leader may die at any moment: the next one finds in flight what was not recorded.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError
from rq.utils import now

from ..plain import plain
from ..quoting import cut, quoted
from ..schedule.texts import dump_number
from ..store.keys import (
    COUNTS,
    IN_FLIGHT,
    JOB_PREFIX,
    LOCK,
    OUTCOMES_PREFIX,
    PROGRESS,
    RESULTS_PREFIX,
    RQ_JOB_PREFIX,
    RUNS_PREFIX,
    STORY_TTL,
    TOLD_SUFFIX,
    holder_name,
)
from ..store.scripts import CHANGES_KEYS, Script, Step, no_step, run_script
from ..timing.cron_times import utc_text
from .counts import run_fields
from .in_flight import ENDED, LOOKED_AT_FIELDS, PREFIX_PATTERN, Look
from .runs import Run

logger = logging.getLogger(__name__)

KEEP_RUNS = 100
"""Runs of a schedule that are kept by default."""

MOST_RUNS = 100_000
"""Runs of a schedule that may be kept."""

SLICE = 150
"""Jobs that are looked at in one script call: it blocks Redis for about a millisecond."""

MOST_ENDED = 10
"""Runs that are recorded at a time, which takes about a millisecond."""

RATE = 3000
"""Jobs that are looked at in a second, so that following takes little of the time of a pass, and of
a processor, however many are in flight."""

RECORDING_PAUSE = 0.01
"""Seconds between two slices during a pass if the first one had more to record than is done at a
time, so that the pass still gets most of the time. A leader at rest makes no such pause."""

SWEEP, IDLE_SWEEP = 0.5, 2.0
"""Seconds from the begin of one sweep through all jobs in flight to the next, at least; and if
nothing was in flight, for another process may enqueue a job by hand."""

ERROR_BYTES = 256 * 1024
"""Packed tracebacks that are read in one slice, but for the last one."""

REFUSED_PAUSE = 5.0
"""Seconds until the next attempt if Redis refuses to do it."""

FOLLOW = Script(
    "follow",
    IN_FLIGHT=IN_FLIGHT,
    RQ_JOB_PREFIX=RQ_JOB_PREFIX,
    RESULTS_PREFIX=RESULTS_PREFIX,
    LOOKED_AT_FIELDS=LOOKED_AT_FIELDS,
    PREFIX_PATTERN=PREFIX_PATTERN,
    ENDED=ENDED,
    PROGRESS=PROGRESS,
    TOLD_SUFFIX=TOLD_SUFFIX,
)

END_RUNS = Script(
    "end_runs",
    RUNS_PREFIX=RUNS_PREFIX,
    OUTCOMES_PREFIX=OUTCOMES_PREFIX,
    JOB_PREFIX=JOB_PREFIX,
    COUNTS=COUNTS,
    PROGRESS=PROGRESS,
)
MARK_TOLD = Script("mark_told", PROGRESS=PROGRESS)

RUN_TOO_LONG, RUN_STARTED = "run_too_long", "run_started"
"""Notifications of runs that last."""


def check_keep_runs(value: object) -> int:
    """How many runs of each schedule are kept. Raises ValueError for what is no such number."""
    number = plain(value)
    if type(number) is not int or not 0 <= number <= MOST_RUNS:
        raise ValueError(f"a whole number from 0 to {MOST_RUNS}, got {quoted(value)}")
    return number


class Following:
    """The jobs in flight as one leader follows them. `keep_runs`: how many of a schedule it keeps.

    It goes through them sweep by sweep, each in slices with pauses between them.
    """

    def __init__(self, connection: Redis, keep_runs: int = KEEP_RUNS) -> None:
        self.keep_runs = keep_runs
        self._connection = connection
        self._cursor = "0"
        self._sweep_begun = 0.0
        self._seen = 0
        """Jobs that were seen in this sweep."""
        self._is_over = True
        """Whether the sweep has come to its end."""
        self._due = 0.0
        self._is_behind = False
        """Whether more have ended than could be recorded in the latest step."""
        self._is_refused = False
        self.has_news = False
        """Whether the latest step recorded something."""

    @property
    def pause(self) -> float:
        """Seconds until the next slice is due; 0 if it is."""
        return max(0.0, self._due - time.monotonic())

    @property
    def pause_at_rest(self) -> float:
        """The same if nothing else is to be done: RQ may soon delete what has ended."""
        return 0.0 if self._is_behind else self.pause

    def expect_jobs(self) -> None:
        """Jobs have been enqueued: the next sweep is due soon."""
        if not self._is_refused:
            self._due = min(self._due, time.monotonic() + SWEEP)

    def sweep(self, token: str, step: Step = no_step) -> bool:
        """Record all that has ended, without pauses. Returns whether the token holds the lock."""
        self._is_over = True
        while self.step(token):
            if self._is_over:
                return True
            step()
        return False

    def step(self, token: str) -> bool:
        """Look at a slice, and record which runs have ended.

        Returns whether the token holds the lock; if not, nothing was done. What Redis refuses here
        is logged, for it must not keep schedules from being enqueued.
        """
        if self._is_over:
            self._begin_sweep()
        self._is_behind = self.has_news = False
        try:
            looked = self._look(token)
        except ResponseError as error:
            self._refused(error)
            return True
        if looked is None:
            return False
        self._is_refused = False
        self._due = time.monotonic() + (looked / RATE if looked else RECORDING_PAUSE)
        if self._is_over:
            least = SWEEP if self._seen else IDLE_SWEEP
            self._due = max(self._due, self._sweep_begun + least)
        return True

    def _begin_sweep(self) -> None:
        self._cursor, self._sweep_begun = "0", time.monotonic()
        self._seen, self._is_over = 0, False

    def _look(self, token: str) -> int | None:
        """How many were looked at; None if the token does not hold the lock.

        0 if the same slice comes next, because there was more to record than is done at a time.
        """
        arguments = [token, self._cursor, SLICE, MOST_ENDED, ERROR_BYTES, time.time()]
        reply = run_script(self._connection, FOLLOW, [LOCK], arguments)
        if reply is None:
            return None
        cursor, looked, some_left, found = json.loads(reply.decode(errors="replace"))
        self._seen += looked
        moment = now()
        looks = [look for each in found if (look := Look.from_reply(each, moment)) is not None]
        ended = [(look, Run.of(look, moment)) for look in looks if look.is_over]
        recorded = self._record(token, ended) if ended else 0
        lasting = [look for look in looks if not look.is_over]
        told = self._tell(token, lasting, moment) if lasting else 0
        if recorded is None or told is None:
            return None
        self.has_news = recorded + told > 0
        self._is_behind = some_left and self.has_news
        if self._is_behind:
            return 0
        self._cursor, self._is_over = cursor, cursor == "0"
        return int(looked)

    def _record(self, token: str, ended: Sequence[tuple[Look, Run]]) -> int | None:
        """How many were recorded; None if the token does not hold the lock."""
        runs = [
            _ended_run(look, run, run.ended_at)
            for look, run in sorted(ended, key=_end)
            if run.ended_at is not None
        ]
        moment, actor = now(), f"scheduler:{holder_name(token)}"
        arguments = [
            *(token, self.keep_runs, STORY_TTL, json.dumps(runs, ensure_ascii=False)),
            *(moment.timestamp(), utc_text(moment), actor),
        ]
        reply = run_script(self._connection, END_RUNS, [*CHANGES_KEYS, LOCK, IN_FLIGHT], arguments)
        if reply is None:
            return None
        recorded, disabled = json.loads(reply.decode(errors="replace"))
        for id, failures in disabled:
            words = ("failed run", "failed runs in a row")[failures > 1]
            extra = {"schedule_id": id}
            logger.warning("Schedule %r: disabled after %d %s", id, failures, words, extra=extra)
        for look, run in ended:
            if _is_long_news(look, run):
                _warn_of_long_run(look, "took")
        return int(recorded)

    def _tell(self, token: str, lasting: Sequence[Look], moment: datetime) -> int | None:
        """Tell that runs have started, and warn of those that last too long.

        How many that are; None if the token does not hold the lock.
        """
        news = [(look, RUN_STARTED) for look in lasting if not look.entry.start_is_told]
        news += [
            (look, RUN_TOO_LONG)
            for look in lasting
            if look.is_too_long(moment) and not look.entry.is_told
        ]
        items = [
            (look.job_id, kind, look.entry.schedule_id, Run.of(look, moment).to_text())
            for look, kind in news
        ]
        arguments = [token, json.dumps(items, ensure_ascii=False)]
        marked = run_script(self._connection, MARK_TOLD, [LOCK, IN_FLIGHT], arguments)
        if marked is None:
            return None
        for place in marked:
            look, kind = news[place - 1]
            if kind == RUN_TOO_LONG:
                _warn_of_long_run(look, "has been running")
        return len(marked)

    def _refused(self, error: ResponseError) -> None:
        self._is_over = True
        self._due = time.monotonic() + REFUSED_PAUSE
        level = logging.DEBUG if self._is_refused else logging.ERROR
        logger.log(level, "The ends of jobs cannot be recorded: %s", cut(error))
        self._is_refused = True


def _ended_run(look: Look, run: Run, ended_at: datetime) -> list[Any]:
    """A run that has ended, as `end_runs` takes it."""
    limit = dump_number(look.entry.max_runtime or 0) if _is_long_news(look, run) else ""
    ended = (run.status, utc_text(ended_at), run.to_text(), limit)
    return [run.job_id, look.entry.schedule_id, *ended, run.queue_name, *run_fields(run)]


def _is_long_news(look: Look, run: Run) -> bool:
    """Whether it is still to be told that a run that has ended took too long."""
    return run.is_too_long and not look.entry.is_told


def _warn_of_long_run(look: Look, takes: str) -> None:
    """A run takes, or took, longer than its schedule allows."""
    entry = look.entry
    extra = {"schedule_id": entry.schedule_id, "rq_job_id": look.job_id}
    if entry.occurrence is not None:
        extra["occurrence"] = entry.occurrence.isoformat()
    logger.warning(
        "Schedule %r: job %s %s longer than %s s; started at %s by worker %r",
        *(entry.schedule_id, look.job_id, takes, dump_number(entry.max_runtime or 0)),
        *(utc_text(look.started_at) if look.started_at else "?", look.worker),
        extra=extra,
    )


def _end(ended: tuple[Look, Run]) -> float:
    at = ended[1].ended_at
    return at.timestamp() if at is not None else 0.0
