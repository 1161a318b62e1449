"""A pass moves whatever is due: it runs, is skipped, or waits with an error that says why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import INDEX
from tests import tasks
from tests.clock import set_clock

MONDAY = datetime(2026, 3, 23, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)

OPTIONS: dict[str, dict[str, Any]] = {
    "latest": {},
    "too late": {"misfire_grace": 30},
    "skipping": {"catch_up": "skip"},
    "all": {"catch_up": "all"},
    "all that are in time": {"catch_up": "all", "misfire_grace": 150},
    "all, none in time": {"catch_up": "all", "misfire_grace": 1, "interval": 57},
    "jittered": {"jitter": 20, "misfire_grace": 30},
    "overlapping": {"overlap": "skip"},
    "last": {"max_runs": 5},
    "ended": {"end_at": MONDAY + 8 * MINUTE, "misfire_grace": 30},
    "cron": {"cron": "* * * * *", "interval": None, "misfire_grace": 1},
}


def save(job: RedisCronJob) -> None:
    job.args = ("edited",)
    job.save()


def register_again(job: RedisCronJob) -> None:
    scheduler = RedisCronScheduler(job._connected())
    timing = {"interval": job.interval, "cron": job.cron, **job.time_options}
    scheduler.register(tasks.echo, "other", id=job.id, **timing)


def switch(job: RedisCronJob) -> None:
    job.disable()
    job.enable()


def write(job: RedisCronJob, **fields: str) -> None:
    """As with redis-cli, which tells nobody."""
    job._connected().hset(job.key, mapping=fields)  # type: ignore[arg-type]


def replace(job: RedisCronJob) -> None:
    job._connected().delete(job.key)
    write(job, id=job.id, interval="60", queue_name="other", enabled="1", func_name=job.func_name)


def change_type(job: RedisCronJob) -> None:
    job._connected().delete(job.key)
    job._connected().set(job.key, "not a hash")


EDITS: dict[str, Callable[[RedisCronJob], object]] = {
    "saved": save,
    "registered": register_again,
    "switched": switch,
    "written": lambda job: write(job, args='["edited"]'),
    "given a field": lambda job: write(job, theirs="x"),
    "damaged": lambda job: write(job, func_name="tests.tasks.nothing"),
    "timed": lambda job: write(job, next_enqueue_time="2026-03-23T00:00:30.000000Z"),
    "replaced": replace,
    "deleted": lambda job: job._connected().delete(job.key, job.job_history_key),
    "no hash": change_type,
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("away", [timedelta(seconds=61), 11 * MINUTE], ids=["late", "very late"])
def test_an_edit_of_what_has_run_here_stops_nothing(
    connection: Redis,
    leader: RedisCronScheduler,
    monkeypatch: pytest.MonkeyPatch,
    edit: Callable[[RedisCronJob], object],
    away: timedelta,
) -> None:
    """What the scheduler remembers is not so any more; the place in the index may be the same."""
    clock = set_clock(monkeypatch, MONDAY)
    for id, options in OPTIONS.items():
        leader.register(tasks.echo, "metrics", id=id, **{"interval": 60, **options})
    ran = {job.id for job in leader.enqueue_jobs()}
    while ran != set(OPTIONS):
        clock.advance(timedelta(seconds=10))
        ran |= {job.id for job in leader.enqueue_jobs()}
    for _ in range(3):
        for job in leader.get_all_jobs():
            edit(job)
        clock.advance(away)
        leader.enqueue_jobs()
        assert connection.zrangebyscore(INDEX, "-inf", clock.time.timestamp()) == []
