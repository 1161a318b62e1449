"""A leader that is disturbed while it enables schedules that were disabled until then.

Each is enabled once, and never one that somebody disabled again meanwhile. Seen to fail with the
lines taken out that `UNGUARDED` names.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from datetime import timedelta

import pytest
from redis import Redis
from rq.utils import now

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.store.keys import DISABLED_UNTIL, job_key
from django_rediscron.core.story.changes import read_changes
from django_rediscron.core.timing.cron_times import utc_text
from tests import tasks

from .passes import frozen
from .proxy import Proxy, RoundTrip, is_aside, is_save
from .victims import KILLED, LOCKED, STOPPED, Victim, lead

IDS = ("one", "two")
YEARLY = "0 0 1 1 *"


def disable_all(connection: Redis) -> None:
    """Schedules that are to be enabled by now."""
    connection.flushdb()
    connection.script_flush()
    moment = now() - timedelta(minutes=1)
    for id in IDS:
        job = RedisCronJob(id, "default", tasks.echo, cron=YEARLY, connection=connection)
        job.save()
        job.disable(reason="why", until=3600)
        connection.hset(job_key(id), "disabled_until", utc_text(moment))
        connection.zadd(DISABLED_UNTIL, {id: moment.timestamp()})


def enabled_by(connection: Redis, id: str) -> list[str]:
    """Who did so, of the log of changes."""
    return [each.actor for each in read_changes(id, connection) if each.what == "enabled"]


def trips_of_a_pass(connection: Redis, proxy: Proxy) -> list[RoundTrip]:
    disable_all(connection)
    proxy.forget()
    victim = Victim(lead, proxy.url).start()
    assert victim.wait() == STOPPED, victim.error
    assert [enabled_by(connection, id) for id in IDS] == [["scheduler:victim"]] * 2
    return [trip for trip in proxy.trips if not is_aside(trip)]


@pytest.mark.parametrize("executed", [False, True])
def test_a_leader_is_killed_at_each_round_trip(
    connection: Redis, proxy: Proxy, executed: bool
) -> None:
    for trip in trips_of_a_pass(connection, proxy):
        disable_all(connection)
        victim = Victim(lead, proxy.url)

        def kill(trip: RoundTrip, victim: Victim = victim) -> None:
            if executed:
                trip.execute()
            victim.send(signal.SIGKILL)
            trip.cut()

        proxy.strike(trip.number, kill)
        assert victim.start().wait() in (KILLED, STOPPED)
        connection.delete("rq:cron_jobs:lock")
        RedisCronScheduler(connection, logging.ERROR, "second").start(burst=True)
        for id in IDS:
            assert len(enabled_by(connection, id)) == 1, trip
            assert RedisCronJob.fetch(id, connection).enabled
            assert connection.hget(job_key(id), "disabled_until") is None
        assert not connection.exists(DISABLED_UNTIL)


def disable_again(connection: Redis) -> None:
    RedisCronJob.fetch("one", connection).disable(reason="for good")


def disable_again_for_longer(connection: Redis) -> None:
    RedisCronJob.fetch("one", connection).disable(until=3600)


def enable_and_disable(connection: Redis) -> None:
    RedisCronJob.fetch("one", connection).enable()
    RedisCronJob.fetch("one", connection).disable()


def create_again(connection: Redis) -> None:
    RedisCronJob.fetch("one", connection).delete()
    RedisCronJob(
        "one", "default", tasks.echo, cron=YEARLY, connection=connection, enabled=False
    ).save()


EDITS = [disable_again, disable_again_for_longer, enable_and_disable, create_again]

UNGUARDED = [
    ("and stored.disabled_until == ends['until']", ""),
    ("redis.call('GET', LOCK) == ends.token and ", ""),
]


def edit_before_it_enables(
    connection: Redis, proxy: Proxy, edit: Callable[[Redis], None], removed: tuple[str, str]
) -> bool:
    """Whether it stayed disabled, if it was edited while the leader was about to enable it."""
    disable_all(connection)
    proxy.strike(is_save, lambda trip: edit(connection))
    replacements = [removed] if removed[0] else []
    victim = Victim(lead, proxy.url, script="save", removed=replacements).start()
    assert victim.wait() == STOPPED, victim.error
    proxy.raise_errors()
    assert proxy.struck
    assert RedisCronJob.fetch("two", connection).enabled
    return not RedisCronJob.fetch("one", connection).enabled


@pytest.mark.parametrize("edit", EDITS)
def test_one_that_is_disabled_again_at_that_moment_stays_so(
    connection: Redis, proxy: Proxy, edit: Callable[[Redis], None]
) -> None:
    assert edit_before_it_enables(connection, proxy, edit, ("", ""))


def test_the_time_is_what_protects_it(connection: Redis, proxy: Proxy) -> None:
    assert not edit_before_it_enables(connection, proxy, disable_again, UNGUARDED[0])


def overtake(connection: Redis, proxy: Proxy, removed: tuple[str, str]) -> list[str]:
    """Who enables it, if a leader freezes before it does, and nobody does so after it."""
    disable_all(connection)
    replacements = [removed] if removed[0] else []
    victim = Victim(lead, proxy.url, script="save", removed=replacements)

    def freeze(trip: RoundTrip) -> None:
        with frozen(victim, connection):
            RedisCronScheduler(connection, logging.ERROR, "second").register_birth()

    proxy.strike(is_save, freeze)
    assert victim.start().wait() in (STOPPED, LOCKED), victim.error
    proxy.raise_errors()
    return enabled_by(connection, "one")


def test_a_leader_that_froze_enables_nothing(connection: Redis, proxy: Proxy) -> None:
    assert overtake(connection, proxy, ("", "")) == []


def test_the_lock_is_what_keeps_it_from_that(connection: Redis, proxy: Proxy) -> None:
    assert overtake(connection, proxy, UNGUARDED[1]) == ["scheduler:victim"]
