"""Checks that follow the schedules: created, changed, paused and resumed as these are edited."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic, thread_time
from typing import Any

from redis import Redis

from ...core import RedisCronJob
from ...core.quoting import quoted_id
from ...core.store import list_schedules
from ...core.store.connections import bytes_client
from ...core.store.keys import INDEX, LAST_UPDATE, LOCK, healthchecks_key
from ...core.store.pauses import PAUSED_STATE, Pause, read_pauses, state_of
from ..http import RequestFailedError
from ..slugs import Slugs
from .api import Found, ManagementApi
from .expected import by_period, expected
from .sent import Sent, SentChecks

EVERY = 5
"""Seconds between two looks at whether a schedule changed."""

FULL_EVERY = 3600
"""Seconds after which all is compared again, also with what Healthchecks has."""

LOOK_SHARE = 0.05
"""Of the processor, at most, for comparisons while schedules are edited all the time: the passes
run in the same process."""

PAUSE, LONGEST_PAUSE = 60, 3600
"""Seconds without requests after one that failed. The answer may ask for more."""

LONGEST_NAME, LONGEST_TAGS = 100, 500
"""Characters of a check's name and tags that Healthchecks accepts."""


@dataclass(frozen=True)
class CheckOptions:
    """What checks get beside their times; see `make`."""

    slugs: Slugs
    grace: float = 3600
    tags: Sequence[str] = ()
    channels: str = "*"
    on_delete: str = "pause"


class Checks:
    """Knows when there is something to do."""

    def __init__(self, api: ManagementApi, account: str, options: CheckOptions) -> None:
        self._api = api
        self._key = healthchecks_key(account)
        self._options = options
        self._seen: object = None
        self._token: object = None
        self._full_at = 0.0
        self._silent_until = 0.0

    def tend(self, connection: Redis, leader: str) -> None:
        """Send what changed since it was last sent, by this scheduler or one that led before it.

        Raises `RequestFailedError` if a request failed. If all others would fail, too, the rest is
        done after a pause; else that check is tried again when a schedule is edited, or in an hour.
        """
        if monotonic() < self._silent_until:
            return
        client = bytes_client(connection)
        token = client.get(LOCK)
        pauses = read_pauses(client)
        seen = (token, client.get(LAST_UPDATE), client.zcard(INDEX), pauses)
        is_full = token != self._token or monotonic() >= self._full_at
        if seen == self._seen and not is_full:
            return
        begun = thread_time()
        sent = SentChecks(client, self._key)
        round = Round(self._api, self._options, sent, lambda: client.get(LOCK) == token, pauses)
        try:
            if is_full:
                round.compare_with(self._api.checks())
            is_done = round.follow_all(client)
        except RequestFailedError as error:
            self._silent_until = monotonic() + _pause(error)
            raise
        if is_done:
            self._seen, self._token = seen, token
            self._full_at = monotonic() + FULL_EVERY if is_full else self._full_at
            self._silent_until = monotonic() + (thread_time() - begun) / LOOK_SHARE
            round.report()


def _pause(error: RequestFailedError) -> float:
    asked = int(error.retry_after) if error.retry_after.isdecimal() else 0
    return min(max(asked, PAUSE), LONGEST_PAUSE)


