"""What signals and other threads let a scheduler know."""

from __future__ import annotations

import queue
import time
from contextlib import suppress

NAP = 0.2
"""Seconds of sleep without a look at the signals that came. One that comes in the very moment in
which a thread falls asleep does not wake it, which is not rare where another thread is busy."""

_STOP, _SYNC, _CHANGED = "stop", "sync", "changed"


class Inbox:
    """Word that is left at any moment, in the middle of a command too, and heard by `wait`.

    That it shall stop can be seen at once.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.sync_wanted = False
        self.changed_ids: set[str] = set()
        self.changes_missed = False
        """Whether some were changed without a word of which."""
        self._words: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()

    def stop(self) -> None:
        self.stopping = True
        self._words.put((_STOP, None))

    def ask_to_sync(self) -> None:
        self._words.put((_SYNC, None))

    def changed(self, id: str | None) -> None:
        """A schedule was changed; None where it is not known which ones."""
        self._words.put((_CHANGED, id))

    def wait(self, seconds: float) -> None:
        """Wait for word, at most so long, and note all that there is."""
        until = time.monotonic() + seconds
        while self._words.empty() and (left := until - time.monotonic()) > 0:
            with suppress(queue.Empty):
                self._note(*self._words.get(timeout=min(left, NAP)))
                break
        while not self._words.empty():
            self._note(*self._words.get())

    def forget_changes(self) -> None:
        """They have been taken in."""
        self.changed_ids, self.changes_missed = set(), False

    def _note(self, word: str, id: str | None) -> None:
        if word == _SYNC:
            self.sync_wanted = True
        elif word == _CHANGED and id is None:
            self.changes_missed = True
        elif id is not None:
            self.changed_ids.add(id)
