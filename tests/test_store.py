"""Many schedules at once, and the indexes."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import InvalidScheduleError, RedisCronJob, RedisCronScheduler
from django_rediscron.core.keys import DISABLED, INDEX
from django_rediscron.core.store import define_many, list_schedules, reindex
from tests import tasks


def jobs(connection: Redis, count: int, **options: Any) -> list[RedisCronJob]:
    given: dict[str, Any] = {"func": tasks.echo, "interval": 60, "connection": connection}
    return [
        RedisCronJob(id=f"job {n:04}", queue_name="metrics", args=(n,), **{**given, **options})
        for n in range(count)
    ]


def test_register_creates_then_edits(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection)
    first = scheduler.register(tasks.echo, "metrics", id="a", interval=300, enabled=False)
    again = scheduler.register(tasks.echo, "other", id="a", interval=600, args=(1,))
    assert again.created_at == first.created_at
    assert again.enabled is False
    assert (again.queue_name, again.interval, again.args) == ("other", 600, (1,))
    assert scheduler.register(tasks.echo, "other", id="a", interval=600, enabled=True).enabled
    assert len(scheduler.get_all_jobs()) == 1
    with pytest.raises(InvalidScheduleError, match="id is needed"):
        scheduler.register(tasks.echo, "metrics", interval=1)


def test_many_are_written_in_few_round_trips(connection: Redis) -> None:
    many = jobs(connection, 1000)
    connection.config_resetstat()
    define_many(many, connection)
    assert connection.info("commandstats")["cmdstat_evalsha"]["calls"] <= 5
    assert connection.zcard(INDEX) == 1000


def test_one_bad_definition_among_many_writes_none(connection: Redis) -> None:
    batch = jobs(connection, 3)
    batch[2].interval = -1
    with pytest.raises(InvalidScheduleError):
        define_many(batch, connection)
    assert connection.keys("*") == []


def _register(url: str, queue_name: str) -> None:
    scheduler = RedisCronScheduler(Redis.from_url(url), logging_level="WARNING")
    for _ in range(50):
        scheduler.register(tasks.echo, queue_name, id="one", interval=300, args=(queue_name,))


def test_eight_processes_registering_one_id_leave_one_whole_schedule(
    connection: Redis, redis_url: str
) -> None:
    with multiprocessing.get_context("spawn").Pool(8) as pool:
        pool.starmap(_register, [(redis_url, f"queue{n}") for n in range(8)])
    job = RedisCronJob.fetch("one", connection)
    assert job.args == (job.queue_name,)
    assert job.revision == 399
    assert connection.zrange(INDEX, 0, -1) == [b"one"]


def test_listings_are_sorted_name_the_damaged_and_prune_the_stale(connection: Redis) -> None:
    scheduler = RedisCronScheduler(connection)
    for id, queue_name in (("z", "a"), ("y", "b"), ("x", "b")):
        scheduler.register(tasks.echo, queue_name, id=id, interval=60, enabled=id != "x")
    scheduler.register(tasks.echo, "a", id="bad", interval=60)
    connection.hset("rq:cron_job:bad", "args", b"\xff")
    connection.zadd(INDEX, {"gone": 5})
    connection.zadd(DISABLED, {"gone too": 5})

    listing = list_schedules(connection)
    assert [job.id for job in listing.jobs] == ["z", "x", "y"]
    assert [damaged.id for damaged in listing.damaged] == ["bad"]
    assert "UTF-8" in listing.damaged[0].reason
    assert connection.zscore(INDEX, "gone") is None
    assert connection.zscore(DISABLED, "gone too") is None
    assert [job.id for job in scheduler.get_jobs()] == ["z", "y"]
    assert [job.id for job in scheduler.get_all_jobs()] == ["z", "x", "y"]


def test_listing_does_not_look_at_other_keys(connection: Redis) -> None:
    define_many(jobs(connection, 10), connection)
    connection.mset({f"other:{n}": "x" for n in range(1000)})
    before = connection.info("commandstats").get("cmdstat_scan", {}).get("calls", 0)
    assert len(list_schedules(connection).jobs) == 10
    assert connection.info("commandstats").get("cmdstat_scan", {}).get("calls", 0) == before


def test_reindex_puts_back_what_is_in_no_index_and_takes_out_what_is_gone(
    connection: Redis,
) -> None:
    define_many(jobs(connection, 700), connection)
    disabled = RedisCronJob.fetch("job 0001", connection)
    disabled.disable()
    connection.delete(INDEX, DISABLED)
    connection.zadd(INDEX, {"gone": 5, "rqs.name": 5})
    connection.zadd("rq:cron_job:rqs.name:jobs", {"job": 5})
    report = reindex(connection)
    assert (report.schedules, report.restored, report.pruned) == (700, 700, 1)
    assert connection.zcard(INDEX) == 700  # 699 enabled ones, and RQ's name
    assert connection.zrange(DISABLED, 0, -1) == [b"job 0001"]
    assert reindex(connection).restored == 0
