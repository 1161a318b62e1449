"""Long work of a leader: between any two steps it shows that it lives, and it can be stopped there.

Steps are made small and heartbeats frequent, so that few schedules stand for 100,000 and more. Seen
to fail with `step()` taken out of `in_steps`, `scan_ids`, `reindex` and `_absent_members`, with
`keep_alive` and the look at `sync_wanted` taken out of `Leading._pass`, and with each of the three
parts of `keep_alive`.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import pytest
from redis import Redis
from rq.cron import CronScheduler

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch import dispatcher as dispatch
from django_rediscron.core.process import session
from django_rediscron.core.store import listing as store
from django_rediscron.core.store import reading
from django_rediscron.core.store.keys import ERRORS, INDEX, LAST_UPDATE, LOCK, SCHEDULERS
from tests import tasks
from tests.processes import wait_until
from tests.scripts import all_scripts, loaded_scripts

from .proxy import Proxy, RoundTrip, is_batch
from .victims import STOPPED, Victim, lead

SCHEDULES = 8
STEP = 2
"""Schedules, members or declarations in one step."""


class Work(NamedTuple):
    """`prepare` makes a leader do it; `is_step` knows its steps among all round trips."""

    prepare: Callable[[Redis], object]
    is_step: Callable[[RoundTrip], bool]
    syncs: bool = False


def register(client: Redis, **options: object) -> None:
    for number in range(SCHEDULES):
        name = f"s{number}"
        job = RedisCronJob(name, "default", tasks.echo, interval=86400, connection=client)
        for option, value in options.items():
            setattr(job, option, value)
        job.save()


def register_for_later(client: Redis) -> None:
    moment = datetime.now(timezone.utc)
    register(client, latest_enqueue_time=moment, next_enqueue_time=moment + timedelta(days=1))


def register_as_another_program(client: Redis) -> None:
    """One that keeps none of our indexes but the first."""
    register_for_later(client)
    client.set(LAST_UPDATE, "1.5")


def fail_all(client: Redis) -> None:
    register_for_later(client)
    client.zadd(ERRORS, {f"s{number}": 1 for number in range(SCHEDULES)})
    for number in range(SCHEDULES):
        client.hset(f"rq:cron_job:s{number}", "last_error", "it failed")


def runs(name: str) -> Callable[[RoundTrip], bool]:
    def is_run(trip: RoundTrip) -> bool:
        text = loaded_scripts()[name].text
        digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return digest.encode() in trip.request

    return is_run


def sends(words: str) -> Callable[[RoundTrip], bool]:
    return lambda trip: f": b'{words}" in str(trip)


KINDS = {
    "pass": Work(register, is_batch),
    "scan": Work(lambda client: client.mset(dict.fromkeys(map(str, range(99)), "")), sends("SCAN")),
    "reindex": Work(register_for_later, runs("reindex")),
    "members": Work(register_for_later, sends(f"ZRANGE {INDEX} ")),
    "errors": Work(fail_all, sends(f"ZADD {INDEX} ")),
    "retiming": Work(register_as_another_program, runs("read")),
    "sync, reading": Work(lambda client: None, runs("read"), syncs=True),
    "sync, creating": Work(lambda client: None, runs("create"), syncs=True),
    "sync, changing": Work(register_for_later, runs("save"), syncs=True),
    "sync, orphans": Work(register_for_later, runs("declared"), syncs=True),
}

each_kind = pytest.mark.parametrize("work", KINDS.values(), ids=KINDS)


@each_kind
def test_long_work_is_seen_to_be_alive(
    connection: Redis, proxy: Proxy, tmp_path: Path, work: Work
) -> None:
    """By systemd's watchdog, and by RQ's registry, which health probes look at."""
    prepare(connection, work)
    address = str(tmp_path / "notify")
    alive: list[tuple[bool, bool]] = []
    seen = {"heartbeat": False, "watchdog": False}

    def look(trip: RoundTrip) -> None:
        with suppress(BlockingIOError):
            while True:
                seen["watchdog"] |= systemd.recv(4096).startswith(b"WATCHDOG=1")
        seen["heartbeat"] |= sends(f"ZADD {SCHEDULERS}")(trip)
        if work.is_step(trip):
            alive.append((seen["heartbeat"], seen["watchdog"]))
            seen.update(heartbeat=False, watchdog=False)

    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as systemd:
        systemd.bind(address)
        systemd.setblocking(False)
        proxy.strike(lambda trip: True, look, times=None)
        victim = Victim(scheduler, proxy.url, syncs=work.syncs, systemd=address).start()
        wait_until(lambda: victim.has_ended or len(alive) >= SCHEDULES / STEP, timeout=30)
        victim.send(signal.SIGTERM)
        assert victim.wait() == STOPPED, victim.error
    assert set(alive[1:]) == {(True, True)}, alive


@each_kind
def test_long_work_ends_between_two_steps(connection: Redis, proxy: Proxy, work: Work) -> None:
    """And the scheduler with it, which signs off."""
    prepare(connection, work)
    victim = Victim(scheduler, proxy.url, syncs=work.syncs)
    proxy.strike(work.is_step, lambda trip: victim.send(signal.SIGTERM))
    assert victim.start().wait(timeout=30) == STOPPED, victim.error
    assert sum(map(work.is_step, proxy.trips)) == 1
    assert not connection.exists(LOCK)
    assert CronScheduler.all(connection) == []


def test_a_signal_to_sync_is_heard_amid_a_pass(connection: Redis, proxy: Proxy) -> None:
    register(connection)
    victim = Victim(count_queue_at_sync, proxy.url)
    proxy.strike(is_batch, lambda trip: victim.send(signal.SIGHUP))
    victim.start()
    wait_until(lambda: connection.llen("synced") == 2, timeout=30)
    wait_until(lambda: connection.llen("rq:queue:default") == SCHEDULES, timeout=30)
    victim.send(signal.SIGTERM)
    assert victim.wait() == STOPPED, victim.error
    assert connection.lrange("synced", 0, -1) == [b"0", str(STEP).encode()]


def count_queue_at_sync(url: str) -> None:
    """A scheduler whose sync writes down how much has been enqueued."""
    dispatch.BATCH = STEP
    scheduler = RedisCronScheduler(Redis.from_url(url))

    def sync() -> None:
        connection = scheduler.connection
        connection.rpush("synced", connection.llen("rq:queue:default"))

    scheduler.sync = sync  # type: ignore[method-assign]
    scheduler.start()


def prepare(connection: Redis, work: Work) -> None:
    connection.script_flush()
    for script in all_scripts().values():
        connection.script_load(script.text)  # else the first one of a kind takes two round trips
    work.prepare(connection)


def scheduler(url: str, *, syncs: bool, systemd: str = "") -> None:
    """One that goes on for ever, in small steps; with `systemd`, with a heartbeat after each."""
    store.BATCH = reading.BATCH = STEP
    store.SCANNED, reading.CALLS = 10, 1
    if systemd:
        session.HEARTBEATS_PER_TTL = 1 << 30
        os.environ |= {"NOTIFY_SOCKET": systemd, "WATCHDOG_USEC": "1"}
    if syncs:
        dispatch.BATCH = STEP
        command(url)
    else:
        lead(url, burst=False, batch=STEP)


def command(url: str) -> None:
    """`manage.py rqcron_scheduler` of a project with that Redis."""
    os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "REDISCRON_TEST_URL": url}
    os.environ.pop("PYTEST_XDIST_WORKER", None)
    os.environ["REDISCRON_TEST_WORKER"] = ""
    os.environ["REDISCRON_TEST_DECLARED"] = json.dumps(
        [{"queue_name": "default", "id": f"s{n}", "interval": 86400} for n in range(SCHEDULES)]
    )

    import django
    from django.core.management import call_command

    django.setup()

    from django_rediscron.sync import orphans
    from django_rediscron.sync import syncing as sync

    orphans.PAGE, orphans.PAGES = STEP, 1
    orphans.WRITTEN = sync.WRITTEN = STEP
    call_command("rqcron_scheduler")
