"""A scheduler that goes on for ever, disturbed at each of its round trips, and how it goes on.

It survives whatever Redis and the network do, from its first round trip on. Seen to fail with the
handler of `RedisError` in `Leading._attempt` taken out.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
from redis import Redis
from rq.cron import CronScheduler

from django_rediscron.core.store.keys import LOCK
from tests.processes import wait_until

from .proxy import Fault, Proxy, cut_after, cut_before, is_aside
from .refusals import REFUSALS
from .victims import KILLED, STOPPED, Victim, lead
from .world import World, count_jobs


@pytest.mark.slow
@pytest.mark.parametrize("cut", [cut_before, cut_after])
def test_survives_a_cut_at_each_round_trip(connection: Redis, proxy: Proxy, cut: Fault) -> None:
    """Without any help of redis-py, which is told not to try again."""

    def check(world: World, code: int) -> None:
        assert code == STOPPED
        world.assert_each_ran_once()

    at_each_round_trip(connection, proxy, lambda victim: nullcontext(cut), check)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["OOM", "READONLY"])
def test_survives_refused_writes_from_each_round_trip_on(
    connection: Redis, proxy: Proxy, name: str
) -> None:
    """They end when some more requests have been made in vain."""

    def check(world: World, code: int) -> None:
        assert code == STOPPED
        world.assert_each_ran_once()

    at_each_round_trip(connection, proxy, lambda victim: REFUSALS[name](connection), check)


@pytest.mark.slow
def test_terminated_at_each_round_trip(connection: Redis, proxy: Proxy) -> None:
    """What is in hand is completed, the lock is released, and it says that all is well."""

    def check(world: World, code: int) -> None:
        assert code == STOPPED
        assert not connection.exists(LOCK)
        assert CronScheduler.all(connection) == []

    def terminate(victim: Victim) -> AbstractContextManager[Callable[..., None]]:
        return nullcontext(lambda trip: victim.send(signal.SIGTERM))

    at_each_round_trip(connection, proxy, terminate, check)


@pytest.mark.slow
def test_killed_at_each_round_trip(connection: Redis, proxy: Proxy) -> None:
    """When the request has been executed."""

    def check(world: World, code: int) -> None:
        assert code == KILLED

    def kill(victim: Victim) -> AbstractContextManager[Callable[..., None]]:
        return nullcontext(lambda trip: (trip.execute(), victim.send(signal.SIGKILL), trip.cut()))

    at_each_round_trip(connection, proxy, kill, check)


@pytest.mark.parametrize("standby", [False, True])
def test_takes_a_lost_lock_again_though_the_reply_is_lost(
    connection: Redis, proxy: Proxy, standby: bool
) -> None:
    """Redis lost the lock, and the answer to taking it again: it has it, and must know it."""
    world = World(connection)
    victim = Victim(lead, proxy.url, burst=False, standby=standby, lock_ttl=6).start()
    wait_until(lambda: is_done(victim, world))
    proxy.strike(lambda trip: f"SET {LOCK} " in str(trip), cut_after)
    connection.delete(LOCK)
    wait_until(lambda: proxy.struck)
    world.make_due("ran 1")
    wait_until(lambda: victim.has_ended or count_jobs(connection) > len(world.due), timeout=4)
    victim.send(signal.SIGTERM)
    assert victim.wait() == STOPPED, victim.error


@pytest.mark.parametrize("step", [f"SET {LOCK} ", "MULTI ZADD rq:cron_schedulers"])
def test_a_standby_leads_though_the_reply_to_its_birth_is_lost(
    connection: Redis, proxy: Proxy, step: str
) -> None:
    """It does not wait for itself until its lock has expired."""
    world = World(connection)
    proxy.strike(lambda trip: step in str(trip), cut_after)
    victim = Victim(lead, proxy.url, burst=False, standby=True).start()
    wait_until(lambda: is_done(victim, world))
    victim.send(signal.SIGTERM)
    assert victim.wait() == STOPPED, victim.error


Harm = Callable[[Victim], AbstractContextManager[Callable[..., object]]]
"""What to do at a round trip, until the end of the block."""


def at_each_round_trip(
    connection: Redis, proxy: Proxy, harm: Harm, check: Callable[[World, int], None]
) -> None:
    """Count the round trips of a loop from start to end, then do harm once at each of its own.

    The loop is stopped when it has enqueued everything, and checked. Then the world must be whole
    and one clean pass must make good what is missing.
    """
    failures = []
    count_round_trips(connection, proxy)
    for number in [trip.number for trip in proxy.trips if not is_aside(trip)]:
        victim = Victim(lead, proxy.url, burst=False)
        try:
            world, code = run_with_harm(connection, proxy, victim, harm, number)
            if proxy.struck:
                check(world, code)
            proxy.raise_errors()
            world.assert_survived()
        except AssertionError as error:
            victim.send(signal.SIGKILL)
            trip = proxy.struck[0] if proxy.struck else number
            failures.append(f"at round trip {trip}: {victim.error}\n{error}")
    assert not failures, "\n\n".join(failures)


def run_with_harm(
    connection: Redis, proxy: Proxy, victim: Victim, harm: Harm, number: int
) -> tuple[World, int]:
    world = World(connection)
    with harm(victim) as fault:
        proxy.strike(number, fault)
        victim.start()
        wait_until(lambda: len(proxy.trips) > number + 3 or is_done(victim, world))
    wait_until(lambda: is_done(victim, world))
    if signal.SIGTERM not in victim.sent:
        victim.send(signal.SIGTERM)
    return world, victim.wait()


def count_round_trips(connection: Redis, proxy: Proxy) -> int:
    """Of a loop that nobody disturbs."""
    world = World(connection)
    proxy.forget()
    victim = Victim(lead, proxy.url, burst=False).start()
    wait_until(lambda: is_done(victim, world))
    victim.send(signal.SIGTERM)
    assert victim.wait() == STOPPED, victim.error
    return len(proxy.trips)


def is_done(victim: Victim, world: World) -> bool:
    """Whether nothing is left to do for it, or it has ended."""
    return victim.has_ended or count_jobs(world.connection) == len(world.due)
