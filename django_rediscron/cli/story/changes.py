"""`rqrcron changes`: who changed what of a schedule."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import click
from redis import Redis

from ...core.quoting import LONGEST, cut
from ...core.schedule.origin import DEFAULTS
from ...core.sensitive import mask_field
from ...core.story.changes import LoggedChange, read_changes
from ...core.story.reverting import revert as restore
from ...terminal import fitted, one_line, with_progress
from ..completion import complete_id
from ..options import json_option, limit_option, since_option, time_fact
from ..selection import Selection, check_id, selecting
from ..verb import Verb, tell_server
from .history import short_time
from .pause_log import Switch, read_switches

SWITCHED = {"enabled", "disabled"}
"""Changes whose name says what happened to the field `enabled`."""


MANY = 10_000
"""Changes that are in memory at once, about."""


class Entry(NamedTuple):
    """A change of a schedule."""

    schedule_id: str
    change: LoggedChange

    @property
    def at(self) -> datetime:
        """When it was made."""
        return self.change.at


@click.command(cls=Verb)
@selecting(deleted=True)
@limit_option("changes")
@since_option
@json_option
def changes(
    connection: Redis, selection: Selection, limit: int, since: datetime | None, as_json: bool
) -> None:
    """Show who changed what of schedules, newest first.

    An ID may be a pattern such as 'billing:*'. Without one, the changes of all schedules are shown,
    and who paused and resumed them. Deleted ones are shown by id, and with --deleted also by
    pattern and among all.

    The latest 100 changes of a schedule are on record, until a year after it was deleted. For
    each there is a line with the time (UTC), the id if there are several, the revision, what was
    done ("created", "updated", "enabled", "disabled", "deleted", "reset", "reverted", "synced", or
    "outside" for a change by a program that keeps no log), by whom and why; below it the value of
    each field before and after. Values of sensitive keyword arguments are shown as ********.

    With --json, "id" is the ID if one was given, else null; "changes" holds an object for each
    change with id, revision, at, actor, action, reason, until (when a schedule that was disabled
    then is to be enabled, or null) and fields, whose values are lists of two: the text in Redis
    before and after, or null where the field had or has its default. What was "paused" or "resumed"
    has no id, and queue (null: all queues) in the place of revision and fields.

    Exit status: 0; 1 when Redis cannot be used, or nothing is on record of an ID; 2 for wrong
    usage; 130 after Ctrl-C.
    """
    ids = selection.ids(connection)
    only = selection.only_id(ids)
    found: list[Entry | Switch] = [*read_entries(ids, connection, limit, since)]
    if not selection:
        switches = read_switches(connection)
        found += (each for each in switches if since is None or each.at >= since)
        found = sorted(found, key=lambda each: each.at, reverse=True)[:limit]
    if as_json:
        facts = [_facts(each) for each in found]
        click.echo(json.dumps({"id": only, "changes": facts}))
        return
    for each in found:
        if isinstance(each, Switch):
            click.echo(each.line)
            continue
        for line in lines([each.change], "" if only else f"{one_line(each.schedule_id)}  "):
            click.echo(line)
    if not found:
        click.echo("No changes on record")
        tell_server()


def _facts(each: Entry | Switch) -> dict[str, Any]:
    return each.facts if isinstance(each, Switch) else change_facts(*each)


def read_entries(
    ids: Sequence[str], connection: Redis, limit: int, since: datetime | None = None
) -> list[Entry]:
    """The newest `limit` changes of these schedules, newest first."""
    found: list[Entry] = []
    for id in with_progress(ids, len(ids)):
        newest = read_changes(id, connection)[:limit]
        found += (Entry(id, change) for change in newest if since is None or change.at >= since)
        if len(found) > MANY:
            found = _newest(found, limit)
    return _newest(found, limit)


def _newest(entries: Sequence[Entry], limit: int) -> list[Entry]:
    # Those of one schedule stay in their order, also if two are of the same moment.
    return sorted(entries, key=lambda entry: entry.change.at, reverse=True)[:limit]


@click.command(cls=Verb)
@click.argument("id", shell_complete=complete_id)
@click.argument("revision", type=int)
@json_option
def revert(connection: Redis, id: str, revision: int, as_json: bool) -> None:
    """Restore the definition that a schedule had at an earlier revision.

    REVISION is one that changes lists, or the one before the oldest. The whole definition of then
    is written as a new change, which is printed; the times of runs stay, and the next one follows
    from the definition. A deleted schedule is created again.

    With --json, "id" is the ID, "revision" the REVISION, "changed" true or false, and "change" the
    new change as in changes, or null.

    Exit status: 0, also if the schedule is defined like that already; 1 when Redis cannot be used,
    nothing is on record of the ID or the REVISION, the schedule is locked by code, was changed at
    the same moment, or could not run; 2 for wrong usage; 130 after Ctrl-C.
    """
    check_id(id, connection)
    before = read_changes(id, connection)
    restore(id, revision, connection)
    after = read_changes(id, connection)
    change = after[0] if after[:1] != before[:1] else None
    if as_json:
        facts = {"id": id, "revision": revision, "changed": change is not None}
        click.echo(json.dumps({**facts, "change": change and change_facts(id, change)}))
    elif change is None:
        click.echo(f"Nothing to change: {one_line(id)} is defined as in revision {revision}")
    else:
        for line in lines([change]):
            click.echo(line)


def lines(changes: Sequence[LoggedChange], about: str = "") -> Iterator[str]:
    """What is shown of them; `about`: the id of the schedule and blanks, if there are several."""
    for change in changes:
        done = "changed outside" if change.what == "outside" else f"{change.what} by {change.actor}"
        until = f", until {short_time(change.until)}" if change.until else ""
        reason = f"{until}: {change.reason}" if change.reason else until
        yield fitted(
            f"{short_time(change.at)}  {about}revision {change.revision}  {one_line(done + reason)}"
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


def change_facts(id: str, change: LoggedChange) -> dict[str, Any]:
    """A change in JSON."""
    return {
        "id": id,
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
