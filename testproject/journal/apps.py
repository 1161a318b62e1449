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
