"""Backfills that are disturbed: each occurrence of the span gets one job, whatever happens.

Seen to fail with the note of the progress written behind the transaction of the jobs (occurrences
twice) or before it (lost), and without `watch`.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from redis import Redis

from django_rediscron.core import RedisCronJob
from django_rediscron.core.backfill import running
from django_rediscron.core.backfill.note import Order, read_note
from django_rediscron.core.backfill.running import Backfill
from django_rediscron.core.schedule.texts import parse_time
from tests import tasks
from tests.processes import wait_until
from tests.test_cli import environment

from .proxy import Proxy, RoundTrip, cut_after, cut_before, cut_half_way
from .resp import arguments
from .servers import Server
from .victims import CUT_OFF, KILLED, STOPPED, Victim, connect

BEGIN = datetime(2026, 6, 3, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def fill(url: str, *, hours: int, batch: int = 2, retries: int = 0) -> None:
    """A backfill of so many hours."""
    running.BATCH = batch
    order = Order(BEGIN, BEGIN + (hours - 1) * HOUR)
    for _ in Backfill("a", order, connect(url, retries)).run():
        pass


def create(connection: Redis) -> None:
    connection.flushdb()
    RedisCronJob(
        "a", "default", tasks.echo, cron="0 * * * *", timezone="UTC", connection=connection
    ).save()


def enqueued(connection: Redis) -> list[datetime]:
    """Occurrences in the order of their queue; each job is whole, and in the history."""
    ids = [id.decode() for id in connection.lrange("rq:queue:default", 0, -1)]
    assert set(ids) == {id.decode() for id in connection.zrange("rq:cron_job:a:jobs", 0, -1)}
    assert set(ids) == {id.decode() for id in connection.hkeys("rq:cron_jobs:in_flight")}
    found = (connection.hget(f"rq:job:{id}", "occurrence") for id in ids)
    return [parse_time(text.decode()) for text in found if text]


def assert_each_once(connection: Redis, hours: int) -> None:
    assert Counter(enqueued(connection)) == dict.fromkeys(
        (BEGIN + n * HOUR for n in range(hours)), 1
    )
    note = read_note("a", connection)
    assert note is not None
    assert (note.enqueued, note.finished) == (hours, True)


HOURS = 3


def trips_of_all(connection: Redis, proxy: Proxy) -> list[RoundTrip]:
    """Those at which a transaction begins, and those that are one."""
    create(connection)
    fill_here(connection)
    create(connection)
    proxy.forget()
    victim = Victim(fill, proxy.url, hours=HOURS).start()
    assert victim.wait() == STOPPED, victim.error
    assert_each_once(connection, HOURS)
    return [trip for trip in proxy.trips if arguments(trip.request)[0] in (b"WATCH", b"MULTI")]


@pytest.mark.parametrize("executed", [False, True])
def test_killed_at_each_round_trip(connection: Redis, proxy: Proxy, executed: bool) -> None:
    for trip in trips_of_all(connection, proxy):
        create(connection)
        victim = Victim(fill, proxy.url, hours=HOURS)

        def kill(trip: RoundTrip, victim: Victim = victim) -> None:
            if executed:
                trip.execute()
            victim.send(signal.SIGKILL)
            trip.cut()

        proxy.strike(trip.number, kill)
        assert victim.start().wait() in (KILLED, STOPPED)
        fill_here(connection)
        assert_each_once(connection, HOURS)


def fill_here(connection: Redis) -> None:
    for _ in Backfill("a", Order(BEGIN, BEGIN + (HOURS - 1) * HOUR), connection).run():
        pass


@pytest.mark.parametrize(
    ("fault", "retries"), [(cut_before, 0), (cut_half_way, 3), (cut_after, 0), (cut_after, 3)]
)
def test_a_connection_breaks_at_each_round_trip(
    connection: Redis, proxy: Proxy, fault: Callable[[RoundTrip], None], retries: int
) -> None:
    """It ends, or with a client that repeats commands goes on by itself."""
    for trip in trips_of_all(connection, proxy):
        create(connection)
        proxy.strike(trip.number, fault)
        code = Victim(fill, proxy.url, hours=HOURS, retries=retries).start().wait()
        assert code in (STOPPED, CUT_OFF)
        fill_here(connection)
        assert_each_once(connection, HOURS)


def test_killed_ten_times_at_random(connection: Redis, proxy: Proxy) -> None:
    seed = int(os.environ.get("REDISCRON_SEED") or random.randrange(1 << 32))
    print(f"REDISCRON_SEED={seed}")
    chance = random.Random(seed)
    hours = 300
    create(connection)
    for _ in range(10):
        victim, executed = Victim(fill, proxy.url, hours=hours, batch=1), chance.random() < 0.5

        def kill(trip: RoundTrip, victim: Victim = victim, executed: bool = executed) -> None:
            if executed:
                trip.execute()
            victim.send(signal.SIGKILL)
            trip.cut()

        proxy.forget()
        proxy.strike(chance.randrange(15, 150), kill)
        assert victim.start().wait() == KILLED
    victim = Victim(fill, proxy.url, hours=hours, batch=1).start()
    assert victim.wait() == STOPPED, victim.error
    assert_each_once(connection, hours)


def test_several_at_once_share_the_work(connection: Redis, redis_url: str) -> None:
    create(connection)
    victims = [Victim(fill, redis_url, hours=300, batch=1).start() for _ in range(3)]
    for victim in victims:
        assert victim.wait() == STOPPED, victim.error
    assert_each_once(connection, 300)


# The command


def command(url: str, *options: str) -> subprocess.Popen[str]:
    last = BEGIN + (HOURS - 1) * HOUR
    span = ("--from", BEGIN.isoformat(), "--to", last.isoformat())
    return subprocess.Popen(
        [sys.executable, "-m", "django_rediscron.cli", "backfill", "a", *span, *options]
        + ["--url", url],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begun(connection: Redis) -> bool:
    note = read_note("a", connection)
    return note is not None and note.enqueued > 0


def test_ctrl_c_tells_how_far_it_got(connection: Redis, redis_url: str) -> None:
    create(connection)
    process = command(redis_url, "--per-minute", "1")
    try:
        wait_until(lambda: begun(connection))
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, errors) == (130, "")
    assert re.search(r"a: [01] enqueued, 0 ran already, [23] left; the same command goes", output)
    fill_here(connection)
    assert_each_once(connection, HOURS)


def test_redis_goes_away(server: Server) -> None:
    """One line, and the same command goes on when it is back."""
    connection = Redis.from_url(server.url)
    connection.config_set("appendfsync", "always")  # it loses nothing
    create(connection)
    process = command(server.url, "--per-minute", "60")
    try:
        wait_until(lambda: begun(connection))
        server.stop(signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert errors.count("\n") == 1, errors
    assert "cannot be reached" in errors
    server.start()
    process = command(server.url)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "were done before" in output or "was done before" in output
    assert_each_once(connection, HOURS)
