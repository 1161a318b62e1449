"""One pass, disturbed at each of its round trips: every occurrence is enqueued once.

Seen to fail: `test_protections.py` takes each protection out and shows what these tests see then.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

import pytest
from redis import Redis
from rq.cron import CronScheduler

from django_rediscron.core import RedisCronScheduler
from django_rediscron.core.store.keys import LOCK, SCHEDULERS
from tests.processes import wait_until

from .passes import (
    at_each_round_trip,
    cut_off_at_each_round_trip,
    frozen,
    overtaken_at_each_round_trip,
)
from .proxy import Fault, Proxy, RoundTrip, cut_after, cut_before, cut_half_way, is_batch
from .refusals import REFUSALS, Refusal
from .victims import CUT_OFF, KILLED, LOCKED, STOPPED, Victim, lead
from .world import World, count_jobs

REACH: dict[str, Callable[[RoundTrip], None]] = {
    "nothing": lambda trip: None,
    "half": RoundTrip.send_half,
    "all": RoundTrip.execute,
}
"""How much of a request reaches the server."""


@pytest.mark.slow
@pytest.mark.parametrize("reach", REACH.values(), ids=REACH)
def test_killed_at_each_round_trip(
    connection: Redis, proxy: Proxy, reach: Callable[[RoundTrip], None]
) -> None:
    def disturb(number: int, world: World) -> None:
        victim = Victim(lead, proxy.url)

        def kill(trip: RoundTrip) -> None:
            reach(trip)
            victim.send(signal.SIGKILL)
            trip.cut()

        proxy.strike(number, kill)
        assert victim.start().wait() == KILLED

    at_each_round_trip(connection, proxy, disturb)


@pytest.mark.slow
@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("cut", [cut_before, cut_half_way, cut_after])
def test_cut_off_at_each_round_trip(
    connection: Redis, proxy: Proxy, cut: Fault, retries: int
) -> None:
    cut_off_at_each_round_trip(connection, proxy, cut, retries=retries)


@pytest.mark.slow
def test_terminated_at_each_round_trip(connection: Redis, proxy: Proxy) -> None:
    """The batch in hand is completed, the lock is released, and it says that all is well."""

    def disturb(number: int, world: World) -> None:
        victim = Victim(lead, proxy.url)
        proxy.strike(number, lambda trip: victim.send(signal.SIGTERM))
        assert victim.start().wait() == STOPPED, victim.error
        assert not connection.exists(LOCK)
        assert CronScheduler.all(connection) == []

    at_each_round_trip(connection, proxy, disturb)


@pytest.mark.slow
def test_frozen_at_each_round_trip_while_another_does_its_work(
    connection: Redis, proxy: Proxy
) -> None:
    overtaken_at_each_round_trip(connection, proxy)


@pytest.mark.slow
def test_frozen_at_each_round_trip_while_another_takes_the_lock(
    connection: Redis, proxy: Proxy
) -> None:
    """The other one does nothing with it, so that only the lock keeps the frozen one from it."""

    def disturb(number: int, world: World) -> None:
        victim = Victim(lead, proxy.url)
        second = RedisCronScheduler(connection, logging.ERROR, "second")
        jobs: list[int] = []

        def overtake(trip: RoundTrip) -> None:
            with frozen(victim, connection):
                second.register_birth()
                jobs.append(count_jobs(connection))

        proxy.strike(number, overtake)
        assert victim.start().wait() in (STOPPED, LOCKED), victim.error
        assert [count_jobs(connection)] == jobs, "enqueued without the lock"
        assert connection.get(LOCK).startswith(b"second:")
        second.register_death()

    at_each_round_trip(connection, proxy, disturb)


def test_a_burst_that_lost_its_lock_says_who_has_it(connection: Redis, proxy: Proxy) -> None:
    """As `start()` without `burst` does."""
    World(connection)
    second = RedisCronScheduler(connection, logging.ERROR, "second")

    def overtake(trip: RoundTrip) -> None:
        connection.delete(LOCK)
        second.register_birth()

    proxy.strike(is_batch, overtake)
    victim = Victim(lead, proxy.url).start()
    assert victim.wait() == LOCKED
    assert "'second' holds the lock" in victim.error


@pytest.mark.slow
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_writes_refused_from_each_round_trip_on(
    connection: Redis, proxy: Proxy, refusal: Refusal
) -> None:
    """Until the process has ended."""

    def disturb(number: int, world: World) -> None:
        with refusal(connection) as refuse:
            proxy.strike(number, refuse)
            # Before it leads, it tries again for as long as the lock would live.
            victim = Victim(lead, proxy.url, lock_ttl=2).start()
            assert victim.wait() in (STOPPED, CUT_OFF), victim.error

    at_each_round_trip(connection, proxy, disturb)


def test_a_burst_longer_than_the_life_of_its_lock_keeps_it(connection: Redis, proxy: Proxy) -> None:
    """Each batch comes when two thirds of the lock's life have passed, and there are seven."""
    world = World(connection)
    rival = RedisCronScheduler(connection, logging.ERROR, "rival")
    ttl = 30
    left: list[int] = []

    def age(trip: RoundTrip) -> None:
        connection.pexpire(LOCK, ttl * 1000 // 3)
        with pytest.raises(RuntimeError, match="'victim' holds the lock"):
            rival.register_birth()
        trip.execute()
        assert trip.reply is not None
        if not trip.reply.startswith(b"-NOSCRIPT"):
            left.append(connection.pttl(LOCK))

    proxy.strike(is_batch, age, times=None)
    victim = Victim(lead, proxy.url, batch=1, lock_ttl=ttl).start()
    assert victim.wait() == STOPPED, victim.error
    proxy.raise_errors()
    assert len(left) >= len(world.due)
    assert min(left) > ttl * 1000 * 2 / 3
    world.assert_each_ran_once()


def test_a_new_leader_is_not_taken_for_its_dead_namesake(connection: Redis, proxy: Proxy) -> None:
    """It has taken the lock; that its process is another one is not yet in the registry."""
    World(connection)
    dead = Victim(lead, proxy.url, burst=False).start()
    wait_until(lambda: b"victim" in connection.zrange(SCHEDULERS, 0, -1))
    dead.send(signal.SIGKILL)
    rival = RedisCronScheduler(connection, logging.ERROR, "rival")

    def contend(trip: RoundTrip) -> None:
        with pytest.raises(RuntimeError, match="'victim' holds the lock"):
            rival.register_birth()

    proxy.strike(lambda trip: SCHEDULERS in str(trip), contend)
    victim = Victim(lead, proxy.url).start()
    code = victim.wait()
    proxy.raise_errors()
    assert code == STOPPED, victim.error
