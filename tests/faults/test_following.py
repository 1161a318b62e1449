"""Following jobs until they have ended, disturbed at each of its round trips: no outcome that RQ
still knows is lost, and none counts twice.

Seen to fail: the last two tests take the protections out.
"""

from __future__ import annotations

import logging
import signal
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from redis import Redis
from rq.utils import now

from django_rediscron.core import RedisCronScheduler
from django_rediscron.core.store.keys import IN_FLIGHT, LOCK, runs_key
from django_rediscron.core.story.following import END_RUNS, FOLLOW
from django_rediscron.core.story.in_flight import entry_text, terms
from django_rediscron.core.story.outcomes import read_outcomes
from django_rediscron.core.timing.cron_times import utc_text
from tests.processes import wait_until

from .passes import (
    at_each_round_trip,
    cut_off_at_each_round_trip,
    frozen,
    overtaken_at_each_round_trip,
)
from .proxy import Fault, Proxy, RoundTrip, cut_after, cut_before, cut_half_way, is_following
from .resp import arguments
from .test_pass import REACH
from .victims import KILLED, LOCKED, STOPPED, Victim, lead
from .world import World

ENDED = ("finished", "failed", "stopped", "canceled", "gone", "finished", "failed")
LASTING = ("queued", "started")
HDEL_CHECK = ("if call('HDEL', in_flight, job_id) == 1 then", "call('HDEL', in_flight, job_id) do")
LOCK_CHECK = ("if call('GET', lock) ~= ARGV[1] then return false end", "")


class EndedWorld(World):
    """Two schedules with jobs in flight, most of which have ended in various ways."""

    def __init__(self, connection: Redis) -> None:
        self.connection = connection
        connection.flushdb()
        connection.script_flush()
        self.moment = now() - timedelta(minutes=1)
        self.expected: dict[str, Counter[str]] = {"a": Counter(), "b": Counter()}
        for number, status in enumerate((*ENDED, *LASTING)):
            id = "ab"[number % 2]
            self._put(id, f"job{number}", status)
            if status in ENDED:
                self.expected[id]["unknown" if status == "gone" else status] += 1

    def _put(self, id: str, job_id: str, status: str) -> None:
        entry = entry_text(self.moment, self.moment, terms("schedule", "rq:job:"), id)
        self.connection.hset(IN_FLIGHT, job_id, entry)
        text = utc_text(self.moment)
        if status != "gone":
            fields = {"status": status, "started_at": text, "ended_at": text}
            self.connection.hset(f"rq:job:{job_id}", mapping=fields)

    def recorded(self) -> dict[str, Counter[str]]:
        """How often each outcome was counted."""
        found = read_outcomes(list(self.expected), self.connection)
        return {id: Counter(outcomes.counts) for id, outcomes in found.items()}

    def assert_survived(self) -> None:
        """Nothing counted twice; after a clean pass, nothing is missing."""
        for id, counts in self.recorded().items():
            assert counts <= self.expected[id]
        self.clean_pass()
        self.assert_each_ran_once()

    def assert_each_ran_once(self) -> None:
        """All that has ended is recorded once, and only the others are in flight."""
        assert self.recorded() == self.expected
        for id, counts in self.expected.items():
            records = self.connection.lrange(runs_key(id), 0, -1)
            job_ids = {record.split()[0] for record in records}
            assert len(records) == len(job_ids) == counts.total()
        assert self.connection.hlen(IN_FLIGHT) == len(LASTING)


def is_of(trip: RoundTrip, *scripts: str) -> bool:
    """Whether one of these scripts is called."""
    name, text = (*arguments(trip.request), b"", b"")[:2]
    return name == b"EVAL" and text.decode() in scripts


def is_ending(trip: RoundTrip) -> bool:
    """The first call of `end_runs` that is executed."""
    return is_of(trip, END_RUNS.text)


