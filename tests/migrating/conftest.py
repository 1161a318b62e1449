"""A project with tables of other packages, in processes of its own: their apps are not in ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

_NEEDED = {
    "test_celery_beat.py": "celery",
    "test_celery_timing.py": "django_celery_beat",
    "test_django_celery_beat.py": "django_celery_beat",
    "test_rq_scheduler.py": "rq_scheduler",
    "test_tasks_scheduler.py": "scheduler",
}
_PROMISED = os.environ.get("REDISCRON_TEST_MOVING", "").split()
collect_ignore = [
    file
    for file, module in _NEEDED.items()
    if module not in _PROMISED and find_spec(module) is None
]
"""No environment has all of these packages; tox.ini says which must be there."""

_SETUP = "import django; django.setup()\n"


@dataclass
class Project:
    """`tests.migrating.settings`, on a database of its own."""

    database: Path
    use_tz: bool = True

    def python(self, script: str, status: int = 0) -> str:
        """Run this with the apps ready; returns what it printed."""
        return self._run(["-c", _SETUP + script], status)

    def manage(self, *arguments: str, status: int = 0) -> str:
        """Run a command of Django's."""
        return self._run(["-m", "django", *arguments], status)

    def moved(self, *arguments: str, status: int = 0) -> dict[str, dict[str, Any]]:
        """Id -> what `rqrcron migrate` tells of it as JSON."""
        facts = json.loads(self.manage("rqrcron", "migrate", *arguments, "--json", status=status))
        return {each["id"]: each for each in facts["schedules"]}

    def _run(self, arguments: list[str], status: int) -> str:
        variables = {
            "DJANGO_SETTINGS_MODULE": "tests.migrating.settings",
            "REDISCRON_TEST_DATABASE": str(self.database),
            "REDISCRON_TEST_PROJECT_USE_TZ": str(int(self.use_tz)),
        }
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, done
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr * (status != 0 and not done.stdout)


@pytest.fixture(scope="session")
def _tables(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Path:
    database = tmp_path_factory.mktemp("project") / "database"
    Project(database).manage("migrate", "--verbosity", "0")
    return database


@pytest.fixture
def project(connection: Redis, _tables: Path, tmp_path: Path) -> Project:
    return Project(Path(shutil.copy(_tables, tmp_path)))
