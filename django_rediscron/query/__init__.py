"""The part of Django's QuerySet that the admin uses, over Redis."""

from .queryset import LatestRun, ScheduleQuerySet

__all__ = ["LatestRun", "ScheduleQuerySet"]
