"""Running a schedule now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from rq.job import Job, JobStatus

from ...core.dispatch.run_now import failure_of
from ...core.exceptions import InvalidScheduleError
from ...core.quoting import quoted_id
from ...models import Schedule
from ...query.queryset import connection
from ..breadcrumbs import page_context
from ..links import job_url

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Schedule]
else:
    Base = admin.ModelAdmin


class ScheduleRun(Base):
    """Run now: one job more, apart from the schedule, whose times stay as they are."""

    def has_run_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this user may run a schedule now."""
        user: Any = request.user
        return bool(user.has_perm("django_rediscron.run_schedule"))

    def run_now(self, request: HttpRequest, schedule: Schedule) -> Job:
        """Enqueue it, and enter that in the log.

        Raises `InvalidScheduleError`, also if it ran in this process and failed.
        """
        if schedule.job is None:
            raise InvalidScheduleError(f"schedule {quoted_id(schedule.id)} cannot be read")
        job = schedule.job.enqueue(connection())
        failure = failure_of(job)
        told = f"Run now, as job {job.id} in queue {job.origin}"
        self.log_change(
            request, schedule, f"{told}; it failed: {failure}" if failure else f"{told}."
        )
        if failure:
            raise InvalidScheduleError(
                f"schedule {quoted_id(schedule.id)} ran as job {job.id}, which failed: {failure}"
            )
        return job

    def run_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, and then run it."""
        schedule = self.get_object(request, unquote(object_id))
        if not self.has_run_permission(request, schedule):
            raise PermissionDenied
        if schedule is None:
            raise Http404(_("There is no schedule %(id)r.") % {"id": unquote(object_id)})
        if request.method != "POST":
            return self._ask(request, schedule)
        try:
            job = self.run_now(request, schedule)
        except InvalidScheduleError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            url = job_url(job.origin, job.id)
            if job.get_status(refresh=False) == JobStatus.FINISHED:
                told = _("Schedule “%(id)s” ran as job") % {"id": schedule.id}
                # RQ keeps no result
                url = url if job.result_ttl != 0 else None
            else:
                told = _("Schedule “%(id)s” was enqueued as job") % {"id": schedule.id}
            link = format_html('<a href="{}">{}</a>', url, job.id) if url else job.id
            self.message_user(request, format_html("{} {}.", told, link), messages.SUCCESS)
        return HttpResponseRedirect(self._page_after(request, schedule))

    def _ask(self, request: HttpRequest, schedule: Schedule) -> HttpResponse:
        context = {
            **page_context(self, request, _("Run now?"), schedule),
            "subtitle": str(schedule),
            "schedule": schedule,
            "args": json.dumps(list(schedule.job.args), ensure_ascii=False) if schedule.job else "",
            "kwargs": json.dumps(schedule.job.kwargs, ensure_ascii=False) if schedule.job else "",
            "back": self._page_after(request, schedule),
        }
        return TemplateResponse(
            request, "admin/django_rediscron/schedule/run_confirmation.html", context
        )

    def _page_after(self, request: HttpRequest, schedule: Schedule) -> str:
        """Its own page, for those who may see it."""
        site = self.admin_site.name
        if self.has_view_or_change_permission(request, schedule):
            page = f"{site}:django_rediscron_schedule_change"
            return reverse(page, args=[quote(schedule.id)])
        return reverse(f"{site}:index")
