"""`rqrcron why`: what happened at a time of a schedule, and why."""

from __future__ import annotations

import json
from typing import Any

import click
from redis import Redis

from ...core.exceptions import InvalidScheduleError
from ...core.story.why import Answer
from ...core.story.why import why as find_out
from ...terminal import one_line
from ..options import json_option, time_fact
from ..selection import check_id
from ..verb import Verb
from .history import short_time


@click.command(cls=Verb)
@click.argument("id")
@click.argument("time", nargs=-1, metavar="[TIME]")
@json_option
def why(connection: Redis, id: str, time: tuple[str, ...], as_json: bool) -> None:
    """Say whether a schedule ran at a time, and why.

    TIME is in ISO 8601, such as 2026-06-03T05:40, or a time of day, such as 05:40: the latest such
    time. Without an offset it is in the time zone of the schedule. Without TIME, the latest
    occurrence and the next are told.

    The answer is the time (UTC), a word and a sentence, with times in the zone of the schedule.
    The words are "ran", "running", "waiting", "coming", "none" (no run was due then), "disabled",
    "overlap", "misfire", "missed" (a later run stands for it, or it was not caught up), "error" (it
    could not be enqueued), "finished", "unled" (no scheduler was leading), "lost" (it should have
    run, and left no trace) and "unknown" (before what is on record).

    With --json, "id", "occurrence", "verdict" (the word), "text" (the sentence), "run" (as in
    history, or null) and "facts" (what the sentence names) are those of the first answer; "also"
    holds objects with the same keys for further ones: for the next occurrence, or for the second
    one of a TIME that the clocks repeated.

    Exit status: 0, whatever the answer; 1 when Redis cannot be used, or nothing is on record of
    the ID; 2 for wrong usage; 130 after Ctrl-C.
    """
    check_id(id, connection)
    try:
        answers = find_out(id, " ".join(time) or None, connection)
    except InvalidScheduleError as error:
        raise click.BadParameter(str(error), param_hint="TIME") from None
    if as_json:
        first, *others = map(_facts, answers)
        click.echo(json.dumps({**first, "also": others}))
        return
    for answer in answers:
        click.echo(f"{short_time(answer.time)}  {answer.verdict}: {one_line(answer.sentence)}")


def _facts(answer: Answer) -> dict[str, Any]:
    return {
        "id": answer.schedule_id,
        "occurrence": time_fact(answer.time),
        "verdict": answer.verdict,
        "text": answer.sentence,
        "run": answer.run and answer.run.to_json(),
        "facts": dict(answer.facts),
    }
