"""Check-ins: that a run began, and how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

import sentry_sdk
from rq.utils import now
from sentry_sdk.crons import MonitorStatus, capture_checkin

from ...core.notifying.notification import Notification
from ...core.schedule.definition import Definition
from ..slugs import Slugs
from .delivery import Delivery
from .monitors import MonitorOptions, is_frequent, monitor_config
from .other_check_ins import checks_in_itself

if TYPE_CHECKING:
    from sentry_sdk.client import BaseClient

logger = logging.getLogger(__name__)

AT_ONCE = 25
"""Check-ins that are handed to the SDK at a time: its queue drops what comes after a hundred."""

PAUSE = 60.0
"""Seconds between check-ins of the same status, for schedules that run more than once a minute."""

_MOST_PAUSES = 1000
_CHECK_IN_IDS = UUID("a9d7a1a6-5d0c-4f43-9a5e-6d4a2f1c0b7e")


class CheckIns:
    """Checks in at the monitors of schedules. `exclude`: patterns of the ids of those without."""

    def __init__(self, slugs: Slugs, options: MonitorOptions, exclude: Sequence[str]) -> None:
        self._slugs = slugs
        self._options = options
        self._exclude = exclude
        self._delivery = Delivery()
        self._captured = set[str]()
        """Notifications of the latest call that were handed to the SDK and not dropped by it."""
        self._latest: dict[tuple[str, str], float] = {}
        """When a frequent schedule checked in, by slug and status."""
        self._is_missing = False
        """Whether it was logged that the SDK is not set up."""

    def tell(self, notifications: Sequence[Notification]) -> None:
        """Check in for these starts and ends of runs; returns when the SDK has sent them.

        The start of a run that has ended by now needs no check-in of its own. Raises
        `ConnectionError` if Sentry refuses them or cannot be reached, and `TimeoutError` if that
        takes too long. Called again with the same ones, it hands over what was dropped.
        """
        client = sentry_sdk.get_client()
        if not self._is_set_up(client):
            return
        self._captured.intersection_update(each.id for each in notifications)
        ended = {each.run.job_id for each in notifications if each.run and _is_end(each)}
        new = [
            each
            for each in notifications
            if _is_end(each) or each.run is None or each.run.job_id not in ended
        ]
        for at in range(0, len(new), AT_ONCE):
            self._hand_over(new[at : at + AT_ONCE], client)

    def _hand_over(self, notifications: Sequence[Notification], client: BaseClient) -> None:
        self._delivery.watch(client)
        for each in notifications:
            if each.id not in self._captured:
                self._captured.add(each.id)
                self._check_in(each)
        try:
            self._delivery.finish(client)
        except ConnectionError:
            self._captured.difference_update(each.id for each in notifications)
            self._latest.clear()
            raise

    def _is_set_up(self, client: BaseClient) -> bool:
        if client.is_active() and client.transport is not None:
            self._is_missing = False
            return True
        if not self._is_missing:
            logger.warning(
                "Sentry gets no check-ins: sentry-sdk is not set up in this process; call "
                "sentry_sdk.init(dsn=...) in the settings"
            )
        self._is_missing = True
        return False

    def _check_in(self, notification: Notification) -> None:
        run, job = notification.run, notification.schedule
        status = _status(notification)
        if run is None or status is None or self._is_excluded(notification.schedule_id):
            return
        if job is not None and checks_in_itself(job):
            return
        slug, config = self._slugs.of(notification.schedule_id), None
        try:
            config = monitor_config(job, self._options, now()) if job is not None else None
        except ValueError:  # its expression or zone cannot be read: Sentry keeps what it knows
            job = None
        if job is not None and not self._is_due(job, slug, status):
            return
        has_ended = status != MonitorStatus.IN_PROGRESS
        capture_checkin(
            monitor_slug=slug,
            # That of a run is known in all processes.
            check_in_id=uuid5(_CHECK_IN_IDS, run.job_id).hex,
            status=status,
            duration=run.duration.total_seconds() if has_ended and run.duration else None,
            monitor_config=config,
        )

    def _is_excluded(self, id: str) -> bool:
        return any(fnmatchcase(id, pattern) for pattern in self._exclude)

    def _is_due(self, job: Definition, slug: str, status: str) -> bool:
        """Whether this may be sent: Sentry drops what comes too often."""
        if not is_frequent(job):
            return True
        if status == MonitorStatus.IN_PROGRESS:
            return False
        moment, key = time.monotonic(), (slug, status)
        if moment - self._latest.get(key, -PAUSE) < PAUSE:
            return False
        if len(self._latest) >= _MOST_PAUSES:
            self._latest = {k: at for k, at in self._latest.items() if moment - at < PAUSE}
        self._latest[key] = moment
        return True


def _is_end(notification: Notification) -> bool:
    return notification.kind == "run_ended"


def _status(notification: Notification) -> str | None:
    """None for nothing to tell: a run that was canceled before it began did not take place."""
    run = notification.run
    if not _is_end(notification):
        return MonitorStatus.IN_PROGRESS
    if run is not None and run.status == "finished":
        return MonitorStatus.OK
    if run is not None and run.status == "canceled" and run.started_at is None:
        return None
    return MonitorStatus.ERROR
