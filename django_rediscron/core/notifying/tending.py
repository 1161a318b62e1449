"""What a receiver does at regular times while its scheduler leads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread

from redis import Redis

from ..quoting import cut, flat
from ..store.connections import hide_passwords
from .receivers import Receiver

logger = logging.getLogger(__name__)


class Tender:
    """Calls `tend` of a receiver, in one thread however often its scheduler stops and starts.

    `token` returns what the lock holds while this process leads, else ''.
    """

    def __init__(
        self, receiver: Receiver, client: Redis, leader: str, token: Callable[[], str]
    ) -> None:
        self._receiver = receiver
        self._client = client
        self._leader = leader
        self._token = token
        self._bell = Event()
        self._lock = Lock()
        self._is_wanted = self._is_running = self._has_failed = False

    def start(self) -> None:
        with self._lock:
            self._is_wanted = True
            self._bell.clear()
            if self._is_running:  # a call hangs
                return
            self._is_running = True
        name = f"rediscron-tends-{self._receiver.name}"
        Thread(target=self._run, name=name, daemon=True).start()

    def stop(self) -> None:
        """Let it end as soon as a call that runs has ended."""
        self._is_wanted = False
        self._bell.set()

    def _run(self) -> None:
        while self._goes_on():
            if self._token():
                self._tend()
            self._bell.wait(self._receiver.tend_every)

    def _goes_on(self) -> bool:
        with self._lock:
            self._is_running = self._is_wanted
            return self._is_wanted

    def _tend(self) -> None:
        try:
            if self._receiver.tend is not None:
                self._receiver.tend(self._client, self._leader)
            self._has_failed = False
        except BaseException as error:
            level = logging.DEBUG if self._has_failed else logging.ERROR
            self._has_failed = True
            text = hide_passwords(cut(flat(f"{type(error).__name__}: {error}")))
            logger.log(level, "Receiver %s: tending failed: %s", self._receiver.name, text)
