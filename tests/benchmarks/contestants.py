"""Who is measured, and the environment that each one runs in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]


class MeasurementFailedError(Exception):
    """A program ended with an error; its own words went to standard error."""


_BASE = ("redis==8.1.0",)


@dataclass(frozen=True)
class Contestant:
    """A package, its program, and what its own environment needs (None: the one we run in)."""

    name: str
    program: str
    requirements: tuple[str, ...] | None = None

    def measure(self, environments: Path, measurement: str, url: str, count: int) -> dict[str, Any]:
        """Run one measurement in a new process and return what it says."""
        command = [
            str(self._python(environments)),
            str(PROGRAMS / self.program),
            measurement,
            url,
            str(count),
        ]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        if self.requirements is None:
            path = [str(ROOT), os.environ.get("PYTHONPATH")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        run = subprocess.run(
            command, check=False, env=environment, stdout=subprocess.PIPE, text=True
        )
        if run.returncode:
            raise MeasurementFailedError(f"{self.name}: {measurement} failed, see standard error")
        result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
        return result

    def prepare(self, environments: Path) -> None:
        """Build the environment if there is none with just these packages."""
        if self.requirements is None:
            return
        directory = environments / self.name
        mark = directory / "requirements.txt"
        wanted = "\n".join(self.requirements) + "\n"
        if mark.exists() and mark.read_text() == wanted:
            return
        print(f"building the environment of {self.name} in {directory}", file=sys.stderr)
        venv.create(directory, clear=True, with_pip=True)
        pip = [str(self._python(environments)), "-m", "pip", "install", "-qq"]
        subprocess.run([*pip, *self.requirements], check=True, stdout=sys.stderr)
        mark.write_text(wanted)

    def _python(self, environments: Path) -> Path:
        if self.requirements is None:
            return Path(sys.executable)
        return environments / self.name / "bin" / "python"


ENQUEUE_MANY = Contestant("enqueue_many", "run_enqueue_many.py")
OURS = Contestant("django-rediscron", "run_django_rediscron.py")
SYNC = Contestant("django-rediscron", "run_sync.py")
RQ_REDISCRON = Contestant(
    "rq-rediscron", "run_rq_rediscron.py", ("rq-rediscron==0.1.10", "rq==3.0.0", *_BASE)
)
RQ_CRON = Contestant("rq-cron", "run_rq_cron.py", ("rq==3.0.0", *_BASE))
RQ_SCHEDULER = Contestant(
    "rq-scheduler", "run_rq_scheduler.py", ("rq-scheduler==0.14.0", "rq==3.0.0", *_BASE)
)
# kombu's Redis transport imports packaging, which it does not ask for
CELERY_REDBEAT = Contestant(
    "celery-redbeat",
    "run_celery_redbeat.py",
    ("celery-redbeat==2.4.2", "celery==5.7.0", "packaging", *_BASE),
)

ALL: Sequence[Contestant] = (
    OURS,
    RQ_REDISCRON,
    RQ_CRON,
    RQ_SCHEDULER,
    CELERY_REDBEAT,
)
