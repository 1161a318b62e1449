"""The same pass again and again, disturbed at another round trip each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis import Redis

from .proxy import Proxy
from .victims import STOPPED, Victim, lead
from .world import World

Disturb = Callable[[int, World], None]
"""Run one pass and disturb it at the round trip of that number; returns when it has ended."""


def at_each_round_trip(
    connection: Redis,
    proxy: Proxy,
    disturb: Disturb,
    make_world: Callable[[Redis], World] = World,
    **options: Any,
) -> None:
    """Count the round trips of a pass with these options, then disturb it once at each of them.

    After each the world must be whole, and one clean pass must make good what is missing. All round
    trips are tried before it fails, and all that failed are named.
    """
    failures = []
    for number in range(count_round_trips(connection, proxy, make_world, **options)):
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
