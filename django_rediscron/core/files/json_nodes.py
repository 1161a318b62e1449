"""JSON as nodes: Python's own parser does not tell where a value stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from typing import Any

from ..quoting import quoted
from .nodes import Node, Place, WrongFileError, wrong

_BLANKS = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}
_WORD = re.compile("|".join(_WORDS))


def json_node(text: str) -> Node:
    """The value of a text. Raises `WrongFileError`."""
    parser = _Parser(text)
    node = parser.value()
    if parser.peek():
        raise parser.wrong("nothing may follow behind the value")
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]

    def _place(self, position: int) -> Place:
        line = bisect_right(self._lines, position)
        return Place(line, position - self._lines[line - 1] + 1)

    def wrong(self, text: str) -> WrongFileError:
        return wrong(text, self._place(self._at))

    def peek(self) -> str:
        """The next character that is no blank, "" at the end."""
        found = _BLANKS.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> bool:
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def value(self) -> Node:
        first, place = self.peek(), self._place(self._at)
        if first == "{":
            return Node(self._object(), place)
        if first == "[":
            return Node(self._array(), place)
        if first == '"':
            return Node(self._string(), place)
        if found := _WORD.match(self._text, self._at):
            self._at = found.end()
            return Node(_WORDS[found[0]], place)
        if found := _NUMBER.match(self._text, self._at):
            try:
                number = int(found[0]) if found[0].lstrip("-").isdigit() else float(found[0])
            except ValueError:  # Python refuses thousands of digits
                raise self.wrong("the number has too many digits") from None
            self._at = found.end()
            return Node(number, place)
        raise self.wrong("a value is missing" if not first else f"{quoted(first)} is no JSON value")

    def _object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._at += 1
        if self._take("}"):
            return found
        while True:
            if self.peek() != '"':
                raise self.wrong("a key in double quotes is missing")
            place = self._place(self._at)
            key = self._string()
            if key in found:
                raise wrong(f"the key {quoted(key)} stands twice", place)
            if not self._take(":"):
                raise self.wrong("':' is missing")
            found[key] = (place, self.value())
            if self._take("}"):
                return found
            if not self._take(","):
                raise self.wrong("',' or '}' is missing")

    def _array(self) -> list[Node]:
        found: list[Node] = []
        self._at += 1
        if self._take("]"):
            return found
        while True:
            found.append(self.value())
            if self._take("]"):
                return found
            if not self._take(","):
                raise self.wrong("',' or ']' is missing")

    def _string(self) -> str:
        try:
            string, self._at = scanstring(self._text, self._at + 1)
        except JSONDecodeError as error:
            raise wrong(f"text in quotes: {error.msg}", self._place(error.pos)) from None
        return str(string)
