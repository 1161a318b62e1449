"""How far each receiver has been told: the scripts by which a leader reads and notes that."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from ..schedule.texts import lossy_text
from ..store.keys import DROPPED, LOCK, TOLD_SUFFIX
from ..store.scripts import Script, run_script
from .notification import Entry

REGISTER_RECEIVERS = Script("register_receivers", TOLD_SUFFIX=TOLD_SUFFIX)
TAKE_NOTIFICATIONS = Script("take_notifications", TOLD_SUFFIX=TOLD_SUFFIX)
NOTE_TOLD = Script("note_told", TOLD_SUFFIX=TOLD_SUFFIX, DROPPED=DROPPED)

FORGOTTEN_AFTER = 7 * 86400
"""Seconds after which a receiver is forgotten that no leader has had: a deployment that is rolled
back, or a leader of another project, must not make it miss anything."""


@dataclass(frozen=True)
class Position:
    """How far a receiver has been told: id and number of the last entry, as `ID NUMBER`."""

    id: str
    number: int

    @classmethod
    def from_text(cls, text: str) -> Position:
        id, number = text.split(" ")
        return cls(id, int(number))

    def after(self, entry: Entry) -> Position:
        """That of a receiver which has been told this one, too."""
        return Position(entry.id, max(entry.number, self.number))

    def lost(self, count: int) -> Position:
        """The same, as if so many entries behind it had been told, which are gone."""
        return Position(self.id, self.number + count)

    def __str__(self) -> str:
        return f"{self.id} {self.number}"


@dataclass(frozen=True)
class Taken:
    """What a receiver has not been told yet."""

    position: Position
    entries: Sequence[Entry]
    lost: int
    """How many entries before these are gone from the stream."""


def register(connection: Redis, token: str, stream: str, names: Sequence[str]) -> None:
    """Note whom the leader tells what is entered in a stream; it may be nobody."""
    arguments = [token, stream, time.time(), FORGOTTEN_AFTER, *names]
    run_script(connection, REGISTER_RECEIVERS, [LOCK], arguments)


def take(connection: Redis, token: str, stream: str, name: str, count: int) -> Taken | None:
    """The next entries for a receiver; None if the token does not hold the lock."""
    arguments = [token, stream, name, count, time.time()]
    reply = run_script(connection, TAKE_NOTIFICATIONS, [LOCK], arguments)
    if reply is None:
        return None
    position, latest, found = reply
    begin = Position.from_text(lossy_text(position))
    entries = [Entry.from_reply(each) for each in found]
    behind = entries[0].number - 1 if entries else int(latest)
    return Taken(begin, entries, max(0, behind - begin.number))


def note(
    connection: Redis,
    token: str,
    stream: str,
    name: str,
    before: Position,
    after: Position,
    dropped: int = 0,
) -> bool:
    """Move a receiver's position on. False if the token does not hold the lock.

    `dropped`: how many it was not told, and never will be.
    """
    places = (str(before), str(after), time.time(), dropped)
    arguments = [token, stream, name, *places]
    return run_script(connection, NOTE_TOLD, [LOCK], arguments) is not None
