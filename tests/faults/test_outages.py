"""Redis's bad days: the scheduler stays, says so once, and goes on when they are over.

Seen to fail, each with this taken out of the core:

- every outage: the handler of `RedisError` in `Leading._attempt` (the process ends);
- the lock lost in an outage: `_regain_lock` called by the handler of `LockLostError`, where nobody
  catches what it raises (the process ends);
- without its data, and with older data: `_watch_data` in `Leading._work` (what was declared is not
  declared again), and with older data also a mark that is always the same; during a sync: the
  comparison of markers in `Leading._sync`;
- a change missed: `self._notify(None)` in `ChangeListener` (it is seen when it wakes by itself);
- the name that leads to another server: `connection_pool.disconnect` in `Standby.wait_for_redis`
  (it goes on asking the old one for ever).
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.process.outage import LONGEST_BACK_OFF, Outage
from django_rediscron.core.store.connections import TIMEOUT
from django_rediscron.core.store.keys import LOCK
from tests import tasks
from tests.processes import next_job_id, wait_until

from . import refusals
from .proxy import Proxy
from .schedulers import (
    SCHEDULES,
    Living,
    Run,
    assert_no_occurrence_twice,
    command,
    declare,
    falls_silent,
    leads,
    listens,
    register_every_second,
)
from .servers import Server, answers, is_replica_of
from .victims import STOPPED
from .witness import Witness

pytestmark = pytest.mark.outage

LONG = float(os.environ.get("REDISCRON_OUTAGE", "15"))
"""Seconds without a server. Five minutes take five minutes: by hand, with 300."""

LATE = 1.0
"""Seconds that a pass may take on a busy machine."""

SOON = 2.0
"""Seconds within which it goes on when Redis is back; then what is due every second is due."""

ANY_TIME: Any = None
"""In the place of a round trip."""

OutageMaker = Callable[[Server], AbstractContextManager[None]]


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@contextmanager
def crashed(server: Server) -> Iterator[None]:
    server.stop(signal.SIGKILL)
    yield
    server.start()


@contextmanager
def loading(server: Server) -> Iterator[None]:
    """-LOADING, after a restart with much data."""
    client = server.client()
    client.mset({f"ballast:{number}": number for number in range(1500)})
    client.bgrewriteaof()  # it answers while it loads a snapshot
    wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    server.stop()
    server.start(**{"key-load-delay": 500, "loading-process-events-interval-bytes": 1024})
    assert not answers(server)
    yield
    wait_until(lambda: answers(server))


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    server.freeze()
    yield
    server.thaw()


@contextmanager
def paused(server: Server) -> Iterator[None]:
    """CLIENT PAUSE; nothing ends it but time."""
    until = time.monotonic() + 3
    server.client().client_pause(3000, all=True)
    yield
    wait_until(lambda: time.monotonic() > until)


@contextmanager
def read_only(server: Server) -> Iterator[None]:
    """-READONLY, as a replica."""
    with refusals.read_only(server.client()) as refuse:
        refuse(ANY_TIME)
        yield


@contextmanager
def out_of_memory(server: Server) -> Iterator[None]:
    """-OOM."""
    with refusals.out_of_memory(server.client()) as refuse:
        refuse(ANY_TIME)
        yield


@contextmanager
def master_down(server: Server) -> Iterator[None]:
    """-MASTERDOWN, as a replica that has lost its master."""
    client = server.client()
    client.config_set("replica-serve-stale-data", "no")
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    client.execute_command("REPLICAOF", "NO", "ONE")


OUTAGES: dict[str, OutageMaker] = {
    "stopped": stopped,
    "crashed": crashed,
    "LOADING": loading,
    "frozen": frozen,
    "paused": paused,
    "READONLY": read_only,
    "OOM": out_of_memory,
    "MASTERDOWN": master_down,
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_outlives_an_outage(server: Server, run: Run, outage: OutageMaker) -> None:
    go_through(server, run, outage, seconds=0.5)


@pytest.mark.slow
def test_outlives_a_long_outage(server: Server, run: Run) -> None:
    go_through(server, run, stopped, seconds=LONG)


def go_through(server: Server, run: Run, outage: OutageMaker, seconds: float) -> None:
    """Ten schedules run every second, and one comes due in the outage."""
    register_every_second(server.client())
    one = run("one")
    wait_until(lambda: leads(server.client(), "one") and listens(server.client()))
    wait_until(lambda: len(server.read_writes().times) == SCHEDULES)
    register_once(server.client(), seconds=0.2)

    begin = time.time()
    with outage(server):
        wait_until(lambda: one.said("trouble"))
        wait_until(lambda: time.time() > begin + seconds, timeout=seconds + 1)
    back = time.time()

    def goes_on() -> bool:
        latest = {id: moments[-1] for id, moments in server.read_writes().entered.items()}
        return latest.pop("once", 0) > begin and min(latest.values()) > back

    wait_until(goes_on, timeout=SOON + 1)
    wait_until(lambda: one.said("is back after"))
    assert_one_complaint(one, back - begin)
    wait_until(lambda: listens(server.client()))
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED, one.error
    assert_each_ran_once(server.read_writes(), begin, back)


def register_once(client: Redis, seconds: float = 0) -> None:
    """One that is due in so many seconds, and then tomorrow."""
    due = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    RedisCronJob(
        "once", "metrics", tasks.echo, interval=86400, next_enqueue_time=due, connection=client
    ).save()


def assert_one_complaint(scheduler: Living, seconds: float) -> None:
    """One line when it began and one when it was over, which says how long it was."""
    began, ended = scheduler.complaints()
    assert began.startswith("ERROR Scheduler one: Redis is in trouble: ")
    assert ended.startswith("WARNING Scheduler one: Redis is back after ")
    assert float(ended.split()[-2]) == pytest.approx(seconds, abs=SOON)


def assert_each_ran_once(seen: Witness, begin: float, back: float) -> None:
    """No occurrence twice; none passed over but in the outage, and then the latest one ran.

    A request that was on its way when Redis froze is answered later: that one is not the latest.
    """
    assert_no_occurrence_twice(seen)
    assert len(seen.times.pop("once")) == 1
    for id, times in seen.times.items():
        moments = seen.entered[id]
        for nominal, moment in zip(times, moments, strict=True):
            late = LATE + TIMEOUT if begin < moment < back + SOON else LATE
            assert 0 <= moment - nominal < 1 + late, f"{id}: {nominal} was enqueued at {moment}"
        for (earlier, later), moment in zip(pairwise(times), moments[1:], strict=True):
            if round(later - earlier) > 1:
                assert earlier + 1 > begin - LATE, f"{id} at {moment}"
                assert moment < back + SOON, f"{id} at {moment}"


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
def test_outlives_killed_connections(server: Server, run: Run, kind: str) -> None:
    """Nothing is late or doubled, and every complaint is followed by an all-clear."""
    client = server.client()
    register_every_second(client)
    register_once(client)
    one = run("one")
    wait_until(lambda: leads(client, "one") and listens(client))
    for _ in range(5):
        client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        next_job_id(client, "metrics")
    wait_until(lambda: listens(client))
    wait_until(lambda: len(one.said("trouble")) == len(one.said("is back after")))
    if kind == "pubsub":
        assert one.complaints() == []
    moment = time.time()
    assert_each_ran_once(server.read_writes(), moment, moment)


def test_sees_a_change_that_it_did_not_hear_of(server: Server, run: Run) -> None:
    """It subscribes again and looks what it missed, long before it would wake by itself."""
    client = server.client()
    client.acl_setuser("deaf", enabled=True, nopass=True, categories=["+@all"], keys="*")
    client.execute_command("ACL", "SETUSER", "deaf", "allchannels")
    one = run("one", connect=partial(Redis.from_url, username="deaf", password="any"))
    register_once(client)
    next_job_id(client, "metrics")
    wait_until(lambda: listens(client) and falls_silent(client))
    client.execute_command("ACL", "SETUSER", "deaf", "resetchannels")  # ends who listens
    wait_until(lambda: not listens(client))
    RedisCronScheduler(client).register(tasks.echo, "metrics", "a", interval=86400)
    client.execute_command("ACL", "SETUSER", "deaf", "allchannels")
    next_job_id(client, "metrics")
    # Now it sleeps again, and hears of changes.
    wait_until(lambda: listens(client))
    RedisCronScheduler(client).register(tasks.echo, "metrics", "b", interval=86400)
    next_job_id(client, "metrics")
    assert one.complaints() == []


def test_goes_on_without_what_redis_lost(server: Server, run: Run) -> None:
    """It takes the lock again, and what a program declares is declared again and runs."""
    client = server.client()
    one = run("one", prepare=declare)
    RedisCronScheduler(client).register(tasks.echo, "metrics", "lost", interval=1)
    next_job_id(client, "metrics")
    server.stop(signal.SIGKILL)
    wait_until(lambda: one.said("trouble"))
    server.lose_data()
    server.start()
    next_job_id(client, "declared", timeout=SOON + 1)
    wait_until(lambda: one.said("is back after"))
    assert leads(client, "one")
    assert one.said("INFO Scheduler one: took the lost lock again")
    began, ended = one.complaints()
    assert "trouble" in began
    assert "is back after" in ended
    assert "one" in [found.name for found in RedisCronScheduler.all(client)]
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED
    assert not client.exists(LOCK)
    assert client.zcard("rq:cron_job:declared:jobs") == 1


def test_the_command_goes_on_without_what_redis_lost(server: Server) -> None:
    """In a Django project, whose declared schedules are written again."""
    client = server.client()
    with command(server, {"queue_name": "default", "id": "declared", "interval": 86400}) as one:
        next_job_id(client, "default", timeout=30)
        server.stop(signal.SIGKILL)
        server.lose_data()
        server.start()
        next_job_id(client, "default", timeout=SOON + 1)
        one.send_signal(signal.SIGTERM)
        output, _ = one.communicate(timeout=10)
    assert one.returncode == 0, output
    assert output.count("is in trouble") == output.count("is back after") <= 1, output
    assert output.count("Declared schedules: 1 created") == 2, output


def test_declares_again_what_an_older_dump_lacks(server: Server, run: Run) -> None:
    """The lock and the rest of the scheduler's traces are in the dump."""
    client = server.client()
    one = run("one", lock_ttl=3600, prepare=declare_more_and_more)
    next_job_id(client, "declared")
    wait_until(lambda: listens(client) and falls_silent(client))
    token = client.get(LOCK)
    server.keep_dump()
    one.send(signal.SIGHUP)
    next_job_id(client, "added")
    server.stop(signal.SIGKILL)
    server.restore_dump()
    server.start()
    wait_until(lambda: answers(server))
    next_job_id(client, "added")
    assert client.get(LOCK) == token
    assert not one.said("lock again")
    wait_until(lambda: falls_silent(client))
    assert len(one.said("INFO Scheduler one: Redis lost the latest sync")) == 1
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED


