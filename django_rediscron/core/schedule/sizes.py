"""How much one schedule may hold, and how much goes through one script call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

MAX_BYTES = 2 * 1024 * 1024
"""Of all values that a schedule's hash holds, apart from what the code declared last. Each of its
runs holds the arguments once more."""

ADVICE = "keep the data elsewhere and pass its key or its path"

CALL_BYTES = 1024 * 1024
"""Bytes read or written in one script call, if more than one schedule is concerned: with them Redis
is held for some ten milliseconds."""

LIGHT_BYTES = 16 * 1024
"""Up to which a schedule waits for no heavier one."""

T = TypeVar("T")


def in_calls(items: Iterable[T], size: int, weigh: Callable[[T], int]) -> Iterator[list[T]]:
    """The items of one script call after the other: at most `size`, and `CALL_BYTES` but for one.

    `weigh` says how many bytes an item takes, or about that many.
    """
    call: list[T] = []
    total = 0
    for item in items:
        weight = weigh(item)
        if call and (len(call) == size or total + weight > CALL_BYTES):
            yield call
            call, total = [], 0
        call.append(item)
        total += weight
    if call:
        yield call


class Pace:
    """The share of a full batch that goes through one script call.

    What Redis does not manage in time is not tried again in the same size.
    """

    def __init__(self) -> None:
        self._share = 1.0

    def slow_down(self) -> None:
        """Redis did not answer in time."""
        self._share = max(self._share / 2, 1e-6)

    def speed_up(self) -> None:
        """It did."""
        self._share = min(self._share * 2, 1.0)

    def count(self, full: int) -> int:
        """How many schedules of so many."""
        return max(1, int(full * self._share))

    @property
    def call_bytes(self) -> int:
        """Bytes after which only what is light is read; 0 means to weigh each schedule first."""
        return CALL_BYTES if self._share == 1 else 0
