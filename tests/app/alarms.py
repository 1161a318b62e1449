"""Receivers that `NOTIFY` names."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from django_rediscron.core.notifying.notification import Notification
from django_rediscron.core.notifying.receivers import Receiver

told: list[object] = []


def tell(notification: Notification) -> None:
    """A function that is told by itself."""
    told.append(notification)


async def tell_async(notification: Notification) -> None:
    """A function that nobody awaits."""


def query(notification: Notification) -> None:
    """A function that uses the database, and fails then."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        told.append(cursor.fetchone())
    raise RuntimeError("it failed")


class Chat:
    """A class of which an instance is called."""

    def __init__(self, room: str = "all", token: str = "") -> None:
        if not room:
            raise ValueError("room must not be empty")
        self.room = room

    def __call__(self, notification: Notification) -> None:
        """Take it."""
        told.append(notification)


def make_receiver(name: str, gather: float = 0) -> Receiver:
    """A function that makes a receiver."""
    return Receiver(name, _tell, gather=gather)


def make_nothing(**options: object) -> None:
    """A function that forgets to return what it made."""


def _tell(notifications: Sequence[Notification]) -> None:
    told.extend(notifications)


ready_made = Receiver("ready made", _tell)
NUMBER = 5
