"""What a decision about a schedule was based on."""

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
    """What was read, for the script to compare, so that later changes are not overwritten.

    `fields`: those of the hash, empty if there is nothing (`absent`) or a key of another type.
    """
    kind = "hash" if fields else "none" if absent else "other"
    return {
        "kind": kind,
        "fields": {name: _sendable(fields[name]) for name in GUARDED_FIELDS if name in fields},
        "deleted": tombstone.text if tombstone else "",
    }


def _sendable(text: str) -> str | bool:
    """The text, or True for any: bytes that are not UTF-8 cannot be sent, and are replaced."""
    try:
        text.encode()
    except UnicodeError:
        return True
    return text
