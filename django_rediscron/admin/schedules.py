"""The admin of schedules, put together from its pages."""

from __future__ import annotations

from django.contrib import admin

from .lists import ScheduleList
from .pages import SchedulePages


class ScheduleAdmin(SchedulePages, ScheduleList):
    """List, form, detail and history of schedules."""

    show_facets = admin.ShowFacets.NEVER
