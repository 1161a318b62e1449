"""Values in messages: on one line, and short however large they are."""

from __future__ import annotations

import reprlib
from collections.abc import Set
from itertools import islice
from typing import Any

LONGEST = 100
"""Characters of a value that are quoted."""

LONGEST_ID = 255
"""Characters that an id may have."""

LONGEST_MESSAGE = 500
"""Characters of the text of other programs' errors."""

_DEEPEST = 4
_MOST = 12


def quoted(value: object, longest: int = LONGEST) -> str:
    """`repr` of the value, cut if it is long. Never raises, and is fast for large values."""
    try:
        if type(value) is str:
            text = repr(value[:longest])
            text += f"... ({len(value)} characters)" if len(value) > longest else ""
        else:
            text = " ".join(_Short(longest).repr(value).split("\n"))
    except Exception:
        return f"an object of type {type(value).__name__[:longest]}"
    return text if len(text) <= 2 * longest else f"{text[:longest]}..."


def quoted_id(id: object) -> str:
    """The same, but valid ids are not cut, so that one can find the schedule."""
    return quoted(id, LONGEST_ID)


def cut(reason: object, longest: int = LONGEST_MESSAGE) -> str:
    """A text from elsewhere, such as that of an error; only its beginning if it is long."""
    text = str(reason)
    return text if len(text) <= longest else f"{text[:longest]}..."


def flat(text: object) -> str:
    """The text on one line, with blanks for what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text)).strip()


class _Short(reprlib.Repr):
    """`repr` that looks only at the beginning of large values."""

    def __init__(self, longest: int) -> None:
        super().__init__()
        self.maxlevel = _DEEPEST
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = _MOST
        self.maxstring = self.maxlong = self.maxother = longest

    # The inherited ones sort the whole.

    def repr_dict(self, value: dict[Any, Any], level: int) -> str:
        if level <= 0:
            return "{...}"
        first = islice(value.items(), self.maxdict)
        items = [f"{self.repr1(k, level - 1)}: {self.repr1(v, level - 1)}" for k, v in first]
        return f"{{{', '.join(items + ['...'] * (len(value) > self.maxdict))}}}"

    def repr_set(self, value: Set[Any], level: int) -> str:
        items = self.repr1([*islice(value, self.maxset + 1)], level)[1:-1]
        return f"{{{items}}}" if value else "set()"

    def repr_frozenset(self, value: frozenset[Any], level: int) -> str:
        return f"frozenset({self.repr_set(value, level)})"
