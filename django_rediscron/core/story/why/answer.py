"""The answer to why a schedule did not run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from ..runs import Run

Verdict = Literal[
    "ran",
    "running",
    "waiting",
    "coming",
    "none",
    "disabled",
    "paused",
    "overlap",
    "misfire",
    "missed",
    "error",
    "finished",
    "unled",
    "lost",
    "unknown",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Answer:
    """What happened at a time of a schedule, and why.

    `verdict` is one of these words:

    - `ran`, `running`, `waiting`: its job has ended, has started, or waits in its queue; see `run`.
    - `coming`: it is still to be enqueued.
    - `none`: no run was due then.
    - `disabled`, `finished`: the schedule was disabled, or nothing was left to run.
    - `paused`: everything, or its queue, is or was paused.
    - `overlap`: it was skipped, because an earlier run had not ended.
    - `misfire`: it was skipped, because it was later than `misfire_grace`.
    - `missed`: a later run stands for it, or it was not caught up.
    - `error`: it could not be enqueued.
    - `unled`: no scheduler was leading then.
    - `lost`: it should have run, and there is no trace of it.
    - `unknown`: the time is before what is on record.
    """

    schedule_id: str
    time: datetime
    """The nominal time that the answer is about, in UTC; of `none` the time that was asked for."""
    verdict: Verdict
    sentence: str
    """The verdict in plain English, with times, numbers and people; times are in the time zone of
    the schedule."""
    run: Run | None = None
    """The run of that time, or the one that stands for it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the sentence names, as JSON values; times as ISO 8601 text in UTC."""