class Round:
    """One comparison of all schedules with their checks."""

    def __init__(
        self,
        api: ManagementApi,
        options: CheckOptions,
        sent: SentChecks,
        still_leads: Callable[[], bool],
        pauses: Sequence[Pause],
    ) -> None:
        self._api = api
        self._options = options
        self._sent = sent
        self._still_leads = still_leads
        self._pauses = pauses
        self._found: Mapping[str, Found] = {}
        self._has_room = True
        self._failed: list[str] = []

    def compare_with(self, found: Mapping[str, Found]) -> None:
        """Forget checks that were deleted there, and adopt those that were created by pings."""
        self._found = found
        for slug in self._sent.slugs() - found.keys():
            self._sent.forget(slug)

    def follow_all(self, connection: Redis) -> bool:
        """Whether it came to the end: not if another scheduler leads."""
        listing = list_schedules(connection)
        slugs = {self._options.slugs.of(each.id) for each in listing.damaged}
        steps: list[tuple[str, Callable[[], None]]] = []
        for job in listing.jobs:
            if job.notify is not False:
                slug = self._options.slugs.of(job.id)
                slugs.add(slug)
                steps.append((slug, partial(self._follow, job, slug)))
        steps += [(slug, partial(self._retire, slug)) for slug in self._sent.slugs() - slugs]
        for slug, step in steps:
            try:
                step()
            except NotLeadingError:
                return False
            except RequestFailedError as error:
                if error.status not in (400, 404, 409, 413):
                    raise
                self._failed.append(f"check {slug!r}: {error}")
        return True

    def report(self) -> None:
        """Raise `RequestFailedError` if single checks could not be written."""
        if self._failed:
            first, *others = self._failed
            more = f" (and {len(others)} more)" if others else ""
            raise RequestFailedError(first + more)

    def _follow(self, job: RedisCronJob, slug: str) -> None:
        """Give a schedule's check the times of now; pause it if no runs are to come."""
        known = self._known(slug)
        if state_of(job, self._pauses) in ("disabled", "finished", PAUSED_STATE):
            if known is not None:
                self._pause(slug, known)
            return
        fields: dict[str, Any] = {**expected(job, self._options.grace), "manual_resume": True}
        if tags := _joined([*self._options.tags, *job.tags]):
            fields["tags"] = tags  # else those that people gave it there stay
        digest = _digest(fields)
        if known is None or known.digest != digest:
            known = self._write(job, slug, known, fields)
            if known is None:
                return
            known = known._replace(digest=digest)
            self._sent.note(slug, known)
        if known.is_paused:
            self._api_call(self._api.resume, known.code)
            self._sent.note(slug, known._replace(is_paused=False))

    def _known(self, slug: str) -> Sent | None:
        known = self._sent.get(slug)
        if known is None and slug in self._found:
            known = Sent(self._found[slug].code, "", self._found[slug].is_paused)
        return known

    def _write(
        self, job: RedisCronJob, slug: str, known: Sent | None, fields: dict[str, Any]
    ) -> Sent | None:
        """Change or create a check; None if there is no room for another one."""
        try:
            return self._write_fields(job, slug, known, fields)
        except RequestFailedError as error:
            if error.status != 400 or "schedule" not in fields:
                raise
        # That Healthchecks does not know the zone, or reads cron in another way.
        del fields["schedule"], fields["tz"]
        return self._write_fields(job, slug, known, {**fields, **by_period(job, fields["grace"])})

    def _write_fields(
        self, job: RedisCronJob, slug: str, known: Sent | None, fields: dict[str, Any]
    ) -> Sent | None:
        if known is not None:
            try:
                self._api_call(self._api.update, known.code, fields)
                return known
            except RequestFailedError as error:
                if error.status != 404:
                    raise
        return self._create(job, slug, fields) if self._has_room else None

    def _create(self, job: RedisCronJob, slug: str, fields: dict[str, Any]) -> Sent | None:
        first = {
            "name": job.id[:LONGEST_NAME],
            "slug": slug,
            "desc": job.job_options.get("description") or f"Schedule {quoted_id(job.id)}",
            "channels": self._options.channels,
        }
        try:
            found: Found = self._api_call(self._api.create, {**first, **fields})
        except RequestFailedError as error:
            if error.status != 403:
                raise
            self._has_room = False  # the account's limit; checks that exist are followed
            self._failed.append(f"no more checks can be created, such as {slug!r}: {error}")
            return None
        return Sent(found.code, "", found.is_paused)

    def _pause(self, slug: str, known: Sent) -> None:
        if not known.is_paused:
            self._api_call(self._api.pause, known.code)
            self._sent.note(slug, known._replace(is_paused=True))

    def _retire(self, slug: str) -> None:
        """Of a schedule that is gone, or of which nothing is to be told."""
        known = self._sent.get(slug)
        assert known is not None
        try:
            if self._options.on_delete == "pause":
                self._pause(slug, known)
                return
            self._api_call(self._api.delete, known.code)
        except RequestFailedError as error:
            if error.status != 404:
                raise
        self._sent.forget(slug)

    def _api_call(self, request: Callable[..., Any], *arguments: Any) -> Any:
        if not self._still_leads():
            raise NotLeadingError
        return request(*arguments)


class NotLeadingError(Exception):
    """Another scheduler leads, and sends what is to be sent."""


def _joined(tags: Sequence[str]) -> str:
    """Tags as Healthchecks wants them, as many as it accepts."""
    text = ""
    for tag in dict.fromkeys(tags):
        if len(text) + len(tag) < LONGEST_TAGS:
            text = f"{text} {tag}".strip()
    return text


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]
