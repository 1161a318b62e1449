"""The lock: who leads, who waits, and how soon the one follows the other.

Seen to fail, each with this taken out of the core:

- at once on the same machine: `died_here` in `LeaderLock._take` (it waits until the lock expires);
- a process that forked: `pid` in `identity.identity` (a second scheduler takes the lock of a living
  leader);
- a namesake: the comparison with `locked.holder` in `Standby._bid_as_standby` (the leader's entry
  says standby);
- a clean stop: `Standby.sign_off` (the standby waits until the lock expires);
- status 3: `LeadershipLostError` in the command (status 1);
- a frozen leader: the comparison of the lock in the dispatch script, see `test_protections.py`;
- Redis lost its data before a standby leads: `_sync` and `_begin_anew` in `Leading.lead` (what
  was declared is gone);
- a leader that froze: `wait_to_lead()` in `Leading._regain_lock` (it ends);
- one that cannot be seen: `_exists` in `process._started` (its lock is taken);
- a short life of the lock: `HEARTBEATS_PER_TTL` of 0.5 (it is lost and taken again all the time).
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from redis import Redis
from rq.cron import CronScheduler

from django_rediscron.core import RedisCronScheduler, SchedulerLockedError
from django_rediscron.core.monitoring.health import check_health
from django_rediscron.core.process import identity as process
from django_rediscron.core.process.identity import died_here
from django_rediscron.core.process.session import REDIS_LOSS_MARKER
from django_rediscron.core.store.keys import LOCK, scheduler_key
from tests.processes import next_job_id, wait_until, within

from .schedulers import (
    SCHEDULES,
    Living,
    Run,
    assert_no_occurrence_twice,
    command,
    declare,
    leads,
    listens,
    register_every_second,
    roles,
)
from .servers import Server
from .victims import LOCKED, STOPPED, Victim

pytestmark = pytest.mark.outage


def make_foreign(client: Redis, name: str) -> None:
    """Let a scheduler seem to be one of another machine, so that nobody sees whether it lives."""
    client.hset(scheduler_key(name), "machine", "another one")


def pair(server: Server, run: Run, lock_ttl: float, **options: object) -> tuple[Living, Living]:
    """A leader, and a standby that waits."""
    one = run("one", lock_ttl=lock_ttl, **options)
    wait_until(lambda: leads(server.client(), "one"))
    two = run("two", lock_ttl=lock_ttl, standby=True, **options)
    wait_until(lambda: roles(server.client()) == {"one": "leader", "two": "standby"})
    return one, two


def test_takes_over_from_one_that_was_killed_elsewhere(server: Server, run: Run) -> None:
    """Within the life of the lock and one second."""
    client = server.client()
    register_every_second(client)
    one, two = pair(server, run, lock_ttl=2)

    def kill_the_leader() -> float:
        nonlocal one, two
        make_foreign(client, one.name)
        one.send(signal.SIGKILL)
        started = time.monotonic()
        wait_until(lambda: leads(client, two.name))
        taken = time.monotonic() - started
        one, two = two, run(f"after {two.name}", lock_ttl=2, standby=True)
        wait_until(lambda: roles(client).get(two.name) == "standby")
        return taken

    within(2 + 1, kill_the_leader)
    wait_until(lambda: all(len(times) > 1 for times in server.read_writes().times.values()))
    assert_no_occurrence_twice(server.read_writes())


def test_takes_over_at_once_from_one_that_was_killed_here(server: Server, run: Run) -> None:
    one, _ = pair(server, run, lock_ttl=60)
    one.send(signal.SIGKILL)
    wait_until(lambda: leads(server.client(), "two"))


def test_takes_over_from_one_that_was_stopped(server: Server, run: Run) -> None:
    """Within a second."""
    client = server.client()
    register_every_second(client)
    one, two = pair(server, run, lock_ttl=60)
    wait_until(lambda: len(server.read_writes().times) == SCHEDULES)

    def stop_the_leader() -> float:
        nonlocal one, two
        one.send(signal.SIGTERM)
        started = time.monotonic()
        wait_until(lambda: leads(client, two.name))
        taken = time.monotonic() - started
        assert one.wait() == STOPPED
        wait_until(lambda: roles(client) == {two.name: "leader"})
        one, two = two, run(f"after {two.name}", lock_ttl=60, standby=True)
        wait_until(lambda: roles(client).get(two.name) == "standby")
        return taken

    within(1, stop_the_leader)
    moment = time.time()
    wait_until(lambda: min(m[-1] for m in server.read_writes().entered.values()) > moment)
    assert_no_occurrence_twice(server.read_writes())
    assert one.complaints() == []


def test_of_three_standbys_one_wins(server: Server, run: Run) -> None:
    """All stand in RQ's registry, where anybody can see what they are."""
    client = server.client()
    register_every_second(client)
    one, _ = pair(server, run, lock_ttl=120)
    run("three", standby=True)
    run("four", standby=True)
    names = {"one", "two", "three", "four"}
    wait_until(lambda: roles(client).keys() == names)
    assert {found.name for found in CronScheduler.all(client)} == names
    one.send(signal.SIGTERM)
    one.wait()
    wait_until(lambda: client.exists(LOCK))
    wait_until(lambda: sorted(roles(client).values()) == ["leader", "standby", "standby"])
    (leader,) = (name for name, role in roles(client).items() if role == "leader")
    assert leads(client, leader)
    moment = time.time()
    wait_until(lambda: min(m[-1] for m in server.read_writes().entered.values()) > moment)
    assert_no_occurrence_twice(server.read_writes())


