"""What the worker runs: each task writes one entry."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from rq import get_current_job

from .models import Entry


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


def _write(text: str) -> str:
    job = get_current_job()
    Entry.objects.create(text=text, queue=job.origin if job else "")
    return text
