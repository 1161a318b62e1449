"""The index of schedules vanishes while a scheduler leads: it is put back, and looked for once.

Seen to fail, each with this taken out: `watch_index` in `Leading._work`; `was_empty` in it (it
scans again and again).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import INDEX, job_key
from tests import tasks
from tests.processes import wait_until

from .schedulers import SCHEDULES, Living, Run, count_commands, leads
from .servers import Server

pytestmark = pytest.mark.outage


def delete(client: Redis, one: Living) -> None:
    client.delete(INDEX)


def rename(client: Redis, one: Living) -> None:
    client.rename(INDEX, "gone")


def replace_by_another_type(client: Redis, one: Living) -> None:
    client.set(INDEX, "no sorted set")
    wait_until(lambda: one.said("Redis is in trouble"))
    client.delete(INDEX)
    wait_until(lambda: one.said("Redis is back"))


@pytest.mark.parametrize("harm", [delete, rename, replace_by_another_type])
def test_an_index_that_vanishes_is_put_back(
    server: Server, run: Run, harm: Callable[[Redis, Living], None]
) -> None:
    client = server.client()
    scheduler = RedisCronScheduler(client)
    for number in range(SCHEDULES):
        scheduler.register(tasks.echo, "metrics", f"s{number}", interval=3600)
    one = run("one", max_sleep_interval=0.05)
    wait_until(lambda: client.llen("rq:queue:metrics") == SCHEDULES)
    work_for_a_while(client)  # it has seen the index
    places = client.zrange(INDEX, 0, -1, withscores=True)
    harm(client, one)
    wait_until(lambda: client.zrange(INDEX, 0, -1, withscores=True) == places)
    assert one.said("repaired the index")
    client.hset(job_key("s0"), "next_enqueue_time", "2026-06-03T05:40:00.000000Z")
    client.zadd(INDEX, {"s0": 1})
    wait_until(lambda: client.llen("rq:queue:metrics") == SCHEDULES + 1)


def test_where_nothing_waits_it_is_looked_for_once(server: Server, run: Run) -> None:
    client = server.client()
    one = run("one", max_sleep_interval=0.05)
    wait_until(lambda: leads(client, "one"))
    work_for_a_while(client)
    assert count_scans(client) == 2  # those of its birth: for schedules, and for their logs
    RedisCronScheduler(client).register(tasks.echo, "metrics", "a", interval=86400)
    wait_until(lambda: client.llen("rq:queue:metrics") == 1)
    work_for_a_while(client)
    assert count_scans(client) == 2
    for change in (RedisCronJob.disable, RedisCronJob.enable):
        change(RedisCronJob.fetch("a", client))
        work_for_a_while(client)
        assert count_scans(client) == 3
    assert not one.complaints()


def work_for_a_while(client: Redis) -> None:
    """Some rounds of a scheduler that finds nothing to do."""
    before = count_commands(client)
    asked = 0

    def has_worked() -> bool:
        nonlocal asked
        asked += 1
        return count_commands(client) - before - asked > 100

    wait_until(has_worked)


def count_scans(client: Redis) -> int:
    return int(client.info("commandstats").get("cmdstat_scan", {"calls": 0})["calls"])
