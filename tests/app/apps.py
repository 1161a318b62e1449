"""An application that declares schedules, as a project would."""

from __future__ import annotations

import json
import os

from django.apps import AppConfig


class TestsConfig(AppConfig):
    name = "tests.app"
    label = "tests_app"

    def ready(self) -> None:
        from django_rediscron import register
        from tests import tasks

        for options in json.loads(os.environ.get("REDISCRON_TEST_DECLARED", "[]")):
            register(tasks.echo, **options)