def removed_from_end_runs(*pieces: tuple[str, str]) -> Callable[[RoundTrip], bool]:
    text = END_RUNS.text
    for piece in pieces:
        text = text.replace(*piece)
    return lambda trip: is_of(trip, text)


def test_these_are_the_round_trips(connection: Redis, proxy: Proxy) -> None:
    EndedWorld(connection)
    Victim(lead, proxy.url).start().wait()
    seen = [trip for trip in proxy.trips if is_following(trip)]
    assert any(is_of(trip, FOLLOW.text) for trip in seen)
    assert any(is_ending(trip) for trip in seen)
    assert len(seen) > 6


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

    at_each_round_trip(connection, proxy, disturb, EndedWorld, is_following)


@pytest.mark.slow
@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("cut", [cut_before, cut_half_way, cut_after])
def test_cut_off_at_each_round_trip(
    connection: Redis, proxy: Proxy, cut: Fault, retries: int
) -> None:
    cut_off_at_each_round_trip(connection, proxy, cut, EndedWorld, is_following, retries=retries)


@pytest.mark.slow
def test_frozen_at_each_round_trip_while_another_does_its_work(
    connection: Redis, proxy: Proxy
) -> None:
    overtaken_at_each_round_trip(connection, proxy, EndedWorld, is_following)


@pytest.mark.slow
def test_frozen_at_each_round_trip_while_another_takes_the_lock(
    connection: Redis, proxy: Proxy
) -> None:
    """The other one does nothing with it, so that only the lock keeps the frozen one from it."""

    def disturb(number: int, world: World) -> None:
        assert isinstance(world, EndedWorld)
        victim = Victim(lead, proxy.url)
        second = RedisCronScheduler(connection, logging.ERROR, "second")
        recorded: list[dict[str, Counter[str]]] = []

        def overtake(trip: RoundTrip) -> None:
            with frozen(victim, connection):
                second.register_birth()
                recorded.append(world.recorded())

        proxy.strike(number, overtake)
        assert victim.start().wait() in (STOPPED, LOCKED), victim.error
        assert [world.recorded()] == recorded, "recorded without the lock"
        second.register_death()

    at_each_round_trip(connection, proxy, disturb, EndedWorld, is_following)


def test_a_leader_that_is_cut_off_while_it_sleeps_goes_on(connection: Redis, proxy: Proxy) -> None:
    """A leader that stays takes the outage for what it is, and records what it could not."""
    world = EndedWorld(connection)
    proxy.strike(is_following, cut_after, times=3)
    victim = Victim(lead, proxy.url, burst=False).start()
    wait_until(lambda: connection.hlen(IN_FLIGHT) == len(LASTING))
    victim.send(signal.SIGTERM)
    assert victim.wait() == STOPPED, victim.error
    assert len(proxy.struck) == 3
    world.assert_each_ran_once()


def test_without_the_check_a_record_that_is_sent_again_counts_twice(
    connection: Redis, proxy: Proxy
) -> None:
    world = EndedWorld(connection)
    proxy.strike(removed_from_end_runs(HDEL_CHECK), cut_after)
    options = {"retries": 3, "script": "end_runs", "removed": [HDEL_CHECK]}
    victim = Victim(lead, proxy.url, **options).start()
    assert victim.wait() == STOPPED, victim.error
    assert proxy.struck
    with pytest.raises(AssertionError):
        world.assert_each_ran_once()


def test_without_the_lock_check_one_that_was_overtaken_records(
    connection: Redis, proxy: Proxy
) -> None:
    world = EndedWorld(connection)
    second = RedisCronScheduler(connection, name="second")

    def overtake(trip: RoundTrip) -> None:
        connection.delete(LOCK)
        second.register_birth()

    proxy.strike(removed_from_end_runs(LOCK_CHECK), overtake)
    Victim(lead, proxy.url, script="end_runs", removed=[LOCK_CHECK]).start().wait()
    assert connection.get(LOCK).startswith(b"second:")
    assert sum(counts.total() for counts in world.recorded().values()) > 0