def test_ends_while_it_stands_by(server: Server, run: Run) -> None:
    """At once, and leaves the lock and the leader alone."""
    _, two = pair(server, run, lock_ttl=120)

    def stop_the_standby() -> float:
        nonlocal two
        started = time.monotonic()
        two.send(signal.SIGTERM)
        assert two.wait() == STOPPED
        taken = time.monotonic() - started
        assert roles(server.client()) == {"one": "leader"}
        two = run("two", standby=True)
        wait_until(lambda: roles(server.client()) == {"one": "leader", "two": "standby"})
        return taken

    within(0.5, stop_the_standby)
    two.send(signal.SIGTERM)
    two.wait()
    assert roles(server.client()) == {"one": "leader"}
    assert leads(server.client(), "one")


def test_a_standby_outlives_an_outage(server: Server, run: Run) -> None:
    _, two = pair(server, run, lock_ttl=120)
    server.stop()
    wait_until(lambda: two.said("trouble"))
    server.start()
    wait_until(lambda: two.said("is back after"))
    assert len(two.complaints()) == 2
    two.send(signal.SIGTERM)
    assert two.wait() == STOPPED


def test_a_standby_declares_again_what_redis_lost(server: Server, run: Run) -> None:
    one, two = pair(server, run, lock_ttl=120, prepare=declare)
    server.stop(signal.SIGKILL)
    one.send(signal.SIGKILL)
    server.lose_data()
    server.start()
    next_job_id(server.client(), "declared")
    assert leads(server.client(), "two")
    assert not two.has_ended


