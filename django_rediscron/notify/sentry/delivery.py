"""Whether the SDK, which sends in the background and keeps quiet about it, has sent all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentry_sdk.client import BaseClient

FLUSH_TIMEOUT = 10.0
"""Seconds that the SDK may take."""


class Delivery:
    """Watches what a transport drops. Create one, and `watch` before anything is handed over."""

    def __init__(self) -> None:
        self._watched: Any = None
        self._dropped: list[str] = []

    def watch(self, client: BaseClient) -> None:
        """Begin to watch its transport, unless that is done; custom ones may drop silently."""
        transport: Any = client.transport
        self._dropped.clear()
        if transport is self._watched or not hasattr(transport, "on_dropped_event"):
            return
        self._watched = transport
        dropped_event, lost_event = transport.on_dropped_event, transport.record_lost_event

        def dropped(reason: str) -> None:
            self._dropped.append(reason)
            dropped_event(reason)

        def lost(reason: str, *args: Any, **options: Any) -> None:
            # All that is said of a check-in while Sentry has asked the SDK to send none.
            if getattr(options.get("item"), "type", None) == "check_in":
                self._dropped.append(reason)
            lost_event(reason, *args, **options)

        transport.on_dropped_event, transport.record_lost_event = dropped, lost

    def finish(self, client: BaseClient) -> None:
        """Wait until all is sent. Raises `TimeoutError`, or `ConnectionError` if it was dropped."""
        begun = time.monotonic()
        client.flush(timeout=FLUSH_TIMEOUT)
        if self._dropped:
            raise ConnectionError(f"Sentry could not be told: {self._dropped[-1]}")
        if time.monotonic() - begun >= FLUSH_TIMEOUT:
            raise TimeoutError(f"the SDK could not send all to Sentry within {FLUSH_TIMEOUT:g} s")
