"""The threads by which a leader tells its receivers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from redis import Redis
from redis.exceptions import ResponseError

from ..quoting import cut
from ..store.connections import is_passing, own_client
from ..store.keys import ALARMS, PROGRESS
from . import streams
from .attempts import Attempts
from .receivers import Receiver
from .telling import GRACE, Teller
from .tending import Tender

logger = logging.getLogger(__name__)


class Notifying:
    """Tells receivers while this process leads. `client` is the scheduler's own, `name` its name.

    `token` returns what the lock holds while this process leads, else ''.
    """

    def __init__(
        self, client: Redis, name: str, receivers: Sequence[Receiver], token: Callable[[], str]
    ) -> None:
        self._client = client
        self._name = name
        self._token = token
        self._registered = ""
        self._tellers: list[Teller] = []
        self.use(receivers)

    def use(self, receivers: Sequence[Receiver]) -> None:
        """Tell these from the next start on."""
        self.receivers = receivers
        self._attempts = {each.name: Attempts(each) for each in receivers if each.stream}
        self._tenders = [
            Tender(each, own_client(self._client), self._name, self._token)
            for each in receivers
            if each.tend
        ]

    def register(self) -> None:
        """Note in Redis whom this leader tells, once for each time that it takes the lock.

        What is entered from then on reaches new receivers. A refusal that lasts is logged, for it
        must not keep schedules from being enqueued.
        """
        token = self._token()
        if token == self._registered:
            return
        try:
            for stream in (ALARMS, PROGRESS):
                names = [each.name for each in self.receivers if each.stream == stream]
                streams.register(self._client, token, stream, names)
        except ResponseError as error:
            if is_passing(error):
                raise
            logger.error("Receivers of notifications cannot be registered: %s", cut(error))
        self._registered = token

    def start(self) -> None:
        """Begin to tell. Nothing is told before this process leads."""
        self._tellers = [
            Teller(each, self._attempts[each.name], own_client(self._client), self._token)
            for each in self.receivers
            if each.stream
        ]
        for teller in self._tellers:
            teller.start()
        for tender in self._tenders:
            tender.start()

    def wake(self) -> None:
        """Something was entered."""
        for teller in self._tellers:
            teller.wake()

    def finish(self) -> None:
        """Tell what there is without waiting for more; `is_telling` says until when."""
        for teller in self._tellers:
            teller.finish()

    @property
    def is_telling(self) -> bool:
        """Whether any thread still tells its receiver."""
        return any(teller.is_alive() for teller in self._tellers)

    def stop(self) -> None:
        """End the threads; waits for calls that run, but no longer than `GRACE` in all."""
        for each in self._tellers:
            each.stop()
        for tender in self._tenders:
            tender.stop()
        until = time.monotonic() + GRACE
        for teller in self._tellers:
            teller.join(max(0.0, until - time.monotonic()))
        self._tellers = []
