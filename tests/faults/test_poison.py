"""Schedules that cannot be enqueued: no burden, however many, nor however long that takes to know.

Seen to fail, each with this taken out: `share` in `Retries.plan` (many commands), `random.uniform`
there (thousands in one second), `retry_failed` in `Repairs.repair` (it runs minutes later), the
look at `patience` in `Batch._read_unknown` (the lock is lost), and that at `unwritten` in
`Batch._add_read` (nothing runs any more).
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import cycle, islice

from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch.memory import LONGEST_DELAY, RATE, Retries
from django_rediscron.core.store.keys import ERRORS, INDEX, LOGGED_SINCE, job_key
from tests import tasks
from tests.damage import DAMAGE
from tests.processes import next_job_id, wait_until

from .schedulers import Run, count_commands
from .servers import Server

MANY = 900

COMMANDS = 100
"""A second, at the most."""


def test_many_damaged_schedules_are_no_load(server: Server, run: Run) -> None:
    client = server.client()
    damage_many(client)
    run()
    wait_until(lambda: client.zcard(ERRORS) == MANY, timeout=60)
    wait_until(lambda: client.exists(LOGGED_SINCE), timeout=60)  # all were compared with their logs
    begun, before, asked = time.time(), count_commands(client), 0

    def have_been_tried_again() -> bool:
        nonlocal asked
        asked += 1
        return client.zcount(ERRORS, begun, "+inf") >= COMMANDS

    wait_until(have_been_tried_again, timeout=60)
    commands = count_commands(client) - before - asked
    assert commands / (time.time() - begun) < COMMANDS


def test_what_failed_is_tried_when_a_scheduler_begins(server: Server, run: Run) -> None:
    """It may have the code or the settings that were missing."""
    client = server.client()
    RedisCronJob("mended", "metrics", tasks.echo, interval=300, connection=client).save()
    name = client.hget(job_key("mended"), "func_name")
    client.hset(job_key("mended"), "func_name", "tests.not_there_yet.run")
    RedisCronScheduler(client).start(burst=True)
    client.zadd(INDEX, {"mended": time.time() + LONGEST_DELAY}, xx=True)
    assert client.zcard(ERRORS) == 1
    client.hset(job_key("mended"), "func_name", name)
    run()
    next_job_id(client, "metrics")
    wait_until(lambda: client.zcard(ERRORS) == 0)


def test_many_slow_failures_cost_no_lock(server: Server, run: Run) -> None:
    """Together they take longer than it lives."""
    client = server.client()
    register_failing(client, "slow", 6)
    victim = run(lock_ttl=1)
    wait_until(lambda: client.zcard(ERRORS) == 6, timeout=30)
    assert victim.said("lost") == []


def test_a_failure_that_outlasts_the_lock_stops_nothing(server: Server, run: Run) -> None:
    client = server.client()
    register_failing(client, "slower", 1)
    good = RedisCronJob("good", "metrics", tasks.echo, interval=1, connection=client)
    good.save()
    run(lock_ttl=1)
    wait_until(lambda: client.zcard(good.job_history_key) >= 3, timeout=30)
    assert b"at long last" in (client.hget(job_key("slower 0"), "last_error") or b"")


def register_failing(client: Redis, module: str, count: int) -> None:
    """Schedules whose module takes its time to fail."""
    for number in range(count):
        job = RedisCronJob(f"{module} {number}", "q", tasks.echo, interval=300, connection=client)
        job.save()
        client.hset(job.key, "func_name", f"tests.broken.{module}.run")


def test_however_many_fail_they_do_not_come_back_together() -> None:
    moment, retries = datetime.now(timezone.utc), Retries()
    number = 10 * RATE * LONGEST_DELAY
    for _ in range(2):
        times = Counter(retries.plan(b"%d" % id, moment) for id in range(number))
        moment += timedelta(seconds=LONGEST_DELAY)
        assert max(times) <= moment + timedelta(seconds=1)
        assert max(times.values()) < 2 * number / (LONGEST_DELAY / 2)


def damage_many(client: Redis) -> None:
    ids = {f"{kind} {number}": kind for number, kind in enumerate(islice(cycle(DAMAGE), MANY))}
    jobs = [RedisCronJob(id, "metrics", tasks.echo, interval=300, connection=client) for id in ids]
    RedisCronScheduler(client).register_many(jobs)
    for id, kind in ids.items():
        DAMAGE[kind](client, job_key(id))
