"""A pass over schedules with all options, disturbed at each of its round trips.

Every occurrence runs once or is recorded once as skipped, whatever was missed, overlaps, is the
last one, or is split over several batches.
"""

from __future__ import annotations

import signal
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob
from django_rediscron.core.timing.cron_times import utc_text
from tests import tasks

from .passes import (
    at_each_round_trip,
    cut_off_at_each_round_trip,
    overtaken_at_each_round_trip,
)
from .proxy import Proxy, RoundTrip, cut_after, is_batch
from .victims import CUT_OFF, KILLED, STOPPED, Victim, lead
from .world import World, read_definitions, read_hashes

HOUR = timedelta(hours=1)

OPTIONS: dict[str, tuple[dict[str, Any], int, list[tuple[str, int]]]] = {
    "all": ({"catch_up": "all"}, 5, []),
    "limited": ({"catch_up": "all", "catch_up_limit": 2}, 2, [("catch_up", 3)]),
    "late": ({"catch_up": "all", "misfire_grace": 3 * 3600}, 3, [("misfire", 2)]),
    "counted": ({"catch_up": "all", "max_runs": 4}, 4, []),
    "last": ({"max_runs": 1}, 1, []),
    "ending": ({}, 1, []),
    "skipping": ({"catch_up": "skip"}, 0, [("catch_up", 5)]),
    "overlapping": (
        {"catch_up": "all", "overlap": "skip", "at_front": True}, 1, [("overlap", 1)] * 4
    ),
    "queue one": ({"catch_up": "all", "overlap": "queue_one"}, 1, [("overlap", 1)] * 4),
    "jittered": ({"jitter": 60, "retry": 3, "timezone": "Europe/Paris"}, 1, []),
}  # fmt: skip
"""Options of a schedule that missed five occurrences, the number of its runs, and its skips."""

FINISHED = {"counted", "last", "ending"}


class LateWorld(World):
    """Schedules with all options, for which nobody was there since five hours."""

    def __init__(self, connection: Redis) -> None:
        self.connection = connection
        connection.flushdb()
        connection.script_flush()
        moment = datetime.now(timezone.utc)
        self.first = moment - 4.5 * HOUR
        for id, (options, _, _) in OPTIONS.items():
            job = RedisCronJob(
                id, "metrics", tasks.echo, interval=3600, connection=connection,
                next_enqueue_time=self.first,
                end_at=moment - HOUR / 4 if id == "ending" else None, **options,
            )  # fmt: skip
            job.save()
        self.definitions = read_definitions(connection)

    def assert_each_ran_once(self) -> None:
        found: Counter[tuple[str, str]] = Counter()
        for key in self.connection.scan_iter(match="rq:job:*", count=1000):
            id, occurrence = self.connection.hmget(key, "schedule_id", "occurrence")
            found[id.decode(), occurrence.decode()] += 1
        assert set(found.values()) == {1}, found
        occurrences = [utc_text(self.first + number * HOUR) for number in range(5)]
        hashes = read_hashes(self.connection)
        for id, (options, runs, skips) in OPTIONS.items():
            ran = sorted(time for owner, time in found if owner == id)
            first = 5 - runs if options.get("catch_up") == "all" else 4
            if "overlap" in options or ("max_runs" in options and runs > 1):
                first = 0
            assert ran == occurrences[first : first + runs], id
            records = RedisCronJob.fetch(id, self.connection).get_skips(self.connection)
            assert [(skip.reason, skip.count) for skip in records] == skips, id
            assert ("finished_at" in hashes[id]) == (id in FINISHED), id
            assert hashes[id].get("runs") == (str(runs) if "max_runs" in options else None), id
        assert read_definitions(self.connection) == self.definitions


def test_a_pass_that_nobody_disturbs(connection: Redis) -> None:
    world = LateWorld(connection)
    world.clean_pass()
    world.assert_survived()


def kill(victim: Victim, trip: RoundTrip) -> None:
    trip.execute()
    victim.send(signal.SIGKILL)
    trip.cut()


@pytest.mark.slow
def test_killed_after_each_round_trip(connection: Redis, proxy: Proxy) -> None:
    def disturb(number: int, world: World) -> None:
        victim = Victim(lead, proxy.url)
        proxy.strike(number, lambda trip: kill(victim, trip))
        assert victim.start().wait() == KILLED

    at_each_round_trip(connection, proxy, disturb, LateWorld)


@pytest.mark.slow
@pytest.mark.parametrize("retries", [0, 3])
def test_cut_off_after_each_round_trip(connection: Redis, proxy: Proxy, retries: int) -> None:
    cut_off_at_each_round_trip(connection, proxy, cut_after, LateWorld, retries=retries)


@pytest.mark.slow
def test_frozen_at_each_round_trip_while_another_does_its_work(
    connection: Redis, proxy: Proxy
) -> None:
    overtaken_at_each_round_trip(connection, proxy, LateWorld)


WITHOUT: dict[str, tuple[str, str]] = {
    "comparison of occurrences": (
        "if not unchanged(key, id, next_at, latest_at, length, text, due) then", "if false then"
    ),
    "comparison of skips": (
        "elseif not unchanged(key, id, unpack(seen)) then", "elseif false then"
    ),
}  # fmt: skip


@pytest.mark.parametrize("protection", WITHOUT.values(), ids=WITHOUT)
def test_without_a_comparison_what_was_settled_is_settled_again(
    connection: Redis, proxy: Proxy, protection: tuple[str, str]
) -> None:
    """What makes the tests above worth something."""
    harmed = []

    def send_again(trip: RoundTrip) -> None:
        trip.execute()
        trip.execute()

    world: World = LateWorld(connection)
    proxy.strike(is_batch, send_again, times=None)
    victim = Victim(lead, proxy.url, removed=[protection], batch=200).start()
    assert victim.wait() in (STOPPED, CUT_OFF), victim.error
    try:
        world.assert_each_ran_once()
    except AssertionError as error:
        harmed.append(error)
    assert harmed


def test_without_the_protections_in_place_sending_twice_does_no_harm(
    connection: Redis, proxy: Proxy
) -> None:
    """The counterpart of the test above."""

    def send_again(trip: RoundTrip) -> None:
        trip.execute()
        trip.execute()

    world = LateWorld(connection)
    proxy.strike(is_batch, send_again, times=None)
    assert Victim(lead, proxy.url, batch=200).start().wait() == STOPPED
    world.assert_survived()
