"""The part of Django's QuerySet that the admin uses, over Redis."""

from .queryset import LatestRun

__all__ = ["LatestRun"]
