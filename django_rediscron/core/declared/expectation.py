"""What was read of a schedule before something was decided on it."""

from __future__ import annotations

from typing import Any

from ..store.reading import Fields
from ..store.scripts import GUARDED_FIELDS
from .tombstones import Tombstone

Expectation = dict[str, Any]
"""What was read of a schedule, for the script that writes to compare."""


def expectation(
    fields: Fields, tombstone: Tombstone | None, *, absent: bool = False
) -> Expectation:
    """What was read, for the script to compare: what changed meanwhile is not written over.

    `fields` are those of the hash; there are none where nothing (`absent`) or no hash stands there.
    """
    kind = "hash" if fields else "none" if absent else "other"
    return {
        "kind": kind,
        "fields": {name: _sendable(fields[name]) for name in GUARDED_FIELDS if name in fields},
        "deleted": tombstone.text if tombstone else "",
    }


def _sendable(text: str) -> str | bool:
    """The text, or True for any: what is no UTF-8 cannot be sent, is damaged, and to be healed."""
    try:
        text.encode()
    except UnicodeError:
        return True
    return text
