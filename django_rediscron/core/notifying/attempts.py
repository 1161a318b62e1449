"""Calls of a receiver, each in a thread of its own: one that hangs can be left to itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Thread

from .notification import Notification
from .receivers import Receiver

MOST_ABANDONED = 3
"""Calls of a receiver that may hang at a time; the next one waits until one of them has ended."""


class Attempts:
    """The calls of one receiver in this process, those that hang included."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._abandoned: list[Thread] = []

    @property
    def has_room(self) -> bool:
        """Whether another call may be begun."""
        self._abandoned = [each for each in self._abandoned if each.is_alive()]
        return len(self._abandoned) < MOST_ABANDONED

    def begin(self, told: Sequence[Notification], ended: Callable[[], object]) -> Attempt:
        """Begin a call; `ended` is called, in its thread, when it is over."""
        attempt = Attempt(self._receiver, told, ended)
        attempt.start()
        return attempt

    def abandon(self, attempt: Attempt) -> None:
        """Leave a call to itself that takes too long."""
        self._abandoned.append(attempt)


class Attempt(Thread):
    """A call of a receiver."""

    def __init__(
        self, receiver: Receiver, told: Sequence[Notification], ended: Callable[[], object]
    ) -> None:
        super().__init__(name=f"rediscron-tells-{receiver.name}", daemon=True)
        self.is_over = False
        self.error: BaseException | None = None
        """What it raised."""
        self._tell = receiver.tell
        self._told = told
        self._ended = ended

    def run(self) -> None:
        try:
            self._tell(self._told)
        except BaseException as error:  # also what would end a thread silently
            self.error = error
        self.is_over = True
        self._ended()
