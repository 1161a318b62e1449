"""The further pages of a schedule, and what its own page shows beside the form."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from ..models import Schedule
from ..query.queryset import connection
from .changeform.form import fixed_fields
from .changeform.page import TEMPLATES, ScheduleChange
from .changeform.preview import PreviewForm
from .changelist.columns import ScheduleColumns
from .display import absolute
from .one_schedule.details import read_details
from .one_schedule.reset import ScheduleReset
from .one_schedule.run_now import ScheduleRun
from .outages import answering
from .oversize import accepting_large_forms


class SchedulePages(ScheduleChange, ScheduleRun, ScheduleReset, ScheduleColumns):
    """Form, preview, detail, run now and reset; none of them fails with Redis."""

    add_view = accepting_large_forms(admin.ModelAdmin.add_view)
    change_view = accepting_large_forms(admin.ModelAdmin.change_view)
    changeform_view = answering(ScheduleChange.changeform_view)
    run_view = answering(ScheduleRun.run_view)
    reset_view = answering(ScheduleReset.reset_view)
    delete_view = answering(admin.ModelAdmin.delete_view)
    history_view = answering(admin.ModelAdmin.history_view)

    def get_urls(self) -> list[URLPattern]:
        """Django's own, and before them ours."""
        wrap = self.admin_site.admin_view
        name = "django_rediscron_schedule_{}".format
        return [
            path("preview/", wrap(self.preview_view), name=name("preview")),
            path("<path:object_id>/run/", wrap(self.run_view), name=name("run")),
            path("<path:object_id>/reset/", wrap(self.reset_view), name=name("reset")),
            *super().get_urls(),
        ]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The next runs of what is in the form, as a piece of HTML."""
        if not (self.has_view_or_change_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        form = PreviewForm(request.GET, stored=self._stored(request))
        return render(request, f"{TEMPLATES}/preview.html", {"preview": form.preview()})

    def _stored(self, request: HttpRequest) -> Any:
        """The schedule whose form it is, which goes on where it is."""
        id = request.GET.get("stored")
        if not id or not self.has_view_or_change_permission(request):
            return None
        with suppress(RedisError):  # a preview needs no Redis
            schedule = self.get_object(request, id)
            return schedule.job if schedule else None
        return None

    def render_change_form(
        self,
        request: Any,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Schedule | None = None,
    ) -> HttpResponse:
        """Django's own, with what the schedule did."""
        if obj is not None:
            context.update(self._context(request, obj))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _context(self, request: HttpRequest, schedule: Schedule) -> dict[str, Any]:
        job = schedule.job
        details = read_details(schedule, connection())
        context: dict[str, Any] = {"details": details, "job": job}
        if job is None:
            return context
        schedule.latest_run = next((row.run for row in details.runs), None)
        context["facts"] = [
            (_("State"), self.badges(schedule)),  # an error stands below, whole
            (_("Runs"), self.timing(schedule)),
            (_("Next run"), self.next_run(schedule)),
            (_("Last run"), self.last_run(schedule)),
        ]
        if job.max_runs is not None:
            context["facts"].append((_("Runs so far"), f"{job.runs} / {job.max_runs}"))
        if self.has_run_permission(request, schedule):
            context["run_url"] = self._url("run", schedule)
        if self.has_change_permission(request, schedule):
            context["reset_url"] = self._url("reset", schedule)
            context["fixed_function"] = bool(fixed_fields(job))
        if job.last_error_at is not None:
            context["last_error_at"] = absolute(job.last_error_at)
        return context

    def _url(self, page: str, schedule: Schedule) -> str:
        name = f"{self.admin_site.name}:django_rediscron_schedule_{page}"
        return reverse(name, args=[quote(schedule.id)])
