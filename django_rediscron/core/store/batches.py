"""Work on many schedules in parts: the size of a script call, and what happens between two.

Between the steps of long work a scheduler sends heartbeats, and can be stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

CALL_BYTES = 1024 * 1024
"""Bytes read or written in one script call, if it concerns more than one schedule: Redis is blocked
for about ten milliseconds."""

LIGHT_BYTES = 16 * 1024
"""Up to this many bytes a schedule is light: it does not wait for heavier ones."""

Step = Callable[[], Any]
"""Called after each step of long work, such as a round trip; may raise `WorkEndedError`."""

T = TypeVar("T")


class WorkEndedError(BaseException):
    """Ends long work early. Like KeyboardInterrupt, it is not caught by `except Exception`."""


def no_step() -> None:
    """For work that needs nothing between its steps."""


def in_steps(items: Sequence[T], size: int, step: Step) -> Iterator[Sequence[T]]:
    """The items, at most `size` at a time; calls `step` when a part has been dealt with."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
        step()


def in_calls(items: Iterable[T], size: int, weigh: Callable[[T], int]) -> Iterator[list[T]]:
    """The items of each script call: at most `size`, and `CALL_BYTES` unless it is a single item.

    `weigh` returns the approximate bytes of an item.
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