def test_a_standby_with_the_name_of_the_leader(server: Server, run: Run) -> None:
    """The entry in the registry is the leader's, before and afterwards."""
    client = server.client()
    run("one")
    wait_until(lambda: leads(client, "one") and listens(client))
    wait_until(lambda: client.hexists(scheduler_key("one"), REDIS_LOSS_MARKER))
    before = client.hgetall(scheduler_key("one"))
    namesake = run("one", standby=True)
    wait_until(lambda: namesake.said("standing by"))
    namesake.send(signal.SIGTERM)
    assert namesake.wait() == STOPPED
    assert client.hgetall(scheduler_key("one")) == before
    assert roles(client) == {"one": "leader"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_same_name_again(server: Server, run: Run, number: int) -> None:
    """After a clean end and after none, on the machine where it ran: without waiting."""
    one = run("one", lock_ttl=120)
    wait_until(lambda: roles(server.client()) == {"one": "leader"})
    token = server.client().get(LOCK)
    one.send(number)
    one.wait()
    again = run("one", lock_ttl=120)
    wait_until(lambda: again.said("starting") and server.client().get(LOCK) not in (token, None))
    assert not again.has_ended, again.error


def test_elsewhere_the_lock_of_a_dead_one_is_waited_out(server: Server, run: Run) -> None:
    one = run("one", lock_ttl=120)
    wait_until(lambda: roles(server.client()) == {"one": "leader"})
    make_foreign(server.client(), "one")
    one.send(signal.SIGKILL)
    two = run("two")
    assert two.wait() == LOCKED
    assert "'one' holds the lock" in two.error


def test_a_lock_that_vanished_is_taken_again(server: Server, run: Run) -> None:
    client = server.client()
    register_every_second(client)
    one = run("one")
    wait_until(lambda: len(server.read_writes().times) == SCHEDULES)
    client.delete(LOCK)
    wait_until(lambda: leads(client, "one"))
    moment = time.time()
    wait_until(lambda: min(m[-1] for m in server.read_writes().entered.values()) > moment)
    assert_no_occurrence_twice(server.read_writes())
    assert one.complaints() == ["WARNING Scheduler one: took the lost lock again"]


def test_a_lock_that_another_one_holds_ends_the_command_with_status_3(server: Server) -> None:
    client = server.client()
    register_every_second(client)
    with command(server) as one:
        wait_until(lambda: roles(client) == {"one": "leader"}, timeout=30)  # its start is over
        client.set(LOCK, "two:token", px=60_000)
        output, _ = one.communicate(timeout=30)
    assert one.returncode == 3, output
    assert "Traceback" not in output
    last = output.splitlines()[-1]
    assert "another scheduler is running: 'two' holds the lock, which expires in" in last
    assert client.get(LOCK) == b"two:token"
    assert roles(client) == {}


def test_the_command_stands_by(server: Server) -> None:
    """With `--standby`; the lock of the one that leads lives for 30 seconds by default."""
    client = server.client()
    with command(server) as one:
        wait_until(lambda: leads(client, "one"), timeout=30)
        with command(server, arguments=("--standby",), name="two") as two:
            wait_until(lambda: roles(client) == {"one": "leader", "two": "standby"}, timeout=30)
            assert 20_000 < client.pttl(LOCK) <= 30_000
            health = check_health(client)
            assert (health.ok, health.leader, health.standbys) == (True, "one", ["two"])
            one.send_signal(signal.SIGTERM)
            wait_until(lambda: leads(client, "two"))
            two.send_signal(signal.SIGTERM)
            output, _ = two.communicate(timeout=10)
        one.wait(timeout=10)
    assert (one.returncode, two.returncode) == (0, 0), output
    assert "standing by: another scheduler is running: 'one' holds the lock" in output


def test_a_frozen_leader_that_wakes_up_writes_nothing_and_stands_by(
    server: Server, run: Run
) -> None:
    client = server.client()
    register_every_second(client)
    one = run("one", lock_ttl=1, standby=True)
    wait_until(lambda: len(server.read_writes().times) == SCHEDULES)
    one.send(signal.SIGSTOP)
    wait_until(lambda: not client.exists(LOCK))
    client.set(LOCK, "two:token")
    count = client.llen("rq:queue:metrics")
    one.send(signal.SIGCONT)
    wait_until(lambda: one.said("lost the lock"))
    wait_until(lambda: roles(client) == {"one": "standby"})
    assert client.llen("rq:queue:metrics") == count
    assert client.get(LOCK) == b"two:token"
    client.delete(LOCK)
    wait_until(lambda: leads(client, "one"))
    wait_until(lambda: client.llen("rq:queue:metrics") >= count + SCHEDULES)
    assert_no_occurrence_twice(server.read_writes())


def test_a_lock_that_lives_for_a_second_is_kept(server: Server, run: Run) -> None:
    """By a scheduler with nothing to do, and with a rival; unless it is kept from working."""
    client = server.client()
    pair(server, run, lock_ttl=1)

    def hold() -> float:
        token = client.get(LOCK)
        moment = time.monotonic()
        wait_until(lambda: client.get(LOCK) != token or time.monotonic() > moment + 3)
        return 0 if client.get(LOCK) == token else 3

    within(0, hold)


def test_a_scheduler_made_before_a_fork_is_not_taken_for_dead(server: Server) -> None:
    """It is the process that leads that counts, not the one that called the constructor."""
    client = server.client()
    Victim(fork_and_lead, server.url).start()
    wait_until(lambda: roles(client) == {"one": "leader"})
    with pytest.raises(SchedulerLockedError):
        RedisCronScheduler(client, name="two").register_birth()
    os.kill(int(client.hget(scheduler_key("one"), "pid")), signal.SIGKILL)
    wait_until(lambda: died_here("one", client))
    RedisCronScheduler(client, name="two").register_birth()


def fork_and_lead(url: str) -> None:
    scheduler = RedisCronScheduler(Redis.from_url(url), name="one")
    child = os.fork()
    if child == 0:
        scheduler.register_birth()
        signal.pause()
    os.waitpid(child, 0)


def test_one_that_cannot_be_seen_is_not_taken_for_dead(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As where /proc hides the processes of other users."""
    RedisCronScheduler(server.client(), name="one").register_birth()
    process._machine()  # which is known
    monkeypatch.setattr(process, "PROC", tmp_path)
    with pytest.raises(SchedulerLockedError):
        RedisCronScheduler(server.client(), name="two").register_birth()
