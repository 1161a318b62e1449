"""A check of Healthchecks (healthchecks.io, or self-hosted) for each schedule."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from threading import Lock

from ...core.notifying.notification import PROGRESS
from ...core.notifying.receivers import Receiver
from ...core.quoting import quoted
from ...core.timing.durations import Duration, positive_seconds
from ..http import check_url
from ..slugs import Slugs
from .api import ManagementApi
from .checks import EVERY, CheckOptions, Checks
from .expected import DEFAULT_GRACE
from .pings import Pings

HOSTED = {"https://hc-ping.com": "https://healthchecks.io"}
"""Where the hosted service takes pings -> where its Management API is."""

LONGEST_SLUG = 100
"""Characters that Healthchecks accepts."""

ON_DELETE = ("pause", "delete")


def make(
    ping_key: str,
    api_key: str | None = None,
    url: str = "https://hc-ping.com",
    api_url: str | None = None,
    prefix: str = "",
    grace: Duration = DEFAULT_GRACE,
    tags: str | Sequence[str] = (),
    channels: str = "*",
    on_delete: str = "pause",
    timeout: Duration = 10,
    name: str = "healthchecks",
) -> Receiver:
    """A receiver that pings a check for each schedule when runs begin and end.

    `ping_key`: of the project at Healthchecks. `api_key`: its read-write key; with it the checks
    also follow the schedules. `url`: where pings go, for your own server usually
    `https://hc.example.com/ping`. `api_url`: address of the Management API, without `/api`; by
    default `url` without `/ping`. `prefix`: beginning of all slugs, if several projects share a
    ping key. `grace`: how long after its time a run may end before Healthchecks alerts, and how
    long it may take, for schedules without a `margin`. `tags`: of the checks, beside those of
    their schedules. `channels`: integrations of new checks, by default all. `on_delete`: `pause` or
    `delete` the check of a deleted schedule. `timeout`: seconds for each request. `name`:
    needed if there are several such receivers.
    """
    _check_key("ping_key", ping_key)
    seconds = positive_seconds("timeout", timeout)
    url = check_url("url", url).rstrip("/")
    creating = Lock()
    slugs = Slugs(prefix, LONGEST_SLUG)
    pings = Pings(url, ping_key, slugs, seconds, creating)
    grace_seconds = positive_seconds("grace", grace)
    if on_delete not in ON_DELETE:
        raise ValueError(f"on_delete must be 'pause' or 'delete', got {quoted(on_delete)}")
    tags, tend = _checked_tags(tags), None
    if api_key is not None:
        _check_key("api_key", api_key)
        api_url = _api_url(url, api_url)
        account = hashlib.sha256(f"{api_url} {api_key}".encode()).hexdigest()[:12]
        options = CheckOptions(slugs, grace_seconds, tags, channels, on_delete)
        tend = Checks(ManagementApi(api_url, api_key, seconds, creating), account, options).tend
    return Receiver(
        name=name,
        tell=pings.tell,
        kinds=frozenset(PROGRESS),
        timeout=2 * seconds,
        tend=tend,
        tend_every=EVERY,
    )


def _api_url(url: str, api_url: str | None) -> str:
    if api_url is not None:
        return check_url("api_url", api_url).rstrip("/")
    if url in HOSTED:
        return HOSTED[url]
    if url.endswith("/ping"):
        return url.removesuffix("/ping")
    raise ValueError("api_url must be given with this url, such as https://hc.example.com")


def _checked_tags(tags: object) -> Sequence[str]:
    if isinstance(tags, str):
        return tags.split()
    if not isinstance(tags, (list, tuple)) or not all(isinstance(each, str) for each in tags):
        raise ValueError(f"tags must be a text or a list of texts, got {quoted(tags)}")
    return tags


def _check_key(name: str, key: object) -> None:
    is_key = isinstance(key, str) and key.isascii() and key.isprintable() and " " not in key
    if not is_key or not key:
        raise ValueError(f"{name} must be the key that Healthchecks shows, on one line")
