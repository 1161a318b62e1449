"""The journal's schedules, declared where Django starts the app."""

from __future__ import annotations

from django.apps import AppConfig

from django_rediscron import register


class JournalConfig(AppConfig):
    name = "journal"
    verbose_name = "Journal"

    def ready(self) -> None:
        """Declare the schedules; `rqcron_scheduler` writes them to Redis when it starts."""
        from . import tasks

        register(tasks.beat, "default", id="journal:beat", interval=5)
        register(
            tasks.greet,
            "default",
            id="journal:greeting",
            args=("world",),
            kwargs={"greeting": "Hello"},
            interval=20,
        )
        register(
            tasks.report,
            "reports",
            id="journal:report",
            kwargs={"minutes": 1},
            cron="* * * * *",
        )
        register(
            tasks.measure,
            "default",
            id="journal:weather",
            interval=10,
            description="Fails every other time and recovers.",
        )
        register(
            tasks.copy,
            "slow",
            id="journal:copy",
            kwargs={"seconds": 7},
            interval=3,
            overlap="skip",
            description="Takes longer than its interval: what overlaps is skipped.",
        )
        register(
            tasks.greet,
            "default",
            id="journal:tokyo",
            args=("Tokyo",),
            kwargs={"greeting": "Good morning"},
            cron="0 9 * * *",
            timezone="Asia/Tokyo",
            description="Runs at 9 in the morning in Tokyo, wherever the server is.",
        )
        register(
            tasks.beat,
            "default",
            id="journal:missed",
            interval=3600,
            misfire_grace=1,
            description="Missed its first run, for no scheduler was running then.",
        )
        register(
            tasks.beat,
            "archive",
            id="journal:archive",
            interval=5,
            description="Its queue is paused: resume it above the list.",
        )
