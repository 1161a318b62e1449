"""`python -m tests.benchmarks.timeline`: how long the timeline of the admin takes, by its ranges.

As Django's test client sees it: seconds in which site and Redis work, one after the other, which is
how long a page takes where nothing else runs. Each number is the least of some rounds.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import django
from redis import Redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402

from django_rediscron import RedisCronJob, Run  # noqa: E402
from django_rediscron.core.store import define_many  # noqa: E402
from django_rediscron.core.store.keys import runs_key  # noqa: E402
from django_rediscron.core.timing.cron_times import utc_text  # noqa: E402
from tests import server  # noqa: E402

from .run import table  # noqa: E402

PAGE = "/admin/django_rediscron/schedule/timeline/"
RANGES = ("last-night", "tonight", "24h", "week")
MINUTE = timedelta(minutes=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--counts", type=int, nargs="+", default=[60, 10_000], metavar="SCHEDULES")
    options = parser.parse_args()
    try:
        connection = Redis.from_url(server.url())
        client = _client()
        rows = []
        for count in options.counts:
            connection.flushdb()
            fill(connection, count)
            took = [
                min(cost(client, f"?range={each}", connection) for _ in range(options.rounds))
                for each in RANGES
            ]
            rows.append([f"{count:,}", *(f"{seconds * 1000:.0f} ms" for seconds in took)])
        print(table("The timeline", ["schedules", *RANGES], rows))
    finally:
        server.stop()


def fill(connection: Redis, count: int) -> None:
    """Many schedules: most once a day or an hour, some every few minutes; with runs on record."""
    now = datetime.now(timezone.utc)
    jobs = [
        RedisCronJob(f"job-{n}", ("default", "reports")[n % 2], **_timing(n)) for n in range(count)
    ]
    define_many(jobs, connection)
    with connection.pipeline(transaction=False) as pipe:
        for number, job in enumerate(jobs):
            pipe.hset(job.key, "created_at", utc_text(now - timedelta(days=30)))
            apart = (10, 60, 1440)[number % 3]
            for run in range(100 if count <= 1000 else 10):
                begin = now - run * apart * MINUTE
                status = "failed" if run % 10 == 9 else "finished"
                end = begin + MINUTE / 2
                record = Run(f"{number}-{run}", begin, status, begin, end, "w", job.queue_name)
                pipe.rpush(runs_key(job.id), record.to_text())
        pipe.execute()


def _timing(number: int) -> dict[str, Any]:
    kind, options = number % 10, {"func_name": "tests.tasks.echo", "args": (number,)}
    if kind < 6:
        return {**options, "cron": f"{number % 60} {number // 60 % 24} * * *"}
    if kind < 8:
        return {**options, "cron": f"{number % 60} * * * *", "timezone": "Europe/Paris"}
    if kind == 8:
        return {**options, "cron": f"*/{2 + number // 10 % 20} 8-18 * * *"}
    return {**options, "interval": 60 + number % 3600}


def cost(client: Client, query: str, connection: Redis) -> float:
    """Seconds that site and Redis work for a page."""
    before = time.process_time() + _server_seconds(connection)
    response = client.get(f"{PAGE}{query}")
    assert response.status_code == 200
    return time.process_time() + _server_seconds(connection) - before


def _server_seconds(connection: Redis) -> float:
    used = connection.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _client() -> Client:
    setup_test_environment()
    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    client.get(PAGE)
    return client


if __name__ == "__main__":
    main()
