"""Long work in steps: between them a scheduler shows that it is alive, and may be stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

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
