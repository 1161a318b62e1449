"""Many schedules at once, and the indexes."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import InvalidScheduleError, RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch.memory import LONGEST_DELAY
from django_rediscron.core.store import define_many, list_schedules, reindex
from django_rediscron.core.store.keys import DISABLED, ERRORS, INDEX, job_key
from django_rediscron.core.store.listing import retry_failed
from tests import tasks
from tests.forks import forks


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
    with forks.Pool(8) as pool:
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


@pytest.mark.parametrize("later", [LONGEST_DELAY + 105, 1e9, math.inf])
def test_reindex_lets_nothing_wait_for_longer_than_its_next_time_says(
    connection: Redis, leader: RedisCronScheduler, later: float
) -> None:
    """Seen to fail with `too_late` in the script `reindex` taken out."""
    leader.register(tasks.echo, "metrics", "interval", interval=60)
    leader.register(tasks.echo, "metrics", "jitter", interval=60, jitter=100)
    leader.register(tasks.echo, "metrics", "cron", cron="0 0 1 1 *")
    right = dict(connection.zrange(INDEX, 0, -1, withscores=True))
    connection.zadd(INDEX, {id: score + later for id, score in right.items()})
    assert reindex(connection).restored == 3
    assert [job.id for job in leader.enqueue_jobs()] == ["interval"]
    for id in ("jitter", "cron"):
        assert connection.zscore(INDEX, id) == pytest.approx(right[id.encode()])


def test_reindex_leaves_those_alone_that_wait_with_reason(connection: Redis) -> None:
    """For their next time, delayed at random, or for another attempt."""
    scheduler = RedisCronScheduler(connection)
    scheduler.register(tasks.echo, "metrics", "error", interval=60)
    scheduler.register(tasks.echo, "metrics", "jitter", interval=60, jitter=3600)
    scheduler.register(tasks.echo, "metrics", "cron", cron="0 0 1 1 *")
    places = {"error": time.time() + LONGEST_DELAY, "jitter": time.time() + 3500}
    connection.zadd(INDEX, places)
    before = connection.zrange(INDEX, 0, -1, withscores=True)
    report = reindex(connection)
    assert (report.schedules, report.restored, report.pruned) == (3, 0, 0)
    assert connection.zrange(INDEX, 0, -1, withscores=True) == before


def test_reindex_takes_members_out_of_the_wrong_index(connection: Redis) -> None:
    """Seen to fail with `misplaced` in the script `reindex` taken out."""
    scheduler = RedisCronScheduler(connection)
    scheduler.register(tasks.echo, "metrics", "enabled", interval=60)
    scheduler.register(tasks.echo, "metrics", "disabled", interval=60, enabled=False)
    scheduler.register(tasks.echo, "metrics", "finished", interval=60, max_runs=1)
    scheduler.start(burst=True)
    assert connection.hexists(job_key("finished"), "finished_at")
    for index in (INDEX, DISABLED):
        connection.zadd(index, dict.fromkeys(("enabled", "disabled", "finished"), 1))
    report = reindex(connection)
    assert (report.schedules, report.restored, report.pruned) == (3, 0, 3)
    assert connection.zrange(INDEX, 0, -1) == [b"enabled"]
    assert set(connection.zrange(DISABLED, 0, -1)) == {b"disabled", b"finished"}


def test_reindex_takes_out_errors_that_are_none(connection: Redis) -> None:
    """Seen to fail with the errors left out of `reindex`."""
    scheduler = RedisCronScheduler(connection)
    for id in ("bad", "good"):
        scheduler.register(tasks.echo, "metrics", id, interval=60)
    connection.hset(job_key("bad"), "args", "no JSON")
    connection.rpush(job_key("list"), "no hash")
    connection.zadd(INDEX, {"list": 1})
    scheduler.start(burst=True)
    assert set(connection.zrange(ERRORS, 0, -1)) == {b"bad", b"list"}
    connection.zadd(ERRORS, {"good": 1, "gone": 1})
    assert reindex(connection).pruned == 2
    assert set(connection.zrange(ERRORS, 0, -1)) == {b"bad", b"list"}


def test_reindex_counts_schedules_and_no_other_hashes(connection: Redis) -> None:
    define_many(jobs(connection, 2), connection)
    connection.hset(job_key("of another program"), "foo", "bar")
    assert reindex(connection).schedules == 2


@pytest.mark.parametrize("id", [".", ".."])
def test_a_stored_id_that_has_no_page_is_listed_kept_and_can_be_deleted(
    connection: Redis, id: str
) -> None:
    fields = {"id": id, "func_name": "tests.tasks.echo", "queue_name": "q", "interval": "5"}
    connection.hset(job_key(id), mapping=fields)  # another program may write it
    assert reindex(connection).restored == 1
    (job,) = list_schedules(connection).jobs
    assert RedisCronJob.fetch(id, connection).id == job.id == id
    job.delete()
    assert connection.exists(job_key(id)) == 0
    assert connection.zscore(INDEX, id) is None


def test_ids_that_are_no_text_disturb_no_client_that_decodes_replies(
    connection: Redis, redis_url: str
) -> None:
    RedisCronJob("日報", "x", func=tasks.echo, interval=60, connection=connection).save()
    odd = b"\xff\xfe"
    fields = {"id": odd, "func_name": "tests.tasks.echo", "queue_name": "x", "interval": "5"}
    connection.hset(job_key("").encode() + odd, mapping=fields)
    for key in (INDEX, ERRORS):
        connection.zadd(key, {odd: 1})
    connection.zrem(INDEX, "日報")
    with Redis.from_url(redis_url, decode_responses=True) as client:
        assert reindex(client).restored == 1
        listing = list_schedules(client)
        retry_failed(client)
    assert [job.id for job in listing.jobs] == ["日報"]
    assert [damaged.id for damaged in listing.damaged] == ["\\xff\\xfe"]
