"""Schedules that somebody deleted while code declares them: they stay deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from redis import Redis

from ..schedule.origin import CODE, Origin
from ..schedule.texts import load_object
from ..store.connections import bytes_client
from ..store.keys import DELETED
from ..store.scripts import Script, run_script

REPLACE_TOMBSTONES = Script("replace_tombstones")


@dataclass(frozen=True)
class Tombstone:
    """The last declaration of a schedule that was deleted by hand."""

    id: str
    origin: Origin
    text: str
    """As it is stored."""

    @classmethod
    def of(cls, id: str, text: str) -> Tombstone:
        """Also made of a text that cannot be read: the schedule stays deleted."""
        told = load_object(text) or {}
        facts = {str(name): value for name, value in told.items() if isinstance(value, str)}
        return cls(id, Origin.of({**facts, "source": CODE}) or Origin("", "", ""), text)

    @property
    def application(self) -> str:
        return self.origin.application

    @property
    def place(self) -> str:
        return self.origin.place

    @property
    def declared(self) -> dict[str, str] | None:
        """The definition as last declared."""
        return self.origin.declared


def read_tombstones(connection: Redis) -> dict[str, Tombstone]:
    """By id. There are few: only declared schedules that were deleted by hand."""
    found = cast("Mapping[bytes, bytes]", bytes_client(connection).hgetall(DELETED))
    stones = {}
    for id, text in found.items():
        name = id.decode(errors="backslashreplace")
        stones[name] = Tombstone.of(name, text.decode(errors="replace"))
    return dict(sorted(stones.items()))


def tombstone_text(origin: Origin) -> str:
    """What Redis keeps of a deleted schedule."""
    return json.dumps(
        {
            "source": CODE,
            "application": origin.application,
            "place": origin.place,
            "declared": origin.declared_text,
        }
    )


def replace_tombstones(replacements: Mapping[Tombstone, str], connection: Redis) -> None:
    """Replace the texts of tombstones, or with an empty text drop them, unless they changed."""
    arguments = [
        part for stone, text in replacements.items() for part in (stone.id, stone.text, text)
    ]
    if arguments:
        run_script(connection, REPLACE_TOMBSTONES, [DELETED], arguments)
