"""The list of schedules."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from ...query.queryset import ScheduleQuerySet, connection
from ...unreachable import UnreachableError, reaching
from ..lastruns import with_last_runs
from ..refresh import ScheduleRefresh
from . import banner
from .actions import ScheduleActions
from .filters import ApplicationFilter, QueueFilter, SourceFilter, StateFilter


class ScheduleList(ScheduleActions, ScheduleRefresh):
    """What the list shows, and how it is searched, filtered and sorted."""

    # What an operator looks for first comes first: a narrow page shows no more.
    list_display = (
        "named",
        "current_state",
        "next_run",
        "timing",
        "last_run",
        "queue_name",
        "zone",
    )
    list_filter = (StateFilter, QueueFilter, SourceFilter, ApplicationFilter)
    search_fields = ("id", "func_name")
    ordering = ("id",)
    # Counting all of them beside those found would search Redis twice.
    show_full_result_count = False
    change_list_template = "admin/django_rediscron/schedule/change_list.html"

    def get_queryset(self, request: HttpRequest) -> ScheduleQuerySet:
        """All schedules; within one request, what was found is not searched for again."""
        found = cast(ScheduleQuerySet, super().get_queryset(request))
        if hasattr(request, "rediscron_outage"):
            found = found.none()
        return found.remembering()

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Django's own; where a page is shown, with the last runs of its schedules."""
        changelist = super().get_changelist_instance(request)
        if request.method != "POST" and not hasattr(request, "rediscron_outage"):
            changelist.result_list = with_last_runs(changelist.result_list)
        return changelist

    def get_urls(self) -> list[URLPattern]:
        """With the view that refreshes the list."""
        view = self.admin_site.admin_view(self.refresh_view)
        name = "django_rediscron_schedule_refresh"
        return [path("refresh/", view, name=name), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's own with a banner; where Redis fails, that alone, without schedules."""
        try:
            with reaching(connection()):
                response = super().changelist_view(request, extra_context)
            above = banner.read_banner
        except UnreachableError as error:
            if request.method == "POST":
                self.message_user(request, str(error), messages.ERROR)
                return HttpResponseRedirect(request.get_full_path())
            request.rediscron_outage = True  # type: ignore[attr-defined]
            response = super().changelist_view(request, extra_context)
            reason = str(error)
            above = lambda: banner.unreachable(reason)  # noqa: E731
        if isinstance(response, TemplateResponse) and "cl" in (response.context_data or {}):
            url = reverse(f"{self.admin_site.name}:django_rediscron_schedule_refresh")
            response.context_data.update(banner=above(), refresh_url=url)  # type: ignore[union-attr]
        return response

    class Media:
        css = {"all": ("django_rediscron/schedules.css",)}  # noqa: RUF012
        js = ("django_rediscron/schedules.js",)
