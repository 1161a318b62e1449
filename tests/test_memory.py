"""What a scheduler remembers: bounded by bytes, still useful where not all fits, and not for ever.

Seen to fail with the comparison to `LIMIT` taken out, with each new entry taking the place of the
oldest one, without `sweep`, with entries that it leaves at the front, without each of the places
where `size` falls, without `share`, and without its bound.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch import dispatcher as dispatch
from django_rediscron.core.dispatch import memory
from django_rediscron.core.store import reading
from django_rediscron.core.store.keys import INDEX, job_key
from django_rediscron.core.store.scripts import run_script
from tests import tasks
from tests.clock import Clock, set_clock

COUNT = 30


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, datetime(2026, 3, 23, tzinfo=timezone.utc))


def register_many(leader: RedisCronScheduler) -> None:
    jobs = [
        RedisCronJob(f"job {n:02}", "metrics", tasks.echo, args=(n,), interval=60)
        for n in range(COUNT)
    ]
    leader.register_many(jobs)


def run_all(leader: RedisCronScheduler, clock: Clock) -> None:
    clock.advance(timedelta(seconds=60))
    assert len(leader.enqueue_jobs()) == COUNT


def test_what_does_not_fit_takes_no_place_of_what_does(
    leader: RedisCronScheduler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_many(leader)
    run_all(leader, clock)
    remembered = leader._dispatcher.memory
    assert len(remembered) == COUNT
    size = remembered.size / COUNT
    assert 1000 < size < 2000
    monkeypatch.setattr(memory, "LIMIT", 20.5 * size)
    monkeypatch.setattr(dispatch, "BATCH", 5)  # what is forgotten in one is needed in the next
    leader._dispatcher.memory = remembered = memory.Memory(leader.connection)
    run_all(leader, clock)
    read = 0

    def count(*call: Any) -> Any:
        nonlocal read
        read += len(call[3]) - 1
        return run_script(*call)

    monkeypatch.setattr(reading, "run_script", count)
    for number in range(1, 4):
        run_all(leader, clock)
        assert 15 < len(remembered) < 25
        assert read == number * (COUNT - len(remembered))


def test_large_ones_count_for_more(
    leader: RedisCronScheduler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "LIMIT", 100_000)
    for number in range(10):
        leader.register(tasks.echo, "m", id=f"{number}", interval=60, args=("x" * 10_000,))
    for _ in range(3):
        clock.advance(timedelta(seconds=60))
        assert len(leader.enqueue_jobs()) == 10
    assert 1 < len(leader._dispatcher.memory) < 6


def test_what_left_is_forgotten(
    connection: Redis, leader: RedisCronScheduler, clock: Clock
) -> None:
    register_many(leader)
    run_all(leader, clock)
    for number in range(10):
        RedisCronJob.fetch(f"job {number:02}", connection).delete()
    RedisCronJob.fetch("job 10", connection).disable()
    connection.delete(job_key("job 11"))  # as with redis-cli
    connection.zrem(INDEX, "job 11")
    for _ in range(3):
        clock.advance(timedelta(seconds=60))
        assert len(leader.enqueue_jobs()) == COUNT - 12
    remembered = leader._dispatcher.memory
    assert len(remembered) == COUNT - 12
    assert remembered.size == size_of(remembered)


def size_of(remembered: memory.Memory) -> int:
    return sum(ready.size for ready in remembered._entries.values())


def test_few_are_looked_at_after_a_pass_but_all_in_turn(
    connection: Redis, leader: RedisCronScheduler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "LOOKED_AT", 10)
    register_many(leader)
    run_all(leader, clock)
    for number in range(20, COUNT):
        RedisCronJob.fetch(f"job {number}", connection).delete()
    clock.advance(timedelta(seconds=120))
    leader.enqueue_jobs()
    assert len(leader._dispatcher.memory) >= 20
    for _ in range(5):
        clock.advance(timedelta(seconds=60))
        leader.enqueue_jobs()
    assert len(leader._dispatcher.memory) == 20


def test_what_changed_takes_its_own_place_only(
    connection: Redis, leader: RedisCronScheduler, clock: Clock
) -> None:
    register_many(leader)
    run_all(leader, clock)
    job = RedisCronJob.fetch("job 01", connection)
    job.args = ("x" * 10_000,)
    job.save()
    run_all(leader, clock)
    remembered = leader._dispatcher.memory
    assert remembered.size == size_of(remembered)
    first, second = list(remembered._entries.values())[:2]
    remembered.remember(
        b"job 00", second if first.job.id == "job 00" else first
    )  # instead of another
    assert remembered.size == size_of(remembered)
    remembered.clear()
    assert (len(remembered), remembered.size) == (0, 0)


def test_what_schedules_have_in_common_is_there_once(
    leader: RedisCronScheduler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_many(leader)
    run_all(leader, clock)
    one, other = list(leader._dispatcher.memory._entries.values())[:2]
    assert one.job.version is other.job.version
    assert one.job.created_at is other.job.created_at
    assert one.fingerprint.edit_fields is other.fingerprint.edit_fields
    assert one.job.job_options is other.job.job_options
    assert one.job.loaded_definition() != other.job.loaded_definition()
    one.job.queue_name = "edited"
    one.job.save()
    stored = RedisCronJob.fetch(one.job.id, one.job._connected())
    assert (stored.queue_name, stored.args) == ("edited", one.job.args)


def test_few_kinds_of_schedules_are_kept_to_be_shared(
    leader: RedisCronScheduler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "SHARED", 20)
    jobs = [RedisCronJob(f"{n}", f"q{n}", tasks.echo, interval=60) for n in range(COUNT)]
    leader.register_many(jobs)
    run_all(leader, clock)
    assert 0 < len(leader._dispatcher.memory._kinds) < COUNT
