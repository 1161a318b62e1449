"""What was read of a schedule before something was decided on it."""

from __future__ import annotations

from typing import Any

from .job import RedisCronJob
from .reading import Absent, Damaged, Fields
from .scripts import GUARDED_FIELDS
from .tombstones import Tombstone

Expectation = dict[str, Any]
"""What was read of a schedule, for the script that writes to compare."""


def expectation(
    found: RedisCronJob | Damaged | Absent, fields: Fields, tombstone: Tombstone | None
) -> Expectation:
    """What was read, for the script to compare: what changed meanwhile is not written over."""
    kind = "hash" if fields else "none" if isinstance(found, Absent) else "other"
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
