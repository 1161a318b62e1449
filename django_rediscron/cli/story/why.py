"""`rqrcron why`: what happened at a time of a schedule, and why."""

from __future__ import annotations

import json
from typing import Any

import click
from redis import Redis

from ...core.exceptions import InvalidScheduleError
from ...core.story.why import Answer
from ...core.story.why import why as find_out
from ...terminal import one_line, with_progress
from ..options import json_option, time_fact
from ..selection import Selection, ids_argument, selecting
from ..verb import Verb, tell_server
from .history import short_time


def _in_tuple(_context: click.Context, _argument: click.Parameter, value: str) -> tuple[str]:
    return (value,)


@click.command(cls=Verb)
@selecting(ids_argument("ID", 1, callback=_in_tuple), deleted=True)
@click.argument("time", nargs=-1, metavar="[TIME]")
@json_option
def why(connection: Redis, selection: Selection, time: tuple[str, ...], as_json: bool) -> None:
    """Say whether schedules ran at a time, and why.

    ID may be a pattern such as 'billing:*', and '*' means all: the answers are told one schedule
    after the other, each line with the id. With options, all of them must be met.

    TIME is in ISO 8601, such as 2026-06-03T05:40, or a time of day, such as 05:40: the latest such
    time. Without an offset it is in the time zone of the schedule. Without TIME, the latest
    occurrence and the next are told.

    The answer is the time (UTC), a word and a sentence, with times in the zone of the schedule.
    The words are "ran", "running", "waiting", "coming", "none" (no run was due then), "disabled",
    "paused", "overlap", "misfire", "missed" (a later run stands for it, or it was not caught up),
    "error" (it could not be enqueued), "finished", "unled" (no scheduler was leading),
    "lost" (it should have run, and left no trace) and "unknown" (before what is on record).

    With --json, "id", "occurrence", "verdict" (the word), "text" (the sentence), "run" (as in
    history, or null) and "facts" (what the sentence names) are those of the first answer; "also"
    holds objects with the same keys for further ones: for the next occurrence, or for the second
    one of a TIME that the clocks repeated. If ID is a pattern, "answers" holds such an object for
    each schedule.

    Exit status: 0, whatever the answer; 1 when Redis cannot be used, or nothing is on record of
    the ID; 2 for wrong usage; 130 after Ctrl-C.
    """
    ids = selection.ids(connection)
    only = selection.only_id(ids)
    moment = " ".join(time) or None
    found = with_progress(((id, _answers(id, moment, connection)) for id in ids), len(ids))
    if as_json:
        facts = [_all_facts(answers) for _, answers in found]
        click.echo(json.dumps({"answers": facts} if only is None else facts[0]))
        return
    told = [
        f"{short_time(answer.time)}  {'' if only else one_line(id) + '  '}"
        f"{answer.verdict}: {one_line(answer.sentence)}"
        for id, answers in found
        for answer in answers
    ]
    click.echo("\n".join(told) or "No schedules match")
    if not told:
        tell_server()


def _answers(id: str, time: str | None, connection: Redis) -> list[Answer]:
    try:
        return find_out(id, time, connection)
    except InvalidScheduleError as error:
        raise click.BadParameter(str(error), param_hint="TIME") from None


def _all_facts(answers: list[Answer]) -> dict[str, Any]:
    first, *others = map(_facts, answers)
    return {**first, "also": others}


def _facts(answer: Answer) -> dict[str, Any]:
    return {
        "id": answer.schedule_id,
        "occurrence": time_fact(answer.time),
        "verdict": answer.verdict,
        "text": answer.sentence,
        "run": answer.run and answer.run.to_json(),
        "facts": dict(answer.facts),
    }
