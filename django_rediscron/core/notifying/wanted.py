"""Which notifications a schedule wants told."""

from __future__ import annotations

from ..story.in_flight import HAND
from .notification import Notification


def is_wanted(notification: Notification, notify: object) -> bool:
    """Whether it is to be told, by the schedule's option `notify`.

    Runs by hand are told only if the schedule asks for it.
    """
    run = notification.run
    return run is None or run.cause != HAND
