"""What the worker runs: each task writes one entry."""

from __future__ import annotations

import time
from datetime import timedelta

from django.utils import timezone
from rq import get_current_job

from .models import Entry

STATION_ANSWERED = "The station answers: 12 degrees."
STATION_SILENT = "The station does not answer."


def beat() -> str:
    """Show that the worker is alive."""
    return _write("The heart beats.")


def greet(name: str, *, greeting: str) -> str:
    """Greet somebody."""
    return _write(f"{greeting}, {name}!")


def report(*, minutes: int, title: str = "Report") -> str:
    """Count what was written in the last minutes."""
    since = timezone.now() - timedelta(minutes=minutes)
    count = Entry.objects.filter(written_at__gte=since).count()
    return _write(f"{title}: {count} entries in the last {minutes} min.")


def measure() -> str:
    """Ask a weather station that answers every other time."""
    latest = Entry.objects.filter(text__startswith="The station").first()
    if latest is None or latest.text == STATION_ANSWERED:
        _write(STATION_SILENT)
        raise ConnectionError(STATION_SILENT)
    return _write(STATION_ANSWERED)


def copy(*, seconds: int) -> str:
    """Take a while."""
    time.sleep(seconds)
    return _write("The journal was copied.")


def _write(text: str) -> str:
    job = get_current_job()
    Entry.objects.create(text=text, queue=job.origin if job else "")
    return text
