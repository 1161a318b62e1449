"""The Django app."""

from __future__ import annotations

import os
import time
from functools import partial

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Tags, register


class RediscronConfig(AppConfig):
    name = "django_rediscron"
    verbose_name = "Cron schedules"

    def ready(self) -> None:
        """Take queues from django-rq, and register the checks. Touches no Redis."""
        from . import checks
        from .conf import conf
        from .core.dispatch.applications import use_application
        from .core.sensitive import use_sensitive_names
        from .core.store.rq_queues import use_queue_factory
        from .queues import get_queue

        use_queue_factory(get_queue)
        use_application(lambda: conf.APPLICATION)
        use_sensitive_names(partial(getattr, conf, "SENSITIVE"))
        _use_time_zone()
        register(checks.check_settings, checks.SETTINGS)
        register(checks.check_queues, checks.SETTINGS)
        register(checks.check_declared, checks.DECLARATIONS)
        register(checks.check_receivers, checks.RECEIVERS)
        register(checks.check_eviction, Tags.database)


def _use_time_zone() -> None:
    """Make `TIME_ZONE` the zone of this process, as Django does it for settings in a module.

    After `settings.configure(TIME_ZONE=...)` it does not, and cron would be read in another zone.
    """
    by_hand = getattr(settings, "SETTINGS_MODULE", None) is None
    if by_hand and settings.is_overridden("TIME_ZONE") and settings.TIME_ZONE:
        os.environ["TZ"] = settings.TIME_ZONE
        time.tzset()
