"""The same pass again and again, disturbed at another round trip each time."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis

from django_rediscron.core import RedisCronScheduler
from django_rediscron.core.store.keys import LOCK
from tests.processes import wait_until

from .proxy import Fault, Proxy, RoundTrip, is_aside
from .victims import CUT_OFF, LOCKED, STOPPED, Victim, lead
from .world import World

Disturb = Callable[[int, World], None]
"""Run one pass and disturb it at the round trip of that number; returns when it has ended."""


def at_each_round_trip(
    connection: Redis,
    proxy: Proxy,
    disturb: Disturb,
    make_world: Callable[[Redis], World] = World,
    chosen: Callable[[RoundTrip], bool] = lambda trip: not is_aside(trip),
    **options: Any,
) -> None:
    """Count the round trips of a pass with these options, then disturb it once at each chosen one.

    After each the world must be whole, and one clean pass must make good what is missing. All round
    trips are tried before it fails, and all that failed are named.
    """
    failures = []
    count_round_trips(connection, proxy, make_world, **options)
    numbers = [trip.number for trip in proxy.trips if chosen(trip)]
    assert numbers
    for number in numbers:
        world = make_world(connection)
        try:
            disturb(number, world)
            proxy.raise_errors()
            assert proxy.struck, "the pass ended before it came so far"
            world.assert_survived()
        except AssertionError as error:
            trip = proxy.struck[0] if proxy.struck else number
            failures.append(f"at round trip {trip}:\n{error}")
    assert not failures, "\n\n".join(failures)


def cut_off_at_each_round_trip(
    connection: Redis,
    proxy: Proxy,
    cut: Fault,
    make_world: Callable[[Redis], World] = World,
    chosen: Callable[[RoundTrip], bool] = lambda trip: not is_aside(trip),
    *,
    retries: int,
) -> None:
    """With retries, which the scheduler forgoes, redis-py sends again what was executed already."""

    def disturb(number: int, world: World) -> None:
        proxy.strike(number, cut)
        victim = Victim(lead, proxy.url, retries=retries).start()
        assert victim.wait() in (STOPPED, CUT_OFF), victim.error

    at_each_round_trip(connection, proxy, disturb, make_world, chosen, retries=retries)


def overtaken_at_each_round_trip(
    connection: Redis,
    proxy: Proxy,
    make_world: Callable[[Redis], World] = World,
    chosen: Callable[[RoundTrip], bool] = lambda trip: not is_aside(trip),
) -> None:
    """Another scheduler does the work; the request that the frozen one froze at arrives after."""

    def disturb(number: int, world: World) -> None:
        victim = Victim(lead, proxy.url)

        def overtake(trip: RoundTrip) -> None:
            with frozen(victim, connection):
                RedisCronScheduler(connection, logging.ERROR, "second").start(burst=True)
                world.assert_each_ran_once()

        proxy.strike(number, overtake)
        assert victim.start().wait() in (STOPPED, LOCKED), victim.error
        world.assert_each_ran_once()

    at_each_round_trip(connection, proxy, disturb, make_world, chosen)


@contextmanager
def frozen(victim: Victim, connection: Redis) -> Iterator[None]:
    """Stop a process, let its lock expire, and go on with it at the end of the block."""
    victim.send(signal.SIGSTOP)
    try:
        connection.pexpire(LOCK, 1)
        wait_until(lambda: not connection.exists(LOCK))
        yield
    finally:
        victim.send(signal.SIGCONT)


def count_round_trips(
    connection: Redis,
    proxy: Proxy,
    make_world: Callable[[Redis], World] = World,
    **options: Any,
) -> int:
    """Of a pass that nobody disturbs."""
    world = make_world(connection)
    proxy.forget()
    victim = Victim(lead, proxy.url, **options).start()
    assert victim.wait() == STOPPED, victim.error
    world.assert_each_ran_once()
    return len(proxy.trips)
