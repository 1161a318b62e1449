"""The admin of schedules, put together from its pages."""

from __future__ import annotations

from django.contrib import admin

from .changelist.page import ScheduleList
from .operations import ScheduleOperations
from .pages import SchedulePages


class ScheduleAdmin(SchedulePages, ScheduleOperations, ScheduleList):
    """List, form, detail and history of schedules."""

    show_facets = admin.ShowFacets.NEVER
