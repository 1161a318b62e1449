"""What a mail about alarms says. Ids and errors cannot break its lines or headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from ..core.notifying.notification import Notification
from ..core.quoting import LONGEST_ID as LONGEST_WHOLE_ID
from ..core.quoting import cut
from ..terminal import one_line
from .links import list_path, schedule_path

SPELLED_OUT = 100
"""Alarms that one mail describes; of more it has the number."""

LONGEST_ID = 80
"""Characters of an id in a subject."""

LONGEST_TEXT = 1000
"""Characters of the text of an alarm, which has the error of its run."""

WHAT = {
    "schedule_disabled": "{} was disabled",
    "run_failed": "{} failed",
    "schedule_error": "{} cannot be enqueued",
    "run_unknown": "{}: unknown how a run ended",
    "schedule_late": "{} is late",
    "run_too_long": "{} takes too long",
    "leader_changed": "Another scheduler leads",
    "run_recovered": "{} recovered",
}
"""Kind of alarm -> what it says in a subject, the most important first."""

_RANKS = {kind: rank for rank, kind in enumerate(WHAT)}


def subject(notifications: Sequence[Notification]) -> str:
    """The most important alarm, and how many more there are."""
    first, *others = sorted(notifications, key=_rank)
    more = f" (and {len(others)} more)" if others else ""
    return f"{_title(first, LONGEST_ID)}{more}"


def body(notifications: Sequence[Notification], host: str) -> str:
    """What happened, since when, the error, and where to look, the most important first.

    `host`: what goes before paths in links, such as `https://example.com`.
    """
    in_order = sorted(notifications, key=_rank)
    parts = ["\n".join(_lines(each, host)) for each in in_order[:SPELLED_OUT]]
    if len(in_order) > 1:
        parts.insert(0, _summary(in_order))
    if len(in_order) > SPELLED_OUT:
        parts.append(f"{len(in_order) - SPELLED_OUT} more alarms")
    return "\n\n".join(parts) + "\n"


def _rank(notification: Notification) -> int:
    return _RANKS.get(notification.kind, len(_RANKS))


def _title(notification: Notification, longest: int) -> str:
    what = WHAT.get(notification.kind, f"{{}}: {notification.kind}")
    return what.format(one_line(cut(notification.schedule_id, longest)))


def _summary(notifications: Sequence[Notification]) -> str:
    counts = Counter(each.kind for each in notifications)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return f"{len(notifications)} alarms: {kinds}"


def _lines(notification: Notification, host: str) -> Iterator[str]:
    yield _title(notification, LONGEST_WHOLE_ID)
    text = one_line(cut(notification.text, LONGEST_TEXT))
    yield text
    error = one_line(cut(_error(notification)))
    if error and error not in text:
        yield f"Error: {error}"
    yield f"Since: {_time(_since(notification))}"
    id = notification.schedule_id
    path = schedule_path(id) if id else list_path()
    if path:
        yield f"{host}{path}"


def _since(notification: Notification) -> datetime:
    """When it began, as far as that is known: else when it was noticed."""
    run = notification.run
    if run is not None and notification.kind == "run_too_long" and run.started_at is not None:
        return run.started_at
    if notification.kind == "schedule_late" and notification.occurrence is not None:
        return notification.occurrence
    return notification.at


def _error(notification: Notification) -> str:
    if notification.run is not None and notification.run.error:
        return notification.run.error
    return str(notification.facts.get("error") or "")


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
