"""Schedules with large arguments: a limit, and no others that wait for them.

Seen to fail, each with this taken out: `has_room` and `room` in `Occurrences` (calls too large),
`total >= limit` in the script that reads (replies too large), `postponed` in `Batch` (the light one
waits), `slow_down` in `Dispatcher`, and `CALL_BYTES` in `in_calls`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from django_rediscron.core import InvalidScheduleError, RedisCronJob, RedisCronScheduler
from django_rediscron.core.declared.declared_schedule import DeclaredSchedule
from django_rediscron.core.dispatch import dispatcher as dispatch
from django_rediscron.core.dispatch import protocol
from django_rediscron.core.dispatch.dispatcher import BATCH, Dispatcher
from django_rediscron.core.schedule.checks import MAX_BYTES
from django_rediscron.core.store import creation, reading, saving
from django_rediscron.core.store.change import Change
from django_rediscron.core.store.connections import own_client
from django_rediscron.core.store.keys import INDEX, LOCK
from django_rediscron.core.store.reading import Damaged
from django_rediscron.core.store.scripts import CALL_BYTES, run_script, run_scripts
from tests import tasks
from tests.clock import set_clock

MONDAY = datetime(2026, 3, 23, tzinfo=timezone.utc)


def random_text(length: int) -> str:
    """One that does not get shorter when RQ compresses it."""
    return os.urandom(length // 2).hex()


@pytest.mark.parametrize(
    "large",
    [
        {"args": ("x" * MAX_BYTES,)},
        {"args": ("é" * (MAX_BYTES // 6),)},
        {"kwargs": {"text": "x" * MAX_BYTES}},
        {"args": ("x" * (MAX_BYTES // 2),), "meta": {"text": "x" * (MAX_BYTES // 2)}},
        {"description": "x" * MAX_BYTES},
        {"name": "x" * MAX_BYTES},
    ],
)
def test_what_is_too_large_is_refused(
    connection: Redis, leader: RedisCronScheduler, large: dict[str, Any]
) -> None:
    with pytest.raises(InvalidScheduleError, match="at most 2,097,152 bytes") as raised:
        leader.register(tasks.echo, "metrics", id="large", interval=60, **large)
    assert len(str(raised.value)) < 200
    assert connection.keys("rq:cron_job:*") == []
    job = leader.register(tasks.echo, "metrics", id="small", interval=60)
    for name, value in large.items():
        target = job.job_options if name in ("meta", "description") else job.__dict__
        target[name] = value
    with pytest.raises(InvalidScheduleError, match="at most 2,097,152 bytes"):
        job.save()


def test_what_is_just_small_enough_runs(connection: Redis, leader: RedisCronScheduler) -> None:
    text = "x" * (MAX_BYTES - 1000)
    leader.register(tasks.echo, "metrics", id="large", interval=60, args=(text,))
    assert [job.args for job in leader.enqueue_jobs()] == [(text,)]


@pytest.mark.parametrize("size", [MAX_BYTES, 4 * MAX_BYTES])
def test_one_that_holds_too_much_is_in_error_and_others_run(
    connection: Redis, leader: RedisCronScheduler, size: int
) -> None:
    """As written by another program."""
    for id in ("large", "small"):
        leader.register(tasks.echo, "metrics", id=id, interval=1)
    connection.hset("rq:cron_job:large", "args", '["' + "x" * size + '"]')
    for number in range(3):
        if number:
            connection.zadd(INDEX, dict.fromkeys(("large", "small"), 1000))
            connection.hset("rq:cron_job:small", "next_enqueue_time", "2026-01-01T00:00:00.000000Z")
        assert [job.id for job in leader.enqueue_jobs()] == ["small"]
        error, at = connection.hmget("rq:cron_job:large", "last_error", "last_error_at")
        assert f"bytes, more than the limit of {MAX_BYTES:,}; keep the data".encode() in error
        assert at
        assert connection.zscore(INDEX, "large") > datetime.now().timestamp()
    damaged = {found.id for found in leader.get_all_jobs() if isinstance(found, Damaged)}
    assert damaged == set()
    ((found, _),) = reading.read_schedules(["large"], connection)
    assert isinstance(found, Damaged)
    connection.hset("rq:cron_job:large", "args", "[]")
    connection.zadd(INDEX, {"large": 1000})
    assert "large" in [job.id for job in leader.enqueue_jobs()]


def test_a_call_is_bounded_by_bytes(
    connection: Redis, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = set_clock(monkeypatch, MONDAY)
    size = CALL_BYTES // 3
    for number in range(6):
        text = random_text(size) if number % 2 else "x" * size
        leader.register(tasks.echo, "metrics", id=f"large {number}", interval=60, args=(text,))
    leader.register(
        tasks.echo, "metrics", id="all", interval=60, args=(random_text(size),), catch_up="all"
    )
    sent, read, compared = [], [], []

    def watch(*call: Any) -> Any:
        sent.append(sum(len(part) for part in call[3] if isinstance(part, bytes)))
        compared.append(call[3][5].count(b"large"))
        return run_script(*call)

    def watch_reading(*call: Any) -> Any:
        read.append(run_script(*call))
        return read[-1]

    monkeypatch.setattr(protocol, "run_script", watch)
    monkeypatch.setattr(reading, "run_script", watch_reading)
    for step in (0, 1, 8):  # the last time from memory
        clock.advance(timedelta(minutes=step))
        runs = [job.id for job in leader.enqueue_jobs()]
        assert len(runs) == 7 + max(0, step - 1)
        assert len(set(runs)) == 7
    assert max(sent) < CALL_BYTES * 3 / 2
    assert max(compared) <= 4
    assert max(map(len, read)) < CALL_BYTES * 3 / 2
    listed = leader.get_all_jobs()
    assert len(listed) == 7
    assert max(map(len, read)) < CALL_BYTES * 3 / 2


def test_what_is_light_runs_between_what_is_heavy(
    connection: Redis, leader: RedisCronScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is due each second, and each batch takes one."""
    monkeypatch.setattr(dispatch, "PATIENCE", 3600)  # however slow this machine is
    clock = set_clock(monkeypatch, MONDAY)
    for number in range(5):
        text = random_text(CALL_BYTES)
        leader.register(tasks.echo, "metrics", id=f"heavy {number}", interval=300, args=(text,))
    leader.register(
        tasks.echo, "metrics", id="heavy, all", interval=60, args=(text,), catch_up="all"
    )
    leader.register(tasks.echo, "metrics", id="light", interval=1)
    for _ in range(2):
        batches = []
        for enqueued in leader._dispatcher.enqueue_due(leader._session.token, 36_000):
            batches.append([job.id for job in enqueued])
            clock.advance(timedelta(seconds=1))
        heavy = [id for ids in batches for id in ids if id != "light"]
        assert set(heavy) == {*(f"heavy {n}" for n in range(5)), "heavy, all"}
        assert [ids.count("light") for ids in batches] == [1] * len(batches)
        assert max(map(len, batches)) <= 3
        clock.advance(timedelta(minutes=6))


