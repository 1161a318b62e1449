"""Who changes schedules: the actor that the log of changes names."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePath

from ..quoting import quoted

LONGEST_ACTOR = 150
"""Characters of an actor; longer ones are cut."""

OUTSIDE = "outside"
"""The actor of changes by programs that keep no log, and how these changes are called."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

_actor: ContextVar[str] = ContextVar("rediscron_actor", default="")


@contextmanager
def acting_as(actor: str | None) -> Iterator[None]:
    """Attribute all changes of schedules inside its block to this actor, in this thread or task.

    `actor`: any text that tells who or what it is, such as `"api:alice"`. Control characters become
    spaces, and at most 150 characters are kept. With None, or an empty text, nothing changes, so an
    optional argument can be passed on. Blocks may be nested; the innermost counts. Of a change in a
    pipeline it is the actor when that is queued.

    Raises TypeError if it is not a text.
    """
    said = actor_text(actor) if actor is not None else ""
    token = _actor.set(said or _actor.get())
    try:
        yield
    finally:
        _actor.reset(token)


def current_actor() -> str:
    """The actor of a change that is made now; by default `program:NAME@HOST`."""
    return _actor.get() or f"program:{_program()}@{actor_text(socket.gethostname())}"


def actor_text(actor: str) -> str:
    """An actor in the form in which it is kept. Raises TypeError if it is not a text."""
    if not isinstance(actor, str):
        raise TypeError(f"actor must be a text, got {quoted(actor)}")
    printable = actor.encode(errors="replace").decode()
    return _UNPRINTABLE.sub(" ", printable).strip()[:LONGEST_ACTOR]


def _program() -> str:
    """The file that Python runs; `python` if it runs none."""
    name = actor_text(PurePath(sys.argv[0]).name if sys.argv else "")
    return "python" if name in ("", "-c", "-m", "-") else name
