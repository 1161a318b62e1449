"""A scheduler that starts while Redis is away: it tries again for as long as a lock lives.

Seen to fail, each with this taken out of the core:

- cut off: the loop in `Standby.lead_at_once` (it ends with an error);
- what no time mends: `is_passing` (it says that Redis is in trouble, and tries again);
- its own lock: the comparison with `token` in `LeaderLock._take` (another scheduler is said to be
  running), and `_extend` behind it (the lock expires soon);
- the second cause: the look at `lasts` in `Outage.failed` (it is silent);
- its lock given back: `release_unanswered` in `Standby.sign_off` (it is left until it expires);
- a signal: the look at `stopping` in `Standby.lead_at_once` (it ends with an error).
"""

from __future__ import annotations

import signal
from functools import partial

import pytest
from redis import Redis

from django_rediscron.core import RedisCronScheduler
from django_rediscron.core.store.keys import LOCK, SCHEDULERS
from tests.processes import wait_until

from .proxy import Fault, Proxy, RoundTrip, cut_after, cut_before, proxy_before
from .schedulers import Run, command, count_commands, leads, listens, register_every_second
from .servers import Server
from .test_loop import count_round_trips, is_done
from .victims import CUT_OFF, LOCKED, STOPPED, Victim, lead
from .world import World

pytestmark = pytest.mark.outage


def births(connection: Redis, proxy: Proxy) -> int:
    """The round trips of a birth that nobody disturbs."""
    count_round_trips(connection, proxy)
    return next(trip.number for trip in proxy.trips if SCHEDULERS in str(trip)) + 1


@pytest.mark.parametrize(
    ("cut", "burst"), [(cut_before, False), (cut_after, False), (cut_after, True)]
)
def test_is_born_though_it_is_cut_off(
    connection: Redis, proxy: Proxy, cut: Fault, burst: bool
) -> None:
    """At each of its first round trips, and at all of them."""
    count = births(connection, proxy)
    for reached in [*(range(number, number + 1) for number in range(count)), range(count)]:
        world = World(connection)
        proxy.strike(lambda trip, reached=reached: trip.number in reached, cut, times=None)
        victim = Victim(lead, proxy.url, burst=burst).start()
        wait_until(lambda: is_done(victim, world))  # noqa: B023 - before the next one
        if not burst:
            victim.send(signal.SIGTERM)
        assert victim.wait() == STOPPED, f"at {proxy.struck[0]}: {victim.error}"
        world.assert_each_ran_once()
        assert not connection.exists(LOCK)


def test_a_lock_that_it_took_unheard_lives_as_long_as_any(server: Server, run: Run) -> None:
    client = server.client()

    def take_long(trip: RoundTrip) -> None:
        trip.execute()
        client.pexpire(LOCK, 5_000)
        trip.cut()

    with proxy_before(server.url) as proxy:
        proxy.strike(lambda trip: f"SET {LOCK} " in str(trip), take_long)
        one = run("one", url=proxy.url, lock_ttl=3600, prepare=tell_the_life_of_its_lock)
        _, milliseconds = client.blpop(["told"], timeout=30)
        assert int(milliseconds) > 5_000
        one.send(signal.SIGTERM)
        assert one.wait() == STOPPED


def tell_the_life_of_its_lock(scheduler: RedisCronScheduler) -> None:
    """Before its first pass, which extends it."""

    def sync() -> None:
        scheduler.connection.rpush("told", scheduler.connection.pttl(LOCK))

    scheduler.sync = sync  # type: ignore[method-assign]


def test_waits_for_a_server_that_starts_later(server: Server, run: Run) -> None:
    client = server.client()
    server.stop()
    one = run("one")
    wait_until(lambda: one.said("Redis is in trouble"))
    server.start()
    wait_until(lambda: leads(client, "one") and listens(client))
    wait_until(lambda: one.said("INFO Scheduler one: Redis is back after"))
    assert one.complaints() == []
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED


def test_gives_up_when_the_life_of_a_lock_is_over(server: Server, run: Run) -> None:
    server.stop()
    one = run("one", lock_ttl=1)
    assert one.wait() == CUT_OFF
    assert len(one.said("INFO Scheduler one: Redis is in trouble: ")) == 1
    assert one.complaints() == []


def test_the_command_that_gives_up_says_so_in_one_line(server: Server) -> None:
    server.stop()
    with command(server, arguments=("--lock-ttl", "1", "--verbosity", "0")) as one:
        output, _ = one.communicate(timeout=60)
    assert one.returncode == 1
    assert output.startswith("CommandError: Redis at 127.0.0.1:")
    assert output.count("\n") == 1


def test_gives_back_a_lock_that_it_took_unheard_when_it_is_stopped(
    connection: Redis, proxy: Proxy
) -> None:
    """Else the next one would have to wait until it expires."""

    def take_and_stop(trip: RoundTrip) -> None:
        trip.execute()
        victim.send(signal.SIGTERM)
        trip.cut()

    victim = Victim(lead, proxy.url, burst=False)
    proxy.strike(lambda trip: f"SET {LOCK} " in str(trip), take_and_stop)
    assert victim.start().wait() == STOPPED, victim.error
    assert proxy.struck
    assert not connection.exists(LOCK)


@pytest.mark.parametrize("frozen", [False, True])
def test_ends_quietly_when_it_is_stopped_meanwhile(server: Server, run: Run, frozen: bool) -> None:
    if frozen:
        server.freeze()
    else:
        server.stop()
    one = run("one", lock_ttl=3600)
    wait_until(lambda: one.said("is in trouble"))
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED, one.error
    assert one.complaints() == []
    if frozen:
        server.thaw()


def test_a_standby_says_what_no_time_mends_and_goes_on_trying(server: Server, run: Run) -> None:
    server.stop()
    connect = partial(Redis.from_url, password="new")
    one = run("one", standby=True, connect=connect)
    wait_until(lambda: one.said("is in trouble"))
    server.start(requirepass="old")
    wait_until(lambda: one.said("ERROR Scheduler one: Redis is in trouble: invalid username"))
    admin = server.client(password="old")
    seen = count_commands(admin)
    wait_until(lambda: count_commands(admin) > seen + 10)
    assert len(one.said("is in trouble")) == 2
    admin.config_set("requirepass", "new")
    wait_until(lambda: leads(admin, "one"))
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED


def test_what_no_time_mends_ends_it_at_once(server: Server, run: Run) -> None:
    """A wrong password, a permission that it lacks, another scheduler: nothing is tried again."""
    client = server.client()
    client.execute_command("ACL", "SETUSER", "one", "on", ">right", "~*", "+@all", "-set")
    options = {"lock_ttl": 3600, "connect": None}
    for password, error in (("wrong", "AuthenticationError"), ("right", "NoPermissionError")):
        options["connect"] = partial(Redis.from_url, username="one", password=password)
        one = run(f"with a {password} password", **options)
        assert one.wait() == CUT_OFF
        assert error in one.error
        assert not one.said("is in trouble")
    register_every_second(client)
    run("leader")
    wait_until(lambda: leads(client, "leader"))
    late = run("late", lock_ttl=3600)
    assert late.wait() == LOCKED
    assert not late.said("is in trouble")
