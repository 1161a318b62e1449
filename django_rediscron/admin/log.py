"""Django's log of a schedule: changes with old and new values, and who made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.db.models import QuerySet
from django.utils.translation import override

from ..core.job import RedisCronJob
from ..core.schedule.codec import EDITABLE_FIELDS
from ..models import Schedule
from .display import display_value, label


def definition(job: RedisCronJob) -> dict[str, str]:
    """All fields that people may change, as texts."""
    return {**job.definition(), "enabled": str(int(job.enabled))}


def changed_fields(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The fields that differ between two definitions, the most important ones first."""
    return [name for name in EDITABLE_FIELDS if before.get(name, "") != after.get(name, "")]


def change_message(before: Mapping[str, str], after: Mapping[str, str]) -> list[dict[str, Any]]:
    """The message for `log_change`: each changed field with its old and its new value."""
    names = changed_fields(before, after)
    if not names:
        return []
    with override(None):  # the log is translated when it is read
        fields = [_change(name, before, after) for name in names]
    return [{"changed": {"fields": fields, "names": names}}]


def entries(id: str) -> QuerySet[LogEntry]:
    """The log of a schedule, newest first."""
    found: QuerySet[LogEntry] = LogEntry.objects.filter(
        content_type=get_content_type_for_model(Schedule), object_id=id
    ).select_related("user")
    return found


def names_field(entry: LogEntry, name: str) -> bool:
    """Whether a log entry says that this field was changed."""
    try:
        parts = json.loads(entry.change_message)
        return any(name in part.get("changed", {}).get("names", ()) for part in parts)
    except (ValueError, AttributeError, TypeError):  # not written by this package
        return False


def _change(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    old, new = (display_value(name, each.get(name, "")) for each in (before, after))
    return f"{label(name)}: {old} → {new}"
