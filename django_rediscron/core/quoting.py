"""Values in messages: on one line, and short however large they are."""

from __future__ import annotations

import reprlib

LONGEST = 100
"""Characters of a value that are quoted."""

_DEEPEST = 4
_MOST = 12


def quoted(value: object, longest: int = LONGEST) -> str:
    """`repr` of the value, cut where it is long. Raises nothing, and takes no time to speak of."""
    try:
        if type(value) is str:
            text = repr(value[:longest])
            text += f"... ({len(value)} characters)" if len(value) > longest else ""
        else:
            text = " ".join(_Short(longest).repr(value).split("\n"))
    except Exception:
        return f"an object of type {type(value).__name__[:longest]}"
    return text if len(text) <= 2 * longest else f"{text[:longest]}..."


class _Short(reprlib.Repr):
    """`repr` that looks at the beginning only of what is large."""

    def __init__(self, longest: int) -> None:
        super().__init__()
        self.maxlevel = _DEEPEST
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = _MOST
        self.maxstring = self.maxlong = self.maxother = longest
