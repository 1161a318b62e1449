"""A Django project that has the schedules of other packages in its database."""

from __future__ import annotations

import os

import tests.migrating.celery_app  # noqa: F401  as the package of a project does
from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, REDIS_URL

INSTALLED_APPS = [*INSTALLED_APPS, "django_celery_beat", "scheduler"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["REDISCRON_TEST_DATABASE"],
    }
}
USE_TZ = os.environ.get("REDISCRON_TEST_PROJECT_USE_TZ") != "0"
TIME_ZONE = "America/New_York"
SCHEDULER_QUEUES = {"default": {"URL": REDIS_URL}, "reports": {"URL": REDIS_URL}}
