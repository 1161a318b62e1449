"""The columns of the list: each function makes a cell, as text or HTML."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from rq.utils import now

from ...conf import aware
from ...core.schedule.missed import own_time
from ...models import Schedule
from ...query import LatestRun
from ..display import LATE, NOTHING, absolute, job_url, marks, moment_tag, outcome, span

LONGEST_ERROR = 120

STATES = {
    "enabled": gettext_lazy("enabled"),
    "disabled": gettext_lazy("disabled"),
    "finished": gettext_lazy("finished"),
    "error": gettext_lazy("error"),
    "paused": gettext_lazy("paused"),
}


@admin.display(description=gettext_lazy("id"), ordering="id")
def named(obj: Schedule) -> SafeString:
    """Its id, its tags, and the function that it runs."""
    tags = format_html_join("", ' <span class="rediscron-tag">{}</span>', zip(obj.tags.split()))
    return format_html(
        '<span class="rediscron-cut" title="{}"><span class="rediscron-id">{}</span>{}'
        ' <span class="rediscron-quiet">{}</span></span>',
        " ".join(filter(None, (obj.id, obj.tags, obj.func_name))),
        obj.id,
        tags,
        obj.func_name,
    )


@admin.display(description=gettext_lazy("schedule"), ordering="interval")
def timing(obj: Schedule) -> str:
    """When it runs, in words and as its interval or cron expression."""
    if obj.job is None:
        return NOTHING
    written = obj.job.cron or _("%(count)d s") % {"count": obj.job.interval or 0}
    words = obj.job.describe().removesuffix(f" ({obj.timezone})")  # the zone has its own column
    code = format_html('<code class="rediscron-quiet" dir="ltr">{}</code>', written)
    cell, title = code, written
    if words != written:
        cell, title = format_html("{} {}", words, code), f"{words} ({written})"
    return format_html('<span class="rediscron-cut" title="{}">{}</span>', title, cell)


@admin.display(description=gettext_lazy("time zone"), ordering="timezone")
def zone(obj: Schedule) -> str:
    """The zone in which its cron expression is read; an interval needs none."""
    if obj.job is None or not obj.job.cron:
        return NOTHING
    if obj.timezone:
        return obj.timezone
    title = _("the time zone of this project, in which the scheduler runs")
    return format_html(
        '<span class="rediscron-quiet" title="{}">{}</span>', title, settings.TIME_ZONE
    )


@admin.display(description=gettext_lazy("next run"), ordering="next_enqueue_time")
def next_run(obj: Schedule) -> str:
    """When it will run or, if it is overdue, how late it is."""
    if obj.job is None or obj.next_enqueue_time is None:
        return NOTHING
    moment = own_time(obj.job, aware(obj.next_enqueue_time))
    delay = (now() - moment).total_seconds()
    # After an error it waits for a retry, and while it is paused for the end of that.
    if delay < LATE or obj.shown_state != "enabled":
        return moment_tag(moment, obj.shown_zone)
    late = _("late by %(time)s") % {"time": span(delay)}
    return moment_tag(moment, obj.shown_zone, late, "rediscron-bad")


@admin.display(description="")
def buttons(obj: Schedule) -> SafeString:
    """What its reader may do with it at once."""
    return format_html_join(
        " ",
        '<button form="rediscron-act" formaction="{}" class="button" aria-label="{} {}">{}'
        "</button>",
        ((url, text, obj.id, text) for text, url in obj.buttons),
    )


def _latest_run(obj: Schedule) -> str:
    """When it was, and its outcome, with a link to RQ's job."""
    run = next(iter(obj.recent_runs), None)
    if run is None:
        return moment_tag(obj.latest_enqueue_time, obj.shown_zone)
    badge = format_html('<span class="rediscron-outcome {}">{}</span>', run.status, outcome(run))
    url = job_url(run.queue_name, run.job_id) if run.status else None
    if url:
        title = _("RQ job %(id)s") % {"id": run.job_id}
        badge = format_html('<a href="{}" title="{}">{}</a>', url, title, badge)
    return format_html("{} {}", badge, moment_tag(run.enqueued_at, obj.shown_zone))


@admin.display(description=gettext_lazy("last runs"), ordering=LatestRun())
def last_run(obj: Schedule) -> str:
    """The latest run, and a mark for each of the last ones."""
    latest = _latest_run(obj)
    if not obj.recent_runs:
        return latest
    return format_html(
        '<span class="rediscron-runs"><span>{}</span> {}</span>', latest, marks(obj.recent_runs)
    )


@admin.display(description=gettext_lazy("state"), ordering="enabled")
def current_state(obj: Schedule) -> SafeString:
    """Its badges, and the text of its error."""
    cell = badges(obj)
    error = obj.damaged or (obj.job.last_error if obj.job else None)
    if error and obj.state == "error":
        short = Truncator(error).chars(LONGEST_ERROR)
        cell = format_html(
            '{} <span class="rediscron-reason" title="{}">{}</span>', cell, error, short
        )
    # The script that refreshes the page finds the row by this.
    return format_html('<span data-schedule="{}">{}</span>', obj.id, cell)


def badges(obj: Schedule) -> SafeString:
    """Its state, and how it differs from the code."""
    state, pause = obj.shown_state, obj.pause
    job = obj.job
    why = job.off.describe(absolute) if job is not None and not job.enabled else ""
    if state == "paused" and pause is not None:
        why = pause.describe(absolute)
    found: list[tuple[str, str, Any]] = [(state, why, STATES[state])]
    if job is not None and job.orphaned_at is not None:
        found.append(("orphan", _("the code declares it no longer"), _("orphan")))
    if job is not None and job.overrides:
        names = ", ".join(job.overrides)
        title = _("differs from the code: %(fields)s") % {"fields": names}
        count = len(job.overrides)
        text = ngettext("overridden", "overridden (%(count)d)", count) % {"count": count}
        found.append(("overridden", title, text))
    if job is not None and job.locked:
        title = _("only the code can change it")
        found.append(("locked", title, _("locked")))
    return format_html_join(
        " ", '<span class="rediscron-badge rediscron-{}" title="{}">{}</span>', found
    )
