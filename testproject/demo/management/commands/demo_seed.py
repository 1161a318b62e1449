"""What the demo has before its scheduler starts."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.core.management.base import BaseCommand

from django_rediscron import RedisCronJob, get_scheduler, pause

PAUSED_QUEUE = "archive"


class Command(BaseCommand):
    help = "Adds two users, whose password is DEMO_PASSWORD, and schedules that need attention."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("admin", help="a user who may do everything")
        parser.add_argument("viewer", help="a user who may only look")

    def handle(self, *, admin: str, viewer: str, **options: Any) -> None:
        password = os.environ["DEMO_PASSWORD"]
        User.objects.create_superuser(admin, password=password)
        user = User.objects.create_user(viewer, password=password, is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_schedule"))

        connection = get_scheduler().connection
        pause(connection, PAUSED_QUEUE, reason="The archive moves to another disk.", actor="demo")
        call_command("rqrcron_sync", verbosity=0)
        greeting = RedisCronJob.fetch("journal:greeting", connection)
        greeting.interval = 30
        greeting.save(actor="demo")
        missed = RedisCronJob.fetch("journal:missed", connection)
        # Its first run is due now. The scheduler, which starts afterwards, finds it too late.
        time.sleep((missed.misfire_grace or 0) + 0.5)
