"""Values of subclasses, such as members of an `Enum`, as plain texts or numbers.

`str()` of such a member is its name, which would be written to Redis otherwise.
"""

from __future__ import annotations

import operator
from datetime import datetime
from numbers import Real
from typing import Any

PLAIN = frozenset((type(None), bool, int, float, str, datetime, list, tuple, dict))
"""Types whose values `plain` returns as they are."""


def plain(value: Any) -> Any:
    """A subclass of text, number or datetime as its base; any other value as it is.

    A number of another kind, such as numpy's, becomes Python's own. What lists and dicts hold is
    left alone.
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, datetime):
        parts = value.timetuple()[:6]
        return datetime(*parts, value.microsecond, value.tzinfo, fold=value.fold)
    if hasattr(type(value), "__index__"):
        return operator.index(value)
    return float(value) if isinstance(value, Real) else value
