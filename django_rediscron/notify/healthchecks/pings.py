"""Pings: that a run began, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from urllib.parse import quote, urlencode
from uuid import NAMESPACE_URL, UUID, uuid5

from ...core.notifying.notification import Notification
from ...core.story.runs import Run
from ..http import RequestFailedError, send
from ..slugs import Slugs

LONGEST_BODY = 100_000
"""Bytes that Healthchecks keeps of a ping's text."""

_SIGNALS = {"finished": "", "failed": "/fail", "stopped": "/fail"}
"""How a run ended -> the end of the URL. What became of any other run is not known, or it never
ran: that is logged, and the check waits for a success as before."""

_LOG = "/log"
_START = "/start"


class Pings:
    """Pings checks by their slugs, and creates them if there are none.

    `creating` is held meanwhile: Healthchecks would let two requests create two checks of one slug,
    and then accept no pings of it.
    """

    def __init__(
        self, url: str, ping_key: str, slugs: Slugs, timeout: float, creating: Lock
    ) -> None:
        self._creating = creating
        self._base = f"{url}/{quote(ping_key, safe='')}"
        self._slugs = slugs
        self._timeout = timeout

    def tell(self, notifications: Sequence[Notification]) -> None:
        """Send a ping for each of these starts and ends of runs."""
        for each in notifications:
            if each.run is not None and each.schedule is not None:
                # A ping for a deleted schedule would create its check again.
                self._ping(each, each.run)

    def _ping(self, notification: Notification, run: Run) -> None:
        signal = _START
        if notification.kind != "run_started":
            signal = _SIGNALS.get(run.status, _LOG)
        slug = self._slugs.of(notification.schedule_id)
        url = f"{self._base}/{slug}{signal}?{urlencode({'rid': run_id(run.job_id)})}"
        text = notification.text
        if run.error and run.error not in text:
            text = f"{text}\n{run.error}"
        try:
            self._post(url, text)
        except RequestFailedError as error:
            if error.status != 404:
                raise
            with self._creating:
                self._post(f"{url}&create=1", text)

    def _post(self, url: str, text: str) -> None:
        send(
            "POST",
            url,
            body=text.encode(errors="replace")[:LONGEST_BODY],
            headers={"Content-Type": "text/plain; charset=utf-8"},
            timeout=self._timeout,
        )


def run_id(job_id: str) -> str:
    """A UUID by which Healthchecks pairs start and end: the job id, or one made from it."""
    try:
        return str(UUID(job_id))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, job_id))
