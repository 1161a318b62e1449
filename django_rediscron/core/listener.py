"""The ear of a sleeping scheduler: changes of definitions, through Pub/Sub."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError

from .keys import EVENTS

logger = logging.getLogger(__name__)

POLL = 0.5
"""Seconds after which the thread looks whether it is still wanted."""

RETRY = 1.0
"""Seconds between attempts to subscribe."""


class ChangeListener(threading.Thread):
    """Calls `notify(id)` for each change, from its own thread and connection.

    After each (re)subscription it calls `notify(None)`: anything may have changed meanwhile. It
    survives whatever Redis does; without it changes are seen when the scheduler wakes by itself.
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
            except (RedisError, OSError, ValueError) as error:
                if not silent:
                    logger.debug("No news of changes until Redis is back: %s", error)
                silent = True
                self._stopped.wait(RETRY)

    def _listen(self) -> None:
        subscribe: Callable[[], PubSub] = self._connection.pubsub
        with subscribe() as pubsub:
            pubsub.subscribe(EVENTS)
            while not self._stopped.is_set():
                message = pubsub.get_message(timeout=POLL)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    self._notify(None)
                elif message["type"] == "message":
                    self._notify(_changed_id(message["data"]))


def _changed_id(data: bytes | str) -> str | None:
    """The id that an event names; None for what cannot be read, so that nothing is missed."""
    try:
        event = json.loads(data)
    except ValueError:
        return None
    id = event.get("job_id") if isinstance(event, dict) else None
    return id if isinstance(id, str) else None
