"""The log of changes: who changed which field of a schedule, and what it was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from ..schedule.texts import load_object, parse_time
from ..store.connections import bytes_client
from ..store.keys import CHANGES_KEPT, changes_key
from ..store.scripts import LARGEST_LOG

Definition = dict[str, str]
"""Fields of a hash without those that have their defaults; `enabled` is always among them.
Empty if there is no schedule."""

CREATED, DELETED = "created", "deleted"


@dataclass(frozen=True)
class LoggedChange:
    """A change of a schedule's definition.

    `at`: when it was made, or noticed if it was made outside; an aware datetime in UTC. `actor`:
    who made it. `what`: `created`, `updated`, `enabled`, `disabled`, `deleted`, `reset` (to what
    the code declares), `reverted` (to an earlier revision), `synced` (by what the code declares) or
    `outside` (by a program that keeps no log). `revision`: the schedule's revision since then.
    `fields`: field of the hash -> its text before and after; None where it had or has its default.
    Of a schedule that was created they are left out. `until`: when a schedule that was disabled
    here is to be enabled, if it is; `disabled` without `fields` says so anew.
    """

    at: datetime
    actor: str
    what: str
    revision: int
    reason: str = ""
    fields: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    until: datetime | None = None

    @classmethod
    def from_text(cls, text: bytes) -> LoggedChange | None:
        """The entry that a script made; None for anything else."""
        facts = load_object(text.decode(errors="replace")) or {}
        fields = facts.get("fields", {})
        try:
            return cls(
                parse_time(facts["at"]),
                str(facts["by"]),
                str(facts["what"]),
                int(facts["revision"]),
                str(facts.get("reason", "")),
                {name: (_text(old), _text(new)) for name, (old, new) in fields.items()},
                parse_time(facts["until"]) if "until" in facts else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return None

    def undone(self, definition: Definition) -> Definition:
        """The definition before this change, given the one after it."""
        if self.what == CREATED:
            return {}
        before: dict[str, Any] = {**definition, **{n: old for n, (old, _) in self.fields.items()}}
        return {name: text for name, text in before.items() if text is not None}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


class ChangeLog(NamedTuple):
    """All that is on record of one schedule."""

    known: Definition | None
    """Its definition after the newest change; None if nothing is on record."""
    changes: list[LoggedChange]
    """Newest first."""
    is_trimmed: bool = False
    """Whether older changes were removed, because there were too many or they were too large."""


def read_log(id: str, connection: Redis) -> ChangeLog:
    """What is on record of a schedule, also of a deleted one. Invalid entries are left out."""
    try:
        texts: Any = bytes_client(connection).lrange(changes_key(id), 0, -1)
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        texts = []  # the next change replaces it
    if not texts:
        return ChangeLog(None, [])
    first, *others = texts
    is_trimmed = any(len(others) - place >= _room(text) for place, text in enumerate(others))
    stored = load_object(first.decode(errors="replace"))
    known = None if stored is None else {n: t for n, t in stored.items() if isinstance(t, str)}
    found = (LoggedChange.from_text(text) for text in others)
    return ChangeLog(known, [change for change in found if change is not None], is_trimmed)


def _room(newest: bytes) -> int:
    """How many changes the script leaves in a log when it enters this one."""
    return max(1, min(CHANGES_KEPT, LARGEST_LOG // (len(newest) + 1)))


def read_changes(id: str, connection: Redis) -> list[LoggedChange]:
    """The newest changes of a schedule, newest first: at most 100, for a year after the last one.

    Those of a deleted schedule as well, and of an earlier one of the same id.
    """
    return read_log(id, connection).changes


def definition_of(log: ChangeLog, revision: int) -> Definition | None:
    """The definition as this revision left it; None if that is not on record.

    A schedule that was created again counts its revisions anew: the newest one is meant. Not every
    revision is a change of the definition.
    """
    definition, newer = log.known or {}, None
    for change in log.changes:
        is_between = newer is not None and change.revision < revision < newer
        if change.revision == revision or is_between:
            return definition
        definition = change.undone(definition)
        newer = None if change.what == CREATED else change.revision
    return definition if newer is not None and revision == newer - 1 else None
