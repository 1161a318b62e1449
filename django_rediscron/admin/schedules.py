"""The admin of schedules, put together from its pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from .lists import ScheduleList


class ScheduleAdmin(ScheduleList):
    """List, form, detail and history of schedules."""

    show_facets = admin.ShowFacets.NEVER

    def has_run_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this user may run a schedule now."""
        user: Any = request.user
        return bool(user.has_perm("django_rediscron.run_schedule"))
