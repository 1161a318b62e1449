"""What is told of the schedules that are moved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from ...core.files.fields import described
from ...core.files.importing import UNCHANGED, UPDATED
from ...core.quoting import LONGEST_MESSAGE, cut
from ...core.schedule.record import Record
from ...core.timing.cron_times import utc_text
from ...migrating.comparing import Comparison, our_times
from ...migrating.found import Note
from ...migrating.moving import Move, now
from ...terminal import one_line
from ..story.changes import field_line

MOST_SHOWN = 3
"""Times that are shown of those that differ."""


def failed(move: Move) -> bool:
    """Whether it is not here now as it is there."""
    return move.step is None or move.is_kept or bool(move.step.error)


# As text


def to_text(name: str, moves: Sequence[Move], *, write: bool) -> str:
    """A line for each schedule, and below it what else there is to tell."""
    lines = [line for move in moves for line in _lines(move, write=write)]
    return "\n".join([*map(one_line, lines), _summary(name, moves, write=write)])


def _lines(move: Move, *, write: bool) -> Iterator[str]:
    found, job = move.found, move.job
    called = "" if found.name == found.id else f" (there: {found.name})"
    yield f"{found.id}{called}  {_outcome_text(move, write=write)}"
    if job is not None:
        yield f"    {_when(job)}, queue {job.queue_name}: {job.func_name}"
    for field, (before, after) in sorted((move.step.changes if move.step else {}).items()):
        yield "    " + field_line(field, before, after)
    for note in move.notes:
        yield f"    {_note_text(note)}"
    if move.comparison is not None:
        yield f"    {_comparison_text(move.comparison)}"
        for change in move.clock_changes:
            yield f"    when the clocks change on {change.at:%F}: {_difference_text(change.times)}"
    elif job is not None:
        yield f"    next times: {_some(our_times(job, now(), MOST_SHOWN))}"


def _when(job: Record) -> str:
    if job.start_at is not None and job.max_runs == 1:
        return f"once, at {_some([job.start_at])}"
    return job.schedule


def _outcome_text(move: Move, *, write: bool) -> str:
    if move.step is None:
        return "cannot be carried over:"
    if move.step.error:
        return f"not {move.step.outcome}: {cut(move.step.error, LONGEST_MESSAGE)}"
    if move.is_kept:
        return "exists here with another definition: change it with --replace"
    would = "" if write or move.step.outcome == UNCHANGED else "would be "
    return f"{would}{move.step.outcome}"


def _note_text(note: Note) -> str:
    return cut(note.text, LONGEST_MESSAGE) + (f"; {note.remedy}" if note.remedy else "")


def _comparison_text(comparison: Comparison) -> str:
    if comparison.error:
        return f"its next times there cannot be computed: {comparison.error}"
    count = max(len(comparison.here), len(comparison.there))
    if comparison.is_same:
        return f"next {_times(count)}: the same there and here"
    verb = "differs" if count == 1 else "differ"
    return f"next {_times(count)} {verb}: {_difference_text(comparison)}"


def _times(count: int) -> str:
    return "time" if count == 1 else f"{count} times"


def _difference_text(comparison: Comparison) -> str:
    parts = [
        f"only {where} {_some(times)}"
        for where, times in (("there", comparison.only_there), ("here", comparison.only_here))
        if times
    ]
    return "; ".join(parts)


def _some(times: Sequence[datetime]) -> str:
    more = len(times) - MOST_SHOWN
    shown = ", ".join(f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in times[:MOST_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def _summary(name: str, moves: Sequence[Move], *, write: bool) -> str:
    if not moves:
        return f"No schedules of {name} were found"
    outcomes = [_outcome(move) for move in moves]
    counts = ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes))
    told = f"{len(moves)} found: {counts}"
    return told if write else f"{told}. Nothing was written; --write does it"


def _outcome(move: Move) -> str:
    if move.step is None or move.step.error:
        return "refused"
    return "differs" if move.is_kept else move.step.outcome


# As JSON


def to_json(name: str, moves: Sequence[Move], *, write: bool) -> str:
    """One object, on one line."""
    facts = [_facts(move, write=write) for move in moves]
    return json.dumps({"source": name, "written": write, "schedules": facts})


def _facts(move: Move, *, write: bool) -> dict[str, Any]:
    step, outcome = move.step, _outcome(move)
    error = step.error if step else (move.notes[-1].text if move.notes else "")
    return {
        "name": move.found.name,
        "id": move.found.id,
        "outcome": outcome,
        "done": write and outcome in ("created", UPDATED),
        "error": error or None,
        "definition": described(move.job) if move.job else None,
        "changes": {field: list(both) for field, both in step.changes.items()} if step else {},
        "notes": [{"text": note.text, "remedy": note.remedy} for note in move.notes],
        "times": _times_facts(move.comparison),
        "clock_changes": [
            {"at": utc_text(change.at), **(_times_facts(change.times) or {})}
            for change in move.clock_changes
        ],
    }


def _times_facts(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None or comparison.error:
        return None
    return {
        "there": [utc_text(time) for time in comparison.there],
        "here": [utc_text(time) for time in comparison.here],
        "same": comparison.is_same,
    }
