"""The list of schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from ..models import Schedule
from ..query import ScheduleQuerySet

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Schedule]
else:
    Base = admin.ModelAdmin


class ScheduleList(Base):
    """What the list shows, and how it is searched and sorted."""

    list_display = ("id", "schedule", "queue_name", "next_enqueue_time", "latest_enqueue_time")
    search_fields = ("id", "func_name")
    ordering = ("id",)

    def get_queryset(self, request: HttpRequest) -> ScheduleQuerySet:
        """All schedules; within one request, what was found is not searched for again."""
        return super().get_queryset(request).remembering()  # type: ignore[attr-defined,no-any-return]

    @admin.display(description="schedule")
    def schedule(self, obj: Schedule) -> str:
        """When it runs."""
        return obj.job.schedule if obj.job else ""
