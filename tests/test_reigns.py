"""The record of who led: what is kept, what is read of it, and what it must not need."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from redis import Redis

from django_rediscron import RedisCronScheduler, read_reigns
from django_rediscron.core.process.lock import LeaderLock
from django_rediscron.core.store.keys import LOCK, MAX_REIGNS, REIGN, REIGNS


def lead_and_stop(connection: Redis, name: str) -> None:
    scheduler = RedisCronScheduler(connection, name=name)
    scheduler.register_birth()
    scheduler.register_death()


def test_the_newest_come_first(connection: Redis) -> None:
    for name in ("one", "two", "three"):
        lead_and_stop(connection, name)
    RedisCronScheduler(connection, name="four").register_birth()

    def names(start: int, end: int) -> list[str]:
        return [reign.leader for reign in read_reigns(connection, start, end)]

    assert names(0, -1) == ["four", "three", "two", "one"]
    assert names(0, 0) == ["four"]
    assert names(1, 2) == ["three", "two"]
    assert names(-2, -1) == ["two", "one"]
    assert names(-2, 2) == ["two"]
    assert names(-2, 1) == []
    assert names(0, -2) == ["four", "three", "two"]


def test_a_thousand_are_kept(connection: Redis) -> None:
    entry = {"token": "old:1", "since": "2026-01-01T00:00:00.000000Z", "end": "stopped"}
    connection.rpush(REIGNS, *[json.dumps(entry)] * MAX_REIGNS)
    lead_and_stop(connection, "new")
    assert connection.llen(REIGNS) == MAX_REIGNS
    assert read_reigns(connection)[0].leader == "new"


def test_a_heartbeat_renews_the_last_sign_of_life(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    before = connection.hgetall(REIGN)
    leader.heartbeat()
    after = connection.hgetall(REIGN)
    assert after.pop(b"alive") > before.pop(b"alive")
    assert after == before


def test_a_release_that_is_sent_twice_is_one_stop(connection: Redis) -> None:
    """As when the first answer is lost."""
    lock = LeaderLock(connection, "one")
    lock.acquire(ttl=60)
    token = lock.token
    lock.release()
    lock.token = token
    lock.release()
    assert [reign.end for reign in read_reigns(connection)] == ["stopped"]


def test_a_loss_that_was_noticed_before_the_end_is_recorded(connection: Redis) -> None:
    lock = LeaderLock(connection, "one")
    lock.acquire(ttl=60)
    connection.delete(LOCK)
    lock.lose()
    lock.release()
    assert [reign.end for reign in read_reigns(connection)] == ["lock lost"]


@pytest.mark.parametrize(
    "entry", ["", "[", "[1]", "null", '{"token": 1}', '{"token": "a:b", "since": "?", "end": ""}']
)
def test_what_cannot_be_read_is_left_out(connection: Redis, entry: str) -> None:
    lead_and_stop(connection, "one")
    connection.lpush(REIGNS, entry)
    connection.hset(REIGN, "token", b"\xff")
    assert [reign.leader for reign in read_reigns(connection)] == ["one"]


@pytest.fixture
def restricted(connection: Redis, redis_url: str) -> Iterator[Redis]:
    """A client that may do all but touch the record."""
    keys = ("rq:cron_jobs", "rq:cron_jobs:lock", "rq:cron_scheduler*")
    rules = ["reset", "on", "nopass", "+@all", *(f"~{key}" for key in keys)]
    connection.execute_command("ACL", "SETUSER", "narrow", *rules)
    yield Redis.from_url(redis_url, username="narrow", password="any")
    connection.execute_command("ACL", "DELUSER", "narrow")


def test_a_user_who_may_not_write_the_record_leads(connection: Redis, restricted: Redis) -> None:
    scheduler = RedisCronScheduler(restricted, name="one")
    scheduler.register_birth()
    scheduler.heartbeat()
    assert scheduler.role == "leader"
    scheduler.register_death()
    lead_and_stop(restricted, "two")
    assert read_reigns(connection) == []
