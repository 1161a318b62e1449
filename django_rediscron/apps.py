"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register


class RediscronConfig(AppConfig):
    name = "django_rediscron"
    verbose_name = "Cron schedules"

    def ready(self) -> None:
        """Take queues from django-rq, and register the checks. Touches no Redis."""
        from . import checks
        from .core.queues import use_queue_factory
        from .queues import get_queue

        use_queue_factory(get_queue)
        register(checks.check_settings, checks.SETTINGS)
        register(checks.check_queues, checks.SETTINGS)
        register(checks.check_declared, checks.DECLARATIONS)
        register(checks.check_eviction, Tags.database)