def test_declares_again_what_was_lost_during_a_sync(server: Server, run: Run) -> None:
    """Redis is restarted with an older dump while the program's sync talks to nobody."""
    client = server.client()
    one = run("one", lock_ttl=3600, prepare=declare_and_pause)
    next_job_id(client, "declared")
    wait_until(lambda: listens(client) and falls_silent(client))
    server.keep_dump()
    one.send(signal.SIGHUP)
    next_job_id(client, "added")
    one.send(signal.SIGHUP)
    wait_until(lambda: client.exists("pausing"))
    server.stop(signal.SIGKILL)
    server.restore_dump()
    server.start()
    wait_until(lambda: answers(server))
    assert not client.exists("rq:cron_job:added")
    client.set("go on", 1)
    next_job_id(client, "added")
    assert not one.said("is in trouble")
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED


def declare_and_pause(scheduler: RedisCronScheduler) -> None:
    """Let a program declare one more schedule the second time, and then wait to be told."""
    declare_more_and_more(scheduler)
    declare_all: Any = scheduler.sync
    calls: list[int] = []

    def sync() -> None:
        declare_all()
        calls.append(1)
        if len(calls) == 3:
            scheduler.connection.set("pausing", 1)
            wait_until(partial(_is_told, scheduler.connection))

    scheduler.sync = sync  # type: ignore[method-assign]


