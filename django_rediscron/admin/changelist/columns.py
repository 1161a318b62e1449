"""The columns of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from rq.utils import now

from ...core.schedule.missed import own_time
from ...models import Schedule
from ...query.queryset import LatestRun
from ...use_tz import aware
from ..display import LATE, NOTHING, absolute, span, time_tag
from ..links import job_url
from ..outcomes import outcome

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Schedule]
else:
    Base = admin.ModelAdmin

LONGEST_ERROR = 120

STATES = {
    "enabled": gettext_lazy("enabled"),
    "disabled": gettext_lazy("disabled"),
    "finished": gettext_lazy("finished"),
    "error": gettext_lazy("error"),
}

CHANGING = ("next_run", "last_run", "current_state")
"""Columns that change without anybody's doing: the page refreshes them by itself."""


class ScheduleColumns(Base):
    """Each cell as text or HTML."""

    @admin.display(description=gettext_lazy("id"), ordering="id")
    def named(self, obj: Schedule) -> SafeString:
        """Its id, and what it runs."""
        return format_html(
            '<span class="rediscron-id">{}</span> <span class="rediscron-quiet">{}</span>',
            obj.id,
            obj.func_name,
        )

    @admin.display(description=gettext_lazy("schedule"), ordering="interval")
    def timing(self, obj: Schedule) -> str:
        """When it runs, in words and as it is written."""
        if obj.job is None:
            return NOTHING
        written = obj.job.cron or _("%(count)d s") % {"count": obj.job.interval or 0}
        words = obj.job.describe().removesuffix(f" ({obj.timezone})")  # it has its own column
        if words == written:
            return format_html('<code dir="ltr">{}</code>', written)
        return format_html('{} <code class="rediscron-quiet" dir="ltr">{}</code>', words, written)

    @admin.display(description=gettext_lazy("time zone"), ordering="timezone")
    def zone(self, obj: Schedule) -> str:
        """The zone in which its expression is read; an interval needs none."""
        if obj.job is None or not obj.job.cron:
            return NOTHING
        if obj.timezone:
            return obj.timezone
        title = _("the time zone of this project, in which the scheduler runs")
        return format_html(
            '<span class="rediscron-quiet" title="{}">{}</span>', title, settings.TIME_ZONE
        )

    @admin.display(description=gettext_lazy("next run"), ordering="next_enqueue_time")
    def next_run(self, obj: Schedule) -> str:
        """How soon; where it is due for long, how late it is."""
        if obj.job is None or obj.next_enqueue_time is None:
            return NOTHING
        moment = own_time(obj.job, aware(obj.next_enqueue_time))
        delay = (now() - moment).total_seconds()
        if delay < LATE or obj.state != "enabled":  # in error, it waits to be tried again
            return time_tag(moment)
        late = _("late by %(time)s") % {"time": span(delay)}
        return format_html(
            '<time datetime="{}" title="{}" class="rediscron-bad">{}</time>',
            moment.isoformat(),
            absolute(moment),
            late,
        )

    @admin.display(description=gettext_lazy("last run"), ordering=LatestRun())
    def last_run(self, obj: Schedule) -> str:
        """When, and what became of it, with a link to RQ's job."""
        run = obj.latest_run
        if run is None:
            return time_tag(obj.latest_enqueue_time)
        badge = format_html(
            '<span class="rediscron-outcome {}">{}</span>', run.status, outcome(run)
        )
        url = job_url(run.queue_name, run.job_id) if run.status else None
        if url:
            title = _("RQ job %(id)s") % {"id": run.job_id}
            badge = format_html('<a href="{}" title="{}">{}</a>', url, title, badge)
        return format_html("{} {}", badge, time_tag(run.enqueued_at))

    @admin.display(description=gettext_lazy("state"), ordering="enabled")
    def current_state(self, obj: Schedule) -> SafeString:
        """Enabled or not, errors with their text, and how it differs from the code."""
        shown = self.badges(obj)
        error = obj.damaged or (obj.job.last_error if obj.job else None)
        if error and obj.state == "error":
            short = Truncator(error).chars(LONGEST_ERROR)
            shown = format_html(
                '{} <span class="rediscron-reason" title="{}">{}</span>', shown, error, short
            )
        # The script that refreshes the page finds the row by this.
        return format_html('<span data-schedule="{}">{}</span>', obj.id, shown)

    def badges(self, obj: Schedule) -> SafeString:
        """The same without the text of an error."""
        state = obj.state
        badges: list[tuple[str, str, Any]] = [(state, "", STATES[state])]
        job = obj.job
        if job is not None and job.orphaned_at is not None:
            badges.append(("orphan", _("the code declares it no longer"), _("orphan")))
        if job is not None and job.overrides:
            names = ", ".join(job.overrides)
            title = _("differs from the code: %(fields)s") % {"fields": names}
            count = len(job.overrides)
            text = ngettext("overridden", "overridden (%(count)d)", count) % {"count": count}
            badges.append(("overridden", title, text))
        if job is not None and job.locked:
            title = _("only the code can change it")
            badges.append(("locked", title, _("locked")))
        return format_html_join(
            " ", '<span class="rediscron-badge rediscron-{}" title="{}">{}</span>', badges
        )
