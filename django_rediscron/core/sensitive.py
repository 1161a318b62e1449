"""Sensitive keyword arguments, which are shown as `********` wherever schedules are shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

MASK = "********"

SENSITIVE = ("API", "AUTH", "TOKEN", "KEY", "SECRET", "PASS", "SIGNATURE", "HTTP_COOKIE")
"""What Django's debug page hides, too: arguments that have one of these in their names."""


def use_sensitive_names(names: Callable[[], Iterable[str]]) -> None:
    """Hide arguments by what `names()` returns. The Django app installs its setting."""
    global _names  # noqa: PLW0603 - one setting of the process
    _names = names


def _names() -> Iterable[str]:
    return SENSITIVE


def mask(value: Any) -> Any:
    """The same value, with `MASK` for that of each sensitive key in it, however deep.

    A key is sensitive if one of the names occurs in it, in upper or lower case.
    """
    parts = [re.escape(name) for name in _names() if name]
    return _mask(value, re.compile("|".join(parts), re.IGNORECASE)) if parts else value


def is_sensitive(name: str) -> bool:
    """Whether the value of a keyword argument with this name is masked."""
    return bool(mask({name: None})[name] == MASK)


def mask_json(text: str, kind: type) -> str:
    """The same for JSON of this type; `MASK` for anything else."""
    try:
        found = json.loads(text)
        return json.dumps(mask(found), ensure_ascii=False) if isinstance(found, kind) else MASK
    except (ValueError, RecursionError):
        return MASK


def _mask(value: Any, sensitive: re.Pattern[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: MASK if sensitive.search(str(key)) else _mask(each, sensitive)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_mask(each, sensitive) for each in value]
    return value


def mask_field(name: str, text: str) -> str:
    """The value of a hash field as it may be shown."""
    kind = _MASKED.get(name.removeprefix("declared "))
    return mask_json(text, kind) if text and kind else text


_MASKED = {"kwargs": dict, "webhooks": list}
"""Fields of a hash with sensitive keys, and what their JSON is: webhooks may have such headers."""


def mask_changes(changes: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Fields of a hash with their values before and after, as they may be shown."""
    return {name: (mask_field(name, a), mask_field(name, b)) for name, (a, b) in changes.items()}


def unmask(value: Any, stored: Any) -> Any:
    """The value that somebody edited who saw `mask(stored)`: masks become what is stored there.

    Raises ValueError, with the key, for a mask that stands where nothing is stored.
    """
    return _unmask(value, mask(stored), stored, "")


def _unmask(value: Any, shown: Any, stored: Any, key: str) -> Any:
    if value == MASK:
        if shown == MASK:
            return stored
        raise ValueError(key)
    if isinstance(value, dict):
        shown, stored = (each if isinstance(each, dict) else {} for each in (shown, stored))
        return {
            name: _unmask(each, shown.get(name), stored.get(name), name)
            for name, each in value.items()
        }
    if isinstance(value, list):
        shown, stored = (each if isinstance(each, list) else [] for each in (shown, stored))
        return [
            _unmask(each, _item(shown, place), _item(stored, place), key)
            for place, each in enumerate(value)
        ]
    return value


def _item(known: list[Any], place: int) -> Any:
    return known[place] if place < len(known) else None
