"""Writes django_rq_scheduler.json beside it: the export of what its real models hold.

django-rq-scheduler 2023.9.0 needs RQ 1, so that it cannot be installed beside this package. In an
environment of its own, with a Redis whose URL is in REDIS_URL:

    pip install django-rq-scheduler==2023.9.0
    PYTHONPATH=. python tests/migrating/data/write_django_rq_scheduler.py
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

QUEUE = {"URL": os.environ["REDIS_URL"]}
NEW_YEAR = datetime(2040, 1, 1, 5, 30, tzinfo=timezone.utc)


def main() -> None:
    """Fill a database with jobs of all kinds, and export it."""
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "scheduler"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        SCHEDULER_QUEUES={"default": QUEUE, "reports": QUEUE},
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    call_command("migrate", verbosity=0)
    _fill()
    file = Path(__file__).with_name("django_rq_scheduler.json")
    call_command("export", "--output", "json", "--filename", str(file))


def _fill() -> None:
    from scheduler.models import CronJob, JobArg, JobKwarg, RepeatableJob, ScheduledJob

    common: dict[str, Any] = {"callable": "tests.tasks.echo", "queue": "default"}
    cron = CronJob.objects.create(
        **common | {"queue": "reports"},
        name="nightly",
        cron_string="30 2 * * 1-5",
        timeout=600,
        result_ttl=0,
        at_front=True,
    )
    for kind, text in (("str", "a"), ("int", "5"), ("bool", "True")):
        JobArg.objects.create(arg_type=kind, val=text, content_object=cron)
    JobKwarg.objects.create(arg_type="str", key="to", val="b", content_object=cron)
    CronJob.objects.create(**common, name="off", cron_string="0 0 1 * *", enabled=False)
    RepeatableJob.objects.create(
        **common, name="hourly", interval=2, interval_unit="hours", scheduled_time=NEW_YEAR
    )
    RepeatableJob.objects.create(
        **common,
        name="thrice",
        interval=1,
        interval_unit="weeks",
        scheduled_time=NEW_YEAR,
        repeat=2,
        result_ttl=-1,
    )
    ScheduledJob.objects.create(**common, name="once", scheduled_time=NEW_YEAR)
    ScheduledJob.objects.create(
        **common, name="over", scheduled_time=NEW_YEAR - timedelta(days=366 * 15)
    )
    dated = ScheduledJob.objects.create(**common, name="dated", scheduled_time=NEW_YEAR)
    JobArg.objects.create(arg_type="datetime", val="2030-01-01T00:00:00", content_object=dated)
    called = ScheduledJob.objects.create(**common, name="called", scheduled_time=NEW_YEAR)
    JobArg.objects.create(arg_type="callable", val="time.time", content_object=called)


main()
