"""A URL that is requested for as long as a scheduler leads and nothing is late."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from redis import Redis

from ..core.monitoring.health import MAX_LAG, check_health
from ..core.notifying.notification import Notification
from ..core.notifying.receivers import Receiver
from ..core.timing.durations import Duration, positive_seconds
from .http import check_url, send

logger = logging.getLogger(__name__)

EVERY = 60
"""Seconds between two requests."""


def make(
    url: str, late_after: Duration = MAX_LAG, timeout: Duration = 10, name: str = "heartbeat"
) -> Receiver:
    """A receiver that is told nothing, and sends a GET to `url` once a minute while all is well.

    All is well while this scheduler leads, its passes run, and no schedule has been due for longer
    than `late_after`. `timeout`: seconds for each request.
    """
    heartbeat = Heartbeat(
        check_url("url", url),
        positive_seconds("late_after", late_after),
        positive_seconds("timeout", timeout),
    )
    return Receiver(
        name=name,
        tell=_tell_nothing,
        kinds=frozenset(),
        tend=heartbeat.send_if_well,
        tend_every=EVERY,
    )


class Heartbeat:
    """Says once why it is withheld, and again after all was well."""

    def __init__(self, url: str, late_after: float, timeout: float) -> None:
        self._url = url
        self._late_after = late_after
        self._timeout = timeout
        self._is_withheld = False

    def send_if_well(self, connection: Redis, leader: str) -> None:
        """Raises `RequestFailedError` if the request fails."""
        health = check_health(connection, max_lag=self._late_after)
        if health.leader not in (None, leader):
            return  # it is for that one to send it
        if not health.ok:
            if not self._is_withheld:
                logger.warning("The heartbeat is withheld: %s", health.message)
            self._is_withheld = True
            return
        self._is_withheld = False
        send("GET", self._url, timeout=self._timeout)


def _tell_nothing(notifications: Sequence[Notification]) -> None:
    pass
