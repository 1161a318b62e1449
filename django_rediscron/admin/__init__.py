"""Schedules in Django's admin."""

from __future__ import annotations

from django.contrib import admin

from ..models import Schedule
from .schedule_admin import ScheduleAdmin

admin.site.register(Schedule, ScheduleAdmin)

__all__ = ["ScheduleAdmin"]
