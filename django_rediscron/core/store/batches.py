"""Work on many schedules in parts: what goes through one script call, and what comes between two.

A scheduler shows between the steps of long work that it is alive, and may be stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

CALL_BYTES = 1024 * 1024
"""Bytes read or written in one script call, if more than one schedule is concerned: with them Redis
is held for some ten milliseconds."""

LIGHT_BYTES = 16 * 1024
"""Up to which a schedule waits for no heavier one."""

Step = Callable[[], Any]
"""Called after each step of long work, such as a round trip; may raise `WorkEndedError`."""

T = TypeVar("T")


class WorkEndedError(BaseException):
    """Long work ends here, unfinished. Like KeyboardInterrupt, no `except Exception` stops it."""


def no_step() -> None:
    """For work that nobody waits for."""


def in_steps(items: Sequence[T], size: int, step: Step) -> Iterator[Sequence[T]]:
    """The items, at most `size` at a time; calls `step` when a part has been dealt with."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
        step()


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
