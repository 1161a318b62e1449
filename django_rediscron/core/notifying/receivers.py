"""Who is told: receivers, as programs give them to a scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction

from redis import Redis

from ..quoting import quoted
from ..store import keys
from .notification import ALARMS, PROGRESS, Notification


@dataclass(frozen=True)
class Receiver:
    """Whoever is told: a mail, a webhook, a function.

    It is told in threads of its own, by the scheduler that leads. Raises `ValueError` for kinds
    that do not exist or do not go together, an empty name, and times that are not positive.
    """

    name: str
    """Under it Redis keeps how far it was told: choose one that stays the same over restarts."""
    tell: Callable[[Sequence[Notification]], object]
    """Called with notifications, the oldest first. If it raises, it is tried again: three attempts
    in all, with pauses of 1 and 5 seconds; then they are dropped, logged and counted."""
    kinds: frozenset[str] = frozenset(ALARMS)
    """What it is told: kinds of `ALARMS`, or kinds of `PROGRESS`, or none."""
    gather: float = 0
    """Seconds to wait after the first notification for more, so that all are told at once; at 0
    each one is told by itself, in a sequence of one."""
    timeout: float = 30
    """Seconds that an attempt may take; one that takes longer has failed, and is left to itself."""
    tend: Callable[[Redis, str], object] | None = None
    """Called with a client and the leader's name, every `tend_every` seconds while it leads."""
    tend_every: float = 60
    """Seconds."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", frozenset(self.kinds))
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise ValueError(f"name must be a text of a line, got {quoted(self.name)}")
        if not callable(self.tell):
            raise ValueError(f"tell must be a function, got {quoted(self.tell)}")
        if is_async(self.tell):
            raise ValueError("tell must not be async: nothing would await it")
        if not (self.kinds <= {*ALARMS} or self.kinds <= {*PROGRESS}):
            raise ValueError(
                f"kinds must be some of {', '.join(ALARMS)}, or some of {', '.join(PROGRESS)}, "
                f"got {quoted(sorted(map(str, self.kinds)))}"
            )
        if not self.gather >= 0:
            raise ValueError(f"gather must not be negative, got {quoted(self.gather)}")
        for name in ("timeout", "tend_every"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {quoted(getattr(self, name))}")

    @property
    def stream(self) -> str | None:
        """The key of the stream that it is told; None if it is told nothing."""
        if not self.kinds:
            return None
        return keys.ALARMS if self.kinds <= {*ALARMS} else keys.PROGRESS


def as_receivers(
    given: Iterable[Receiver | Callable[[Notification], object]],
) -> tuple[Receiver, ...]:
    """Receivers; a function is one that is told all alarms, one at a time.

    Raises `ValueError` if two have the same name, and `TypeError` for anything else.
    """
    receivers = tuple(each if isinstance(each, Receiver) else of_function(each) for each in given)
    names = [receiver.name for receiver in receivers]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two receivers have the name {quoted(name)}; each needs its own")
    return receivers


def of_function(function: Callable[[Notification], object], name: str = "") -> Receiver:
    """A receiver that calls this for each alarm; by default its name is that of the function.

    Raises `TypeError` for what is no function, or an async one.
    """
    if not callable(function):
        raise TypeError(f"a receiver is a Receiver or a function, got {quoted(function)}")
    if is_async(function):
        raise TypeError(f"a receiver must not be async, got {quoted(function)}")
    named = function if hasattr(function, "__qualname__") else type(function)
    name = name or f"{named.__module__}.{named.__qualname__}"
    return Receiver(name, lambda notifications: [function(each) for each in notifications])


def is_async(function: object) -> bool:
    """Whether a call only returns what somebody must await."""
    call = getattr(function, "__call__", None)  # noqa: B004 - that of an instance may be async
    return iscoroutinefunction(function) or iscoroutinefunction(call)
