"""The JSON Schema of files with schedules."""

from __future__ import annotations

from typing import Any

from .fields import FIELDS, NEEDED, TIMING

VERSION = 1


def schema() -> dict[str, Any]:
    """Every file that is accepted meets it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Schedules of django-rediscron",
        "type": "object",
        "properties": {
            "version": {"const": VERSION},
            "name": {"type": "string", "minLength": 1},
            "schedules": {
                "type": "object",
                "propertyNames": {"minLength": 1, "maxLength": 255},
                "additionalProperties": {"$ref": "#/$defs/schedule"},
            },
        },
        "required": ["version", "schedules"],
        "additionalProperties": False,
        "$defs": {
            "schedule": {
                "type": "object",
                "properties": {name: _property(name) for name in FIELDS},
                "required": list(NEEDED),
                "oneOf": [{"required": [name]} for name in TIMING],
                "additionalProperties": False,
            }
        },
    }


def _property(name: str) -> dict[str, Any]:
    field = FIELDS[name]
    found = dict(field.form.schema)
    if field.default is not None:
        found["default"] = field.form.plain(field.default)
    return found
