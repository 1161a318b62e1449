"""Where a schedule comes from: it is declared in code, or was created at run time.

The hash of a declared schedule also holds the last declared values. A field that differs from them
is an override, whichever program wrote it; setting it back ends the override.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from ..quoting import LONGEST, cut
from ..sensitive import mask_changes
from . import codec
from .texts import load_object, parse_time

CODE, RUNTIME = "code", "runtime"

ONE_UNIT = ("interval", "cron")
"""These exclude each other, so they are overridden and declared together."""

Differences = dict[str, tuple[str, str]]
"""Field of the definition -> its text in the hash, and the text that the code declares."""

DEFAULTS = {**dict.fromkeys(codec.EDITABLE_FIELDS, ""), **codec.LEFT_OUT, "enabled": "1"}
"""The texts of the fields of a definition if they are left out."""

_quoted = json.encoder.encode_basestring_ascii
_NAMES = {name: f"{_quoted(name)}:" for name in DEFAULTS}


@dataclass(frozen=True)
class Origin:
    """The fields of a hash about the code that declares the schedule."""

    application: str
    place: str
    declared_text: str
    locked: bool = False
    orphaned_at_text: str = ""

    @classmethod
    def of(cls, data: Mapping[str, str]) -> Origin | None:
        """The origin in a hash; None for a schedule that was created at run time."""
        if data.get("source") != CODE:
            return None
        return cls(
            data.get("application", ""),
            data.get("place", ""),
            data.get("declared", ""),
            data.get("locked") == "1",
            data.get("orphaned_at", ""),
        )

    def fields(self) -> dict[str, str]:
        """The fields as stored; a field that is left out has its default."""
        fields = {
            "source": CODE,
            "application": self.application,
            "place": self.place,
            "declared": self.declared_text,
            "locked": "1" if self.locked else "",
            "orphaned_at": self.orphaned_at_text,
        }
        return {name: text for name, text in fields.items() if text}

    @cached_property
    def declared(self) -> dict[str, str] | None:
        """The definition as last declared, without defaults; None if it cannot be read."""
        return load_declared(self.declared_text)

    @cached_property
    def orphaned_at(self) -> datetime | None:
        """When it was found that the code no longer declares it."""
        try:
            return parse_time(self.orphaned_at_text) if self.orphaned_at_text else None
        except ValueError:
            return datetime.fromtimestamp(0).astimezone()  # not a time: still an orphan


def dump_declared(definition: Mapping[str, str]) -> str:
    """A definition without defaults as the field `declared`: equal definitions, equal texts."""
    # json.dumps takes five times as long here.
    told = [_NAMES[name] + _quoted(text) for name, text in sorted(definition.items())]
    return "{" + ",".join(told) + "}"


def load_declared(text: str) -> dict[str, str] | None:
    """The content of the field `declared`; None for anything that we would not have written."""
    declared = load_object(text)
    if declared is None:
        return None
    return declared if all(isinstance(each, str) for each in declared.values()) else None


def without_defaults(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of a definition that do not have their defaults."""
    return {name: text for name, text in fields.items() if text != DEFAULTS[name]}


def agree(stored: Mapping[str, str], declared: Mapping[str, str]) -> bool:
    """Whether a hash of ours is as declared; may be False for another form of the same values."""
    return {**stored, "enabled": ""} == {**declared, "enabled": ""}


def differences(actual: Mapping[str, str], declared: Mapping[str, str]) -> Differences:
    """The fields in which a definition differs from the code, except `enabled`."""
    ours, codes = {**DEFAULTS, **actual}, {**DEFAULTS, **declared}
    return {
        name: (ours[name], codes[name])
        for name in DEFAULTS
        if ours[name] != codes[name] and name != "enabled"
    }


def describe(overrides: Differences) -> str:
    """For people: `overridden: interval 900 (code: 600)`; long values are cut, sensitive masked."""
    each = (
        f"{name} {cut(ours, LONGEST) or 'none'} (code: {cut(code, LONGEST) or 'none'})"
        for name, (ours, code) in mask_changes(overrides).items()
    )
    return f"overridden: {', '.join(each)}"
