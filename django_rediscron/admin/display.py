"""What several pages show: times, outcomes, links and breadcrumbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone, tzinfo
from typing import Any

import django
from django.conf import settings
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, QueryDict
from django.urls import NoReverseMatch, reverse
from django.utils import formats
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from rq.utils import now

from ..conf import aware, current_zone, in_zone, local
from ..core.story.runs import Run
from ..models import Schedule

# Times

NOTHING = "–"

LATE = 5.0
"""Seconds after which a due run counts as late, in rows and banner; a pass takes far less."""

NOW = 1.0
"""Seconds before and after the present that are called `now`."""

LONGEST_SPAN = 1e12
"""Seconds: longer spans come from damaged data and are cut."""


def time_tag(moment: datetime | None) -> SafeString | str:
    """A moment as `in 4 min` or `4 min ago`, with the exact time on hover; a dash for none."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        aware(moment).isoformat(),
        absolute(moment),
        relative(moment),
    )


def moment_tag(
    moment: datetime | None, zone: tzinfo | None = None, distance: str = "", css: str = ""
) -> SafeString | str:
    """A moment as `29 Nov 03:00 in 4 min`, without its date if that is today, and with all of it
    on hover; a dash for none.

    `zone`: where it is read; by default the reader's, and its name is shown with any other.
    `distance`: instead of how far away it is. `css`: a class for that.
    """
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}"><span>{}</span> <span class="rediscron-distance {}">{}'
        "</span></time>",
        aware(moment).isoformat(),
        absolute(moment),
        _short(moment, zone),
        css,
        distance or relative(moment),
    )


def _short(moment: datetime, zone: tzinfo | None) -> str:
    here, today = (in_zone(aware(each), zone or current_zone()) for each in (moment, now()))
    text = formats.time_format(here, "H:i")
    if here.date() != today.date():
        day = formats.date_format(here, "j M" if here.year == today.year else "j M Y")
        text = f"{day} {text}"
    return text if zone is None else f"{text} {here.tzname() or ''}".rstrip()


def clock_tag(moment: datetime) -> SafeString:
    """The time of day of a moment, with its date and the time in UTC on hover."""
    here, there = local(moment), aware(moment).astimezone(timezone.utc)
    title = absolute(moment)
    if here.utcoffset():
        title += f" ({there:%Y-%m-%d %H:%M:%S} UTC)"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        here.isoformat(),
        title,
        formats.time_format(here, "H:i:s"),
    )


def absolute(moment: datetime) -> str:
    """A moment in the current time zone, with that zone."""
    here = local(moment)
    date = formats.date_format(here, "DATE_FORMAT")
    return f"{date}, {formats.time_format(here, 'H:i:s')} {here.tzname() or ''}".rstrip()


def relative(moment: datetime) -> str:
    """How far away a moment is: `in 4 min`, `now`, `4 min ago`."""
    seconds = (aware(moment) - now()).total_seconds()
    if abs(seconds) < NOW:
        return pgettext("time", "now")
    if seconds > 0:
        return _("in %(time)s") % {"time": span(seconds)}
    return _("%(time)s ago") % {"time": span(-seconds)}


