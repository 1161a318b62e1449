"""What a file says, and where: values with their places, and mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Line and column in a file, from 1."""

    line: int
    column: int


class Node(NamedTuple):
    """A value and its place. Lists hold nodes, mappings a pair of place of the key and node."""

    value: Any
    place: Place

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, (_, node) in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True)
class Mistake:
    """Something in a file that is wrong."""

    text: str
    place: Place
    id: str = ""
    """Of the schedule, if it is about one."""


class WrongFileError(ValueError):
    """A file that cannot be used; nothing of it was written."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes: Sequence[Mistake] = sorted(mistakes, key=lambda mistake: mistake.place)
        super().__init__("; ".join(mistake.text for mistake in self.mistakes))


def wrong(text: str, place: Place, id: str = "") -> WrongFileError:
    """The error for a single mistake."""
    return WrongFileError([Mistake(text, place, id)])


def place_in(text: str, position: int) -> Place:
    """The place of a character."""
    before = text[:position]
    return Place(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
