"""Alarms for tests of receivers, as the leader makes them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from django_rq import get_queue
from redis import Redis
from rq import SimpleWorker

from django_rediscron import get_scheduler
from django_rediscron.core.notifying.notification import Notification
from tests import tasks

YEAR = 365 * 86400
AT = datetime(2026, 11, 28, 3, 0, 5, tzinfo=timezone.utc)


def alarm(
    kind: str = "run_failed", id: str = "billing", number: int = 1, **changed: Any
) -> Notification:
    """An alarm of a schedule without a run, unless it says otherwise."""
    values: dict[str, Any] = {
        "id": f"1-{number}",
        "at": AT,
        "schedule": None,
        "occurrence": AT.replace(second=0),
        "run": None,
        "text": f"Schedule {id}: the run due at 03:00:00 UTC failed.",
        "facts": {},
        **changed,
    }
    return Notification(kind=kind, schedule_id=id, **values)


def due(connection: Redis, *ids: str) -> None:
    """Failing schedules that are due now, and not again during the test."""
    for id in ids:
        get_scheduler().register(tasks.fail, "default", id=id, interval=YEAR)
        connection.zadd("rq:cron_jobs", {id: 1})
        connection.hset(f"rq:cron_job:{id}", "next_enqueue_time", "2026-03-23T12:00:00.000000Z")


def work(connection: Redis) -> None:
    """Let a real worker do what is in the queue."""
    SimpleWorker([get_queue("default")], connection=connection).work(burst=True)