def span(seconds: float) -> str:
    """A number of seconds in its one or two largest units: `4 min`, `2 h 30 min`, `3 d`."""
    whole = int(min(seconds, LONGEST_SPAN))
    units = (
        (whole // 86400, _("%d d")),
        (whole // 3600 % 24, _("%d h")),
        (whole // 60 % 60, _("%d min")),
        (whole % 60, _("%d s")),
    )
    first = next((place for place, (count, _text) in enumerate(units) if count), 3)
    # The second unit matters only if the first one is small.
    wanted = units[first : first + (2 if units[first][0] < 10 and first in (0, 1) else 1)]
    return " ".join(text % count for count, text in wanted if count) or units[3][1] % 0


# Runs

RECENT_RUNS = 10
"""Outcomes in a row of the list."""

OUTCOMES = {
    "queued": gettext_lazy("queued"),
    "started": gettext_lazy("started"),
    "finished": gettext_lazy("finished"),
    "failed": gettext_lazy("failed"),
    "deferred": gettext_lazy("deferred"),
    "scheduled": gettext_lazy("waits to be tried again"),
    "stopped": gettext_lazy("stopped"),
    "canceled": gettext_lazy("canceled"),
    "unknown": gettext_lazy("unknown"),
    "": gettext_lazy("unknown"),
}
"""The states of a run; `unknown` is one that RQ deleted before its end was seen."""

MARKS = {
    "queued": "…",
    "started": "▸",
    "finished": "✓",
    "failed": "×",
    "deferred": "…",
    "scheduled": "…",
    "stopped": "■",
    "canceled": "–",
    "skip": "»",
    "error": "!",
    "change": "±",
    "reign": "◆",
    "planned": "○",
    "due": "●",
    "off": "◌",
    "paused": "‖",
}
"""Signs that tell outcomes apart without their colours; a question mark is any other."""

_RQ_PAGES = ("admin:django_rq_{}", "django_rq:{}", "rq_{}")
"""django-rq's names of its pages: in the admin, included with a namespace, and without one."""


def outcome(run: Run) -> str:
    """The state of a run's job."""
    return str(OUTCOMES.get(run.status, run.status))


def mark(name: str) -> SafeString:
    """A small coloured mark for what the text beside it says."""
    return format_html(
        '<i class="rediscron-mark {}" aria-hidden="true">{}</i>', name, MARKS.get(name, "?")
    )


def marks(runs: Sequence[Run]) -> SafeString:
    """A mark for each of these runs, which are newest first; the newest is at the end.

    A page has a thousand of them, so each is put together from as little as possible.
    """
    zone = current_zone()
    names = {status: outcome(run) for status, run in {run.status: run for run in runs}.items()}
    starts = {
        status: format_html('<i class="rediscron-mark {}" title="{}, ', status, name)
        for status, name in names.items()
    }
    in_order = runs[::-1]
    shown = [
        f'{starts[run.status]}{_digits(run.enqueued_at, zone)}">{MARKS.get(run.status, "?")}</i>'
        for run in in_order
    ]
    return format_html(
        '<span class="rediscron-marks" role="img" aria-label="{}">{}</span>',
        _("Last runs, oldest first: %s") % ", ".join(names[run.status] for run in in_order),
        mark_safe("".join(shown)),
    )


def _digits(moment: datetime | None, zone: tzinfo) -> str:
    return NOTHING if moment is None else in_zone(moment, zone).isoformat(" ", "seconds")[:19]


def job_url(queue_name: str, job_id: str) -> str | None:
    """The address of django-rq's page of a job; None if there is none."""
    queues = sorted(getattr(settings, "RQ_QUEUES", None) or {})  # as django-rq numbers them
    if queue_name not in queues:
        return None
    for name in _RQ_PAGES:
        try:
            return reverse(name.format("job_detail"), args=[queues.index(queue_name), job_id])
        except NoReverseMatch:
            continue
    return None


# Pages

TEMPLATES = "admin/django_rediscron/schedule"


def page_url(model_admin: Any, page: str, id: str | None = None) -> str:
    """The address of a page of all schedules or, with an id, of one."""
    name = f"{model_admin.admin_site.name}:django_rediscron_schedule_{page}"
    return reverse(name, args=() if id is None else (quote(id),))


def list_page(model_admin: Any, request: HttpRequest) -> str:
    """The list as it was when a button on it was pressed, with its search and filters."""
    query = QueryDict(request.POST.get("back", "")).urlencode()
    return page_url(model_admin, "changelist") + (f"?{query}" if query else "")


def schedule_of(
    model_admin: Any,
    request: HttpRequest,
    object_id: str,
    may: Callable[[HttpRequest, Schedule | None], bool],
) -> Schedule:
    """The schedule that a page is about, for users who may do what the page is for.

    Raises `PermissionDenied` for others, and `Http404` if there is none.
    """
    id = unquote(object_id)
    schedule: Schedule | None = model_admin.get_object(request, id)
    if not may(request, schedule):
        raise PermissionDenied
    if schedule is None:
        raise Http404(_("There is no schedule %(id)r.") % {"id": id})
    return schedule


def page_context(
    model_admin: Any, request: HttpRequest, title: str, schedule: Schedule | None = None
) -> dict[str, Any]:
    """What Django's templates need for a page of this package; its breadcrumbs end with the
    schedule, if it is about one."""
    site, opts = model_admin.admin_site, model_admin.opts
    request.current_app = site.name
    may_look = model_admin.has_view_or_change_permission(request)
    changelist = page_url(model_admin, "changelist") if may_look else None
    trail = [
        (reverse(f"{site.name}:index"), _("Home")),
        (reverse(f"{site.name}:app_list", args=[opts.app_label]), opts.app_config.verbose_name),
        (changelist, capfirst(opts.verbose_name_plural)),
    ]
    if schedule is not None:
        url = page_url(model_admin, "change", schedule.id) if may_look else None
        trail.append((url, str(schedule)))
    return {
        **site.each_context(request),
        "title": title,
        "opts": opts,
        "trail": trail,
        "trail_is_list": django.VERSION >= (6, 1),
        "media": model_admin.media,
    }
