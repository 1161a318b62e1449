"""`rqrcron changes`: who changed what of a schedule."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from redis import Redis

from ...core.quoting import LONGEST, cut
from ...core.schedule.origin import DEFAULTS
from ...core.sensitive import mask_field
from ...core.story.changes import LoggedChange, read_changes
from ...core.story.reverting import revert as restore
from ...terminal import fitted, one_line
from ..options import json_option, limit_option, since_option, time_fact
from ..selection import check_id
from ..verb import Verb
from .history import short_time

SWITCHED = {"enabled", "disabled"}
"""Changes whose name says what happened to the field `enabled`."""


@click.command(cls=Verb)
@click.argument("id")
@limit_option("changes")
@since_option
@json_option
def changes(connection: Redis, id: str, limit: int, since: datetime | None, as_json: bool) -> None:
    """Show who changed what of a schedule, newest first.

    The latest 100 changes are on record, also of a schedule that was deleted up to a year ago. For
    each there is a line with the time (UTC), the revision, what was done ("created", "updated",
    "enabled", "disabled", "deleted", "reset", "reverted", "synced", or "outside" for a change by a
    program that keeps no log), by whom and why; below it the value of each field before and after.
    Values of sensitive keyword arguments are shown as ********.

    With --json, "id" is the ID, "changes" holds an object for each change with revision, at, actor,
    action, reason, until (when a schedule that was disabled then is to be enabled, or null) and
    fields, whose values are lists of two: the text in Redis before and after, or null where the
    field had or has its default.

    Exit status: 0; 1 when Redis cannot be used, or nothing is on record of the ID; 2 for wrong
    usage; 130 after Ctrl-C.
    """
    check_id(id, connection)
    found = read_changes(id, connection)
    newest = [each for each in found if since is None or each.at >= since][:limit]
    if as_json:
        click.echo(json.dumps({"id": id, "changes": [change_facts(each) for each in newest]}))
    elif newest:
        for line in lines(newest):
            click.echo(line)
    else:
        click.echo("No changes on record")


@click.command(cls=Verb)
@click.argument("id")
@click.argument("revision", type=int)
def revert(connection: Redis, id: str, revision: int) -> None:
    """Restore the definition that a schedule had at an earlier revision.

    REVISION is one that changes lists, or the one before the oldest. The whole definition of then
    is written as a new change, which is printed; the times of runs stay, and the next one follows
    from the definition. A deleted schedule is created again.

    Exit status: 0, also if the schedule is defined like that already; 1 when Redis cannot be used,
    nothing is on record of the ID or the REVISION, the schedule is locked by code, was changed at
    the same moment, or could not run; 2 for wrong usage; 130 after Ctrl-C.
    """
    check_id(id, connection)
    before = read_changes(id, connection)
    restore(id, revision, connection)
    after = read_changes(id, connection)
    if after[:1] == before[:1]:
        click.echo(f"Nothing to change: {one_line(id)} is defined as in revision {revision}")
    else:
        for line in lines(after[:1]):
            click.echo(line)


def lines(changes: Sequence[LoggedChange]) -> Iterator[str]:
    """What is shown of them."""
    for change in changes:
        done = "changed outside" if change.what == "outside" else f"{change.what} by {change.actor}"
        until = f", until {short_time(change.until)}" if change.until else ""
        reason = f"{until}: {change.reason}" if change.reason else until
        yield fitted(
            f"{short_time(change.at)}  revision {change.revision}  {one_line(done + reason)}"
        )
        for name, (old, new) in shown_fields(change).items():
            if not (name == "enabled" and change.what in SWITCHED) and differ(name, old, new):
                yield fitted("    " + field_line(name, old, new))


def differ(name: str, old: str | None, new: str | None) -> bool:
    """False for a default that came or went with its schedule. Two masked values may differ."""
    return None not in (old, new) or _value(name, old) != _value(name, new)


def field_line(name: str, old: str | None, new: str | None) -> str:
    """`interval: 600 -> 900`."""
    return one_line(f"{name}: {_value(name, old)} -> {_value(name, new)}")


def _value(name: str, text: str | None) -> str:
    return cut(DEFAULTS.get(name, "") if text is None else text, LONGEST) or "none"


def change_facts(change: LoggedChange) -> dict[str, Any]:
    """A change in JSON."""
    return {
        "revision": change.revision,
        "at": time_fact(change.at),
        "actor": change.actor,
        "action": change.what,
        "reason": change.reason,
        "until": time_fact(change.until),
        "fields": {name: list(both) for name, both in shown_fields(change).items()},
    }


def shown_fields(change: LoggedChange) -> Mapping[str, tuple[str | None, str | None]]:
    """The values before and after, sensitive ones masked."""
    fields = sorted(change.fields.items())
    return {name: (_masked(name, old), _masked(name, new)) for name, (old, new) in fields}


def _masked(name: str, text: str | None) -> str | None:
    return None if text is None else mask_field(name, text)
