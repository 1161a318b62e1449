"""Who led, from when to when, and what ended it: real schedulers that stop, die, freeze and lose.

Seen to fail, each with this taken out of the core:

- one that was killed: the call of `close_reign` in `note_life` (its reign is nowhere);
- one that froze: the loop in `note_loss` (it stays `died`), and `_record_loss` in
  `LeaderLock.acquire`;
- the last sign of life: `alive` in `note_life` (no end);
- another type: `call` for `pcall` in `reigns.lua` and `extend_lock.lua` (it does not lead).
"""

from __future__ import annotations

import signal

import pytest
from redis import Redis

from django_rediscron.core.store.keys import LOCK, REIGN, REIGNS
from django_rediscron.core.story.reigns import Reign, read_reigns
from tests.processes import wait_until

from .schedulers import Living, Run, leads, listens
from .servers import Server, answers
from .victims import STOPPED

pytestmark = pytest.mark.outage


def told(client: Redis) -> list[tuple[str, str]]:
    """The names of all leaders and what ended their reigns, newest first."""
    return [(reign.leader, reign.end) for reign in read_reigns(client)]


def leading(client: Redis, run: Run, name: str, **options: object) -> Living:
    """A scheduler that leads, listens, and was on record before it was returned."""
    scheduler = run(name, **options)
    wait_until(lambda: leads(client, name) and (name, "") in told(client) and listens(client))
    return scheduler


def assert_one_after_the_other(reigns: list[Reign]) -> None:
    times = [time for reign in reversed(reigns) for time in (reign.since, reign.until)]
    assert times[-1] is None
    assert times[:-1] == sorted(times[:-1])  # type: ignore[type-var]


def test_one_that_stopped_and_one_that_was_killed(server: Server, run: Run) -> None:
    client = server.client()
    one = leading(client, run, "one")
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED
    assert told(client) == [("one", "stopped")]
    two = leading(client, run, "two")
    two.send(signal.SIGKILL)
    client.delete(LOCK)  # as if it had expired
    assert told(client) == [("two", "died"), ("one", "stopped")]
    leading(client, run, "three")
    assert told(client) == [("three", ""), ("two", "died"), ("one", "stopped")]
    reigns = read_reigns(client)
    assert_one_after_the_other(reigns)
    assert (reigns[1].pid, reigns[2].pid) == (two.pid, one.pid)


def test_one_that_was_taken_over_from_at_once(server: Server, run: Run) -> None:
    """Its machine sees that it died, and does not wait for its lock to expire."""
    client = server.client()
    one = leading(client, run, "one", lock_ttl=60)
    run("two", lock_ttl=60, standby=True)
    one.send(signal.SIGKILL)
    wait_until(lambda: told(client) == [("two", ""), ("one", "died")])


def test_one_that_froze_comes_back_after_its_successor(server: Server, run: Run) -> None:
    client = server.client()
    one = leading(client, run, "one", lock_ttl=1, standby=True)
    run("two", standby=True)
    one.send(signal.SIGSTOP)
    wait_until(lambda: told(client) == [("two", ""), ("one", "died")])
    until = read_reigns(client)[1].until
    one.send(signal.SIGCONT)
    wait_until(lambda: told(client) == [("two", ""), ("one", "lock lost")])
    assert read_reigns(client)[1].until == until
    assert_one_after_the_other(read_reigns(client))


def test_one_that_froze_is_stopped_when_it_comes_back(server: Server, run: Run) -> None:
    client = server.client()
    one = leading(client, run, "one", lock_ttl=1)
    one.send(signal.SIGSTOP)
    wait_until(lambda: not client.exists(LOCK))
    leading(client, run, "two")
    one.send(signal.SIGTERM)
    one.send(signal.SIGCONT)
    one.wait()
    assert told(client) == [("two", ""), ("one", "lock lost")]


def test_one_that_froze_and_has_no_successor(server: Server, run: Run) -> None:
    client = server.client()
    one = leading(client, run, "one", lock_ttl=1)
    one.send(signal.SIGSTOP)
    wait_until(lambda: not client.exists(LOCK))
    assert told(client) == [("one", "died")]
    one.send(signal.SIGCONT)
    wait_until(lambda: told(client) == [("one", ""), ("one", "lock lost")])
    assert_one_after_the_other(read_reigns(client))


def test_a_lock_that_was_deleted(server: Server, run: Run) -> None:
    client = server.client()
    leading(client, run, "one", lock_ttl=1)
    client.delete(LOCK)
    wait_until(lambda: told(client) == [("one", ""), ("one", "lock lost")])


def test_redis_is_restarted(server: Server, run: Run) -> None:
    """A short outage is no end of a reign; without its data Redis knows only the latest."""
    client = server.client()
    leading(client, run, "one", lock_ttl=60)
    (before,) = read_reigns(client)
    alive = client.hget(REIGN, "alive")
    server.stop(signal.SIGKILL)
    server.start()
    wait_until(lambda: answers(server) and client.hget(REIGN, "alive") != alive)
    wait_until(lambda: listens(client))
    assert read_reigns(client) == [before]
    server.stop(signal.SIGKILL)
    server.lose_data()
    server.start()
    wait_until(lambda: answers(server) and told(client) == [("one", "")])
    assert read_reigns(client)[0].since > before.since


def test_redis_is_restarted_with_older_data(server: Server, run: Run) -> None:
    """It knows of a leader that has long stopped, and not of the one that leads."""
    client = server.client()
    one = leading(client, run, "one", lock_ttl=60)
    server.keep_dump()
    one.send(signal.SIGTERM)
    one.wait()
    leading(client, run, "two", lock_ttl=60, standby=True)
    server.stop(signal.SIGKILL)
    server.restore_dump()
    server.start()
    wait_until(lambda: answers(server) and told(client) == [("two", ""), ("one", "died")])


def test_keys_of_another_type_keep_nobody_from_leading(server: Server, run: Run) -> None:
    client = server.client()
    client.set(REIGNS, "another program's")
    one = leading(client, run, "one")
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED
    assert told(client) == []
    client.set(REIGN, "another program's")
    two = run("two")
    wait_until(lambda: leads(client, "two") and listens(client))
    two.send(signal.SIGTERM)
    assert two.wait() == STOPPED
    assert two.complaints() == []
    assert not client.exists(LOCK)
    assert (client.get(REIGN), client.get(REIGNS)) == (b"another program's",) * 2
