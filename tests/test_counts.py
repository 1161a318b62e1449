"""What is counted for ever, for metrics: a count never goes back, and nothing counts twice.

Seen to fail, each with this taken out: `add` in the scripts `end_runs` and `dispatch`, `undo` in
the latter, `sums` in the former, `passes.write` in `Session.heartbeat`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from rq.utils import now, utcformat

from django_rediscron import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import COUNTS, IN_FLIGHT, LOCK, SCHEDULERS, outcomes_key
from django_rediscron.core.story.counts import PASS, RUN, seconds_of
from django_rediscron.core.story.following import Following
from django_rediscron.core.story.in_flight import entry_text, terms
from tests import tasks
from tests.processes import running_scheduler, wait_until

SECOND = timedelta(seconds=1)


def counts(connection: Redis, key: str = COUNTS) -> dict[str, int]:
    stored = connection.hgetall(key)
    return {name.decode(): int(value) for name, value in stored.items() if b" " in name}


@pytest.fixture
def end(leader: RedisCronScheduler) -> Callable[..., None]:
    """Let a run of `report` end after so many seconds, and the leader see that."""
    connection, numbers = leader.connection, iter(range(1000))
    following = Following(connection)

    def end(seconds: float, status: str = "finished", queue: str = "metrics") -> None:
        job_id, moment = f"job-{next(numbers)}", now()
        fields = {
            "status": status,
            "started_at": utcformat(moment - seconds * SECOND),
            "ended_at": utcformat(moment),
            "origin": queue,
        }
        connection.hset(f"rq:job:{job_id}", mapping=fields)
        shared = terms("schedule", "rq:job:")
        connection.hset(IN_FLIGHT, job_id, entry_text(moment, moment, shared, "report"))
        assert following.sweep(connection.get(LOCK).decode())

    return end


def register(leader: RedisCronScheduler, id: str = "report", **options: Any) -> RedisCronJob:
    return leader.register(tasks.echo, "metrics", id=id, **{"interval": 86400, **options})


def test_runs_are_counted_by_queue_and_by_how_long_they_took(
    connection: Redis, leader: RedisCronScheduler, end: Callable[..., None]
) -> None:
    register(leader)
    for seconds in (0, 0.1, 0.11, 59.9, 60, 61, 3601):
        end(seconds)
    end(5, "failed", "other queue")
    end(5, "canceled")  # of which RQ keeps no time
    found = counts(connection)
    assert found == {
        "finished metrics": 7,
        "failed other queue": 1,
        "canceled metrics": 1,
        "run 0.1": 2,
        "run 1": 1,
        "run 10": 1,
        "run 60": 2,
        "run 600": 1,
        "run inf": 1,
        "run microseconds": round((0.1 + 0.11 + 59.9 + 60 + 61 + 3601 + 5) * 1e6),
    }
    assert counts(connection, outcomes_key("report")) == found
    buckets, seconds = seconds_of(RUN, found)
    bounds = {"0.1": 2, "1.0": 3, "10.0": 4, "60.0": 6, "600.0": 7, "3600.0": 7, "+Inf": 8}
    assert dict(buckets) == bounds
    assert seconds == pytest.approx(3787.11)


def test_clocks_that_differ_make_no_negative_time(
    connection: Redis, leader: RedisCronScheduler, end: Callable[..., None]
) -> None:
    register(leader)
    end(-5)
    assert counts(connection)["run microseconds"] == 0


def test_counts_outlive_deletion(
    connection: Redis, leader: RedisCronScheduler, end: Callable[..., None]
) -> None:
    job = register(leader)
    end(1)
    before = counts(connection)
    job.delete()
    assert counts(connection) == before
    end(1)  # of a schedule that is gone, in a queue that RQ still knows
    register(leader)
    end(1)
    assert counts(connection)["finished metrics"] == 3
    assert counts(connection, outcomes_key("report")) == counts(connection)


def test_of_a_job_that_is_gone_the_queue_is_that_of_its_schedule(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    register(leader)
    moment, shared = now(), terms("schedule", "rq:job:")
    connection.hset(IN_FLIGHT, "gone", entry_text(moment, moment, shared, "report"))
    connection.hset(IN_FLIGHT, "lost", entry_text(moment, moment, shared, "no such schedule"))
    assert Following(connection).sweep(connection.get(LOCK).decode())
    assert counts(connection) == {"unknown metrics": 1, "unknown ": 1}


def test_skips_are_counted_by_reason(connection: Redis, leader: RedisCronScheduler) -> None:
    late = now() - timedelta(minutes=61, seconds=30)
    for id, options in {
        "skip": {"catch_up": "skip"},
        "grace": {"misfire_grace": 600},
        "overlap": {"overlap": "skip"},
    }.items():
        register(leader, id, interval=1200, start_at=late, **options)
        late_text = utcformat(late)
        connection.hset(f"rq:cron_job:{id}", "next_enqueue_time", late_text)
        connection.zadd("rq:cron_jobs", {id: late.timestamp()})
    RedisCronJob.fetch("overlap", connection).enqueue(connection)
    leader.enqueue_jobs()
    assert counts(connection, outcomes_key("skip")) == {"skipped catch_up": 4}
    assert counts(connection, outcomes_key("grace")) == {"skipped misfire": 3}
    assert counts(connection, outcomes_key("overlap")) == {"skipped overlap": 4}
    assert counts(connection) == {
        "skipped catch_up": 4,
        "skipped misfire": 3,
        "skipped overlap": 4,
    }
    assert connection.ttl(outcomes_key("skip")) > 364 * 86400


def test_keys_of_another_kind_stop_nothing(
    connection: Redis, leader: RedisCronScheduler, end: Callable[..., None]
) -> None:
    connection.set(COUNTS, "of another program")
    job = register(leader, catch_up="skip")
    end(1)
    assert job.get_outcomes(connection).counts == {"finished": 1}
    connection.hset(outcomes_key("report"), "finished metrics", "many")
    end(1)
    assert job.get_outcomes(connection).counts == {"finished": 2}
    leader.heartbeat()
    assert connection.get(COUNTS) == b"of another program"


def test_passes_are_counted_with_the_heartbeat(connection: Redis, redis_url: str) -> None:
    with running_scheduler(redis_url):
        wait_until(lambda: counts(connection))
        before = counts(connection)
        leader = RedisCronScheduler(connection)
        leader.register(tasks.echo, "metrics", id="now", interval=3600)  # wakes it
        wait_until(lambda: sum(counts(connection).values()) > sum(before.values()))
        found = counts(connection)
    cumulated, seconds = seconds_of(PASS, found)
    assert cumulated[-1][1] >= 2
    assert 0 < seconds < 60
    assert {name.partition(" ")[0] for name in found} == {PASS}


def test_the_only_pass_of_a_scheduler_is_counted(connection: Redis) -> None:
    RedisCronScheduler(connection).start(burst=True)
    buckets, _ = seconds_of(PASS, counts(connection))
    assert buckets[-1] == ("+Inf", 1)


def test_what_redis_refuses_to_count_costs_no_heartbeat(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    connection.set(COUNTS, "of another program")
    leader._session.passes.add(1.5)
    before = connection.zscore(SCHEDULERS, "leader")
    leader.heartbeat()
    assert connection.zscore(SCHEDULERS, "leader") > before