def _is_told(client: Redis) -> bool:
    with suppress(RedisError):
        return bool(client.exists("go on"))
    return False


def test_declares_again_what_a_promoted_replica_lacks(
    server: Server, server_binary: str, run: Run, tmp_path: Path
) -> None:
    other = Server(server_binary, tmp_path)
    name = Name(server.url)
    try:
        other.start().replicate(server)
        wait_until(lambda: is_replica_of(other, server))
        one = run("one", lock_ttl=3600, url=name.url, prepare=declare_more_and_more)
        next_job_id(server.client(), "declared")
        wait_until(lambda: listens(server.client()) and falls_silent(other.client()))
        wait_until(lambda: other.client().exists("rq:cron_job:declared"))
        other.replicate(None)
        one.send(signal.SIGHUP)
        next_job_id(server.client(), "added")
        name.lead_to(other)
        server.stop(signal.SIGKILL)
        next_job_id(other.client(), "added")
        assert leads(other.client(), "one")
        assert not one.said("lock again")
    finally:
        name.close()
        other.close()


def declare_more_and_more(scheduler: RedisCronScheduler) -> None:
    """Let a program declare one more schedule each time, of two."""
    names = ["declared"]

    def sync() -> None:
        for name in names:
            scheduler.register(tasks.echo, name, name, interval=86400)
        names[1:] = ["added"]

    scheduler.sync = sync  # type: ignore[method-assign]