def test_what_redis_does_not_manage_in_time_is_tried_in_smaller_parts(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    leader.register_many(
        [
            RedisCronJob(f"job {n}", "metrics", tasks.echo, interval=60, connection=connection)
            for n in range(3 * BATCH)
        ]
    )
    impatient = own_client(connection, timeout=0.2)
    dispatcher = Dispatcher(impatient)
    connection.set(LOCK, "token")
    connection.client_pause(60_000, all=False)
    try:
        for _ in range(2):
            with pytest.raises(RedisTimeoutError):
                list(dispatcher.enqueue_due("token", 30))
            impatient.connection_pool.disconnect()
    finally:
        connection.client_unpause()
    dispatcher.memory.connection = connection
    sizes = [len(enqueued) for enqueued in dispatcher.enqueue_due("token", 30)]
    assert sizes[:3] == [BATCH // 4, BATCH // 2, BATCH]
    assert sum(sizes) == 3 * BATCH


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Characters of the arguments of each script call that writes schedules."""
    sizes: list[int] = []

    def measure(connection: Redis, script: str, keys: Any, arguments: Any) -> Any:
        sizes.append(sum(map(len, arguments)))
        return run_script(connection, script, keys, arguments)

    def measure_all(connection: Redis, script: str, calls: Any) -> Any:
        sizes.extend(sum(map(len, arguments)) for _, arguments in calls)
        return run_scripts(connection, script, calls)

    for module in (creation, saving):
        monkeypatch.setattr(module, "run_script", measure)
        monkeypatch.setattr(module, "run_scripts", measure_all)
    return sizes


def make_many(size: int) -> list[RedisCronJob]:
    args = ("x" * size,)
    return [RedisCronJob(f"{n}", "metrics", tasks.echo, args=args, interval=60) for n in range(7)]


@pytest.mark.parametrize(
    "write",
    [
        lambda jobs, client: RedisCronScheduler(client).register_many(jobs),
        lambda jobs, client: saving.save_changes([Change.define(job) for job in jobs], client),
        lambda jobs, client: saving.write_merged([Change.define(job) for job in jobs], client),
        lambda jobs, client: creation.create_declared(
            [(j, DeclaredSchedule(j, "a", "b:1").origin) for j in jobs], client
        ),
    ],
    ids=["register", "save", "merge", "declare"],
)
def test_many_that_are_written_at_once_are_bounded_by_bytes(
    connection: Redis, written: list[int], write: Callable[..., object]
) -> None:
    write(make_many(CALL_BYTES // 3), connection)
    assert len(written) >= 4
    assert max(written) < CALL_BYTES * 1.01
    assert connection.zcard(INDEX) == 7
    written.clear()
    connection.flushdb()
    write(make_many(1), connection)
    assert len(written) == 1, "small ones go together"
    assert connection.zcard(INDEX) == 7
    written.clear()
    connection.flushdb()
    write(make_many(CALL_BYTES + 1), connection)
    assert len(written) == 7, "each goes by itself"
