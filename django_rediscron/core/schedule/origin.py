"""Where a schedule comes from: from code, which declares it, or from whoever made it at run time.

The hash of a declared schedule says what the code said last. What differs from that is an override,
whoever wrote it and with whatever program; setting it back ends the override.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from ..quoting import LONGEST, cut
from . import codec
from .texts import load_object, parse_time

CODE, RUNTIME = "code", "runtime"

ONE_UNIT = ("interval", "cron")
"""Of these one excludes the other, so they are overridden and declared together."""

Differences = dict[str, tuple[str, str]]
"""Field of the definition -> its text in the hash, and the text that the code declares."""

DEFAULTS = {**dict.fromkeys(codec.EDITABLE_FIELDS, ""), **codec.LEFT_OUT, "enabled": "1"}
"""What the fields of a definition say where they are left out."""

_quoted = json.encoder.encode_basestring_ascii
_NAMES = {name: f"{_quoted(name)}:" for name in DEFAULTS}


@dataclass(frozen=True)
class Origin:
    """That a schedule is declared in code, as its hash holds it."""

    application: str
    place: str
    declared_text: str
    locked: bool = False
    orphaned_at_text: str = ""

    @classmethod
    def of(cls, data: Mapping[str, str]) -> Origin | None:
        """What a hash says; None for a schedule that was made at run time."""
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
        """What the hash holds; a field that is left out has its default."""
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
        """The definition as last declared, without defaults; None where it cannot be read."""
        return load_declared(self.declared_text)

    @cached_property
    def orphaned_at(self) -> datetime | None:
        """Since when the code does not declare it any more."""
        try:
            return parse_time(self.orphaned_at_text) if self.orphaned_at_text else None
        except ValueError:
            return datetime.fromtimestamp(0).astimezone()  # somebody's text: an orphan all the same


def dump_declared(definition: Mapping[str, str]) -> str:
    """A definition without defaults as the field `declared` holds it: equal ones, equal texts."""
    # json.dumps takes five times as long for a few texts.
    told = [_NAMES[name] + _quoted(text) for name, text in sorted(definition.items())]
    return "{" + ",".join(told) + "}"


def load_declared(text: str) -> dict[str, str] | None:
    """What the hash field `declared` holds; None where that is not what we wrote."""
    declared = load_object(text)
    if declared is None:
        return None
    return declared if all(isinstance(each, str) for each in declared.values()) else None


def without_defaults(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of a definition that say anything else than their defaults."""
    return {name: text for name, text in fields.items() if text != DEFAULTS[name]}


def agree(stored: Mapping[str, str], declared: Mapping[str, str]) -> bool:
    """Whether a hash of ours says what the code says; False may also be for another form of it."""
    return {**stored, "enabled": ""} == {**declared, "enabled": ""}


def differences(actual: Mapping[str, str], declared: Mapping[str, str]) -> Differences:
    """Where a definition says anything else than the code, but for whether it is enabled."""
    ours, codes = {**DEFAULTS, **actual}, {**DEFAULTS, **declared}
    return {
        name: (ours[name], codes[name])
        for name in DEFAULTS
        if ours[name] != codes[name] and name != "enabled"
    }


def describe(overrides: Differences) -> str:
    """For people: `overridden: interval 900 (code: 600)`; long values are cut."""
    each = (
        f"{name} {cut(ours, LONGEST) or 'none'} (code: {cut(code, LONGEST) or 'none'})"
        for name, (ours, code) in overrides.items()
    )
    return f"overridden: {', '.join(each)}"