def test_outlives_an_outage_in_which_it_lost_the_lock(server: Server, run: Run) -> None:
    """What takes the lock again may be refused, as everything may."""
    client = server.client()
    register_every_second(client)
    one = run("one")
    wait_until(lambda: leads(client, "one"))
    with out_of_memory(server):
        client.delete(LOCK)
        wait_until(lambda: one.said("trouble"))
        moment = time.monotonic()
        wait_until(lambda: one.has_ended or time.monotonic() > moment + 1)
        assert not one.has_ended, one.error
    count = client.llen("rq:queue:metrics")
    wait_until(lambda: leads(client, "one") and client.llen("rq:queue:metrics") > count, SOON + 1)
    wait_until(lambda: one.said("is back after"))
    assert len(one.said("trouble")) == len(one.said("is back after")) == 1


def test_follows_a_name_to_another_master(
    server: Server, server_binary: str, run: Run, tmp_path: Path
) -> None:
    """The old master is demoted and refuses, and the connection to it still stands."""
    other = Server(server_binary, tmp_path)
    name = Name(server.url)
    try:
        other.start().replicate(server)
        wait_until(lambda: is_replica_of(other, server))
        register_every_second(server.client())
        one = run("one", url=name.url)
        # A master sends nothing to a new replica before that has asked, which takes up to a second.
        wait_until(lambda: other.client().llen("rq:queue:metrics"))
        other.replicate(None)
        name.lead_to(other)
        server.replicate(other)
        count = other.client().llen("rq:queue:metrics")
        wait_until(lambda: other.client().llen("rq:queue:metrics") > count)
        assert len(one.said("trouble")) == 1
    finally:
        name.close()
        other.close()


class Name(Proxy):
    """An address that leads to one server today and to another one tomorrow."""

    def lead_to(self, server: Server) -> None:
        self._server = ("127.0.0.1", server.port)


def test_backs_off_to_a_second_with_jitter() -> None:
    outage = Outage(logging.getLogger(__name__), "one")
    pauses = []
    for _ in range(50):
        outage.attempt()
        pauses.append(outage.failed(ConnectionError("refused")))
    assert pauses[0] < 0.11
    assert max(pauses) <= LONGEST_BACK_OFF
    assert min(pauses[5:]) > LONGEST_BACK_OFF / 3
    assert len(set(pauses)) > 40
