"""The banner above the list: whether a scheduler runs, and whether schedules are late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from redis.exceptions import RedisError

from ...core.monitoring.health import Health, check_health
from ...core.monitoring.workers import without_workers
from ...queues import main_connection, needs_worker
from ...terminal import one_line
from ..display import LATE, TEMPLATES, span

TEMPLATE = f"{TEMPLATES}/banner.html"

MOST_QUEUES = 5
"""Without workers that are named."""


@dataclass
class Banner:
    """A verdict and the facts behind it."""

    level: str
    """`ok`, `warning` or `error`."""
    verdict: str
    facts: list[str] = field(default_factory=list)


def read_banner(list_url: str, queues: Iterable[str]) -> Banner:
    """The health of the schedulers, or why it cannot be read, and which of these queues no worker
    listens to. What it counts are links to the list at this address."""
    client = main_connection()
    try:
        banner = banner_of(check_health(client, max_lag=LATE), list_url)
        _add_idle(banner, without_workers(client, filter(needs_worker, queues)), list_url)
        return banner
    except RedisError as error:
        return Banner("warning", _("The scheduler cannot be watched"), [one_line(str(error))])


def unreachable(reason: str) -> Banner:
    """The banner during an outage of Redis."""
    return Banner("error", _("The schedules cannot be reached"), [reason])


def render(banner: Banner) -> str:
    """The banner as HTML."""
    return render_to_string(TEMPLATE, {"banner": banner})


def banner_of(health: Health, list_url: str) -> Banner:
    """The verdict on the health of the schedulers, and its facts."""
    level, verdict = _verdict(health)
    return Banner(level, verdict, [fact for fact in _facts(health, list_url) if fact])


def _verdict(health: Health) -> tuple[str, str]:
    if health.problem == "no-scheduler":
        return "error", _("No scheduler is running")
    if health.problem == "stalled-scheduler":
        return "error", _("The scheduler does not answer")
    if health.problem == "late-schedules":
        return "warning", _("Scheduler running, but schedules are late")
    return "ok", _("Scheduler running")


def _add_idle(banner: Banner, queues: Sequence[str], list_url: str) -> None:
    """Warn of queues that no worker listens to."""
    if queues and banner.level == "ok":
        banner.level = "warning"
        banner.verdict = _("Scheduler running, but workers are missing")
    for queue in queues[:MOST_QUEUES]:
        text = _("no worker for queue “%(queue)s”: its jobs wait") % {"queue": queue}
        banner.facts.append(_link(list_url, urlencode({"queue": queue}), text))
    if more := len(queues[MOST_QUEUES:]):
        text = ngettext("and for %(count)d other queue", "and for %(count)d other queues", more)
        banner.facts.append(text % {"count": more})


def _facts(health: Health, list_url: str) -> list[str]:
    facts = [_leader(health)]
    if health.standbys:
        names = ", ".join(health.standbys)
        facts.append(_("standby: %(names)s") % {"names": names})
    elif health.leader is None:
        facts.append(_("nothing will be enqueued until one is started"))
    lateness = _lateness(health)
    facts.append(_link(list_url, "next=late", lateness) if health.late else lateness)
    if health.errors:
        count = health.errors
        text = ngettext("%(count)d schedule in error", "%(count)d schedules in error", count)
        facts.append(_link(list_url, "state=error", text % {"count": count}))
    return facts


def _link(list_url: str, query: str, text: str) -> SafeString:
    return format_html('<a href="{}?{}">{}</a>', list_url, query, text)


def _leader(health: Health) -> str:
    if health.leader is None:
        return ""
    where = [_("host %s") % health.leader_host] if health.leader_host else []
    where += [_("process %s") % health.leader_pid] if health.leader_pid else []
    name = f"{health.leader} ({', '.join(where)})" if where else health.leader
    if health.heartbeat_age is None:
        return _("leader: %(name)s, no heartbeat is known") % {"name": name}
    text = _("leader: %(name)s, last heartbeat %(time)s ago")
    return text % {"name": name, "time": span(health.heartbeat_age)}


def _lateness(health: Health) -> str:
    if health.late:
        text = ngettext(
            "%(count)d schedule is late, “%(id)s” by %(time)s",
            "%(count)d schedules are late, the oldest, “%(id)s”, by %(time)s",
            health.late,
        )
        parts = {"count": health.late, "id": health.oldest_late, "time": span(health.oldest_lag)}
        return text % parts
    if health.oldest_lag >= 1:
        text = _("the oldest due schedule has been waiting for %(time)s")
        return text % {"time": span(health.oldest_lag)}
    return _("no schedule is late")
