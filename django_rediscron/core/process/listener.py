"""Changes of schedules, heard through Pub/Sub while a scheduler sleeps."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable

from redis import Redis
from redis.client import PubSub

from ..store.keys import EVENTS

logger = logging.getLogger(__name__)

POLL = 0.5
"""Seconds between checks whether the thread was asked to stop."""

RETRY = 1.0
"""Seconds between attempts to subscribe."""

SILENCE = 5.0
"""Seconds without a message after which the server is asked for one: it may be gone."""

ANSWER = 2.0
"""Seconds within which it must answer."""


class ChangeListener(threading.Thread):
    """Calls `notify(id)` for each change, from its own thread and connection.

    After each (re)subscription it calls `notify(None)`: anything may have changed meanwhile. It
    keeps trying whatever Redis does; changes that it misses are seen when the scheduler wakes up.
    """

    def __init__(self, connection: Redis, notify: Callable[[str | None], None]) -> None:
        super().__init__(name="rediscron-listener", daemon=True)
        self._connection = connection
        self._notify = notify
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end; it does so within `POLL` seconds."""
        self._stopped.set()

    def run(self) -> None:
        silent = False
        while not self._stopped.is_set():
            try:
                self._listen()
                silent = False
            except Exception as error:  # redis-py may fail to parse what it reads
                if not silent:
                    logger.debug("No news of changes until Redis is back: %s", error)
                silent = True
                self._stopped.wait(RETRY)

    def _listen(self) -> None:
        subscribe: Callable[[], PubSub] = self._connection.pubsub
        with subscribe() as pubsub:
            pubsub.subscribe(EVENTS)
            heard, asked = time.monotonic(), False
            while not self._stopped.is_set():
                message = pubsub.get_message(timeout=POLL)
                if message is None:
                    silence = time.monotonic() - heard
                    if silence > SILENCE + ANSWER:
                        raise TimeoutError("the server does not answer")
                    if silence > SILENCE and not asked:
                        pubsub.subscribe(EVENTS)  # again: it changes nothing, and is answered
                        asked = True
                    continue
                if message["type"] == "message":
                    self._notify(_changed_id(message["data"]))
                elif not asked:
                    self._notify(None)
                heard, asked = time.monotonic(), False


def _changed_id(data: bytes | str) -> str | None:
    """The id that an event names; None if it cannot be read, so that nothing is missed."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    id = event.get("job_id") if isinstance(event, dict) else None
    return id if isinstance(id, str) else None
