"""Running several schedules now, and resetting several to the code; both ask first."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..models import Schedule
from .breadcrumbs import page_context
from .changelist.actions import ScheduleActions
from .one_schedule.reset import ScheduleReset
from .one_schedule.run_now import ScheduleRun

SHOWN = 100
"""Schedules that the question names one by one."""


class ScheduleOperations(ScheduleActions, ScheduleRun, ScheduleReset):
    """Actions that cannot be taken back."""

    actions = (*ScheduleActions.actions, "run_selected", "reset_selected")

    @admin.action(permissions=["run"], description=gettext_lazy("Run selected schedules now"))
    def run_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """One job of each, at once."""
        if not request.POST.get("post"):
            told = _("This enqueues one job of each of these schedules at once.")
            return self._confirm(request, queryset, _("Run now?"), told, _("Run now"))
        report = self._do(request, queryset, lambda each: bool(self.run_now(request, each)))
        count = len(report.done)
        self._tell(request, report, ngettext("%d enqueued", "%d enqueued", count) % count)
        return None

    @admin.action(
        permissions=["change"], description=gettext_lazy("Reset selected schedules to code")
    )
    def reset_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """All fields that people changed get the values of the code again."""
        if not request.POST.get("post"):
            told = _(
                "What was changed in these schedules since the code declared them is lost. Those "
                "that no code declares stay as they are."
            )
            return self._confirm(request, queryset, _("Reset to code?"), told, _("Reset"))
        report = self._do(request, queryset, lambda each: bool(self.reset_to_code(request, each)))
        count = len(report.done)
        self._tell(request, report, ngettext("%d reset", "%d reset", count) % count)
        return None

    def _confirm(
        self, request: HttpRequest, queryset: Any, title: str, told: str, button: str
    ) -> HttpResponse:
        chosen = self._chosen(request, queryset)
        schedules: list[Schedule] = list(chosen[:SHOWN])
        count = len(schedules) if len(schedules) < SHOWN else chosen.count()
        # What the page of the list sent, but for its second menu and the token.
        sent = {name: request.POST.getlist(name) for name in (ACTION_CHECKBOX_NAME, "action")}
        sent["action"] = [name for name in sent["action"] if name][:1]
        sent["select_across"] = [request.POST.get("select_across", "0")]
        context = {
            **page_context(self, request, title),
            "told": told,
            "button": button,
            "schedules": schedules,
            "count": count,
            "more": count - len(schedules),
            "sent": [(name, value) for name, values in sent.items() for value in values],
        }
        page = "admin/django_rediscron/schedule/confirm_selected.html"
        return TemplateResponse(request, page, context)
