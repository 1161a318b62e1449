"""Changes of a schedule in Django's log, with old and new values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib.admin.models import LogEntry
from django.utils.translation import override

from ..core.job import RedisCronJob
from ..core.schedule.codec import EDITABLE_FIELDS
from .labels import label, shown


def definition(job: RedisCronJob) -> dict[str, str]:
    """All that people may change, as texts."""
    return {**job.definition(), "enabled": str(int(job.enabled))}


def changed_fields(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The fields that differ between two definitions, in the order of people's interest."""
    return [name for name in EDITABLE_FIELDS if before.get(name, "") != after.get(name, "")]


def change_message(before: Mapping[str, str], after: Mapping[str, str]) -> list[dict[str, Any]]:
    """What `log_change` takes: each changed field with its old and its new value."""
    names = changed_fields(before, after)
    if not names:
        return []
    with override(None):  # the log is translated when it is read
        fields = [_change(name, before, after) for name in names]
    return [{"changed": {"fields": fields, "names": names}}]


def names_field(entry: LogEntry, name: str) -> bool:
    """Whether an entry of the log says that this field was changed."""
    try:
        parts = json.loads(entry.change_message)
        return any(name in part.get("changed", {}).get("names", ()) for part in parts)
    except (ValueError, AttributeError, TypeError):  # an entry of somebody else's
        return False


def _change(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    old, new = (shown(name, each.get(name, "")) for each in (before, after))
    return f"{label(name)}: {old} → {new}"
