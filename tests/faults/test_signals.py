"""Asked to stop, a scheduler stops: soon, whatever Redis does, and leaves nothing behind.

Seen to fail, each with this taken out of the core:

- in a pass: the look at `stopping` in `Leading.keep_alive` (all that is due is
  enqueued before it ends);
- Redis frozen: `socket_timeout` in `own_client` (it does not end);
- Redis back: `register_death` in `Standby.sign_off` only if there was no outage (the lock is
  left);
- SIGHUP: `_sync_on_signal` in `Signals` (the process is killed);
- signals without end: `_ignore_at_the_end` in `Signals` (status -15 instead of 0);
- a signal that wakes nobody: `NAP` of a minute in `inbox.py` (it ends when it wakes by itself);
- a thread: the look at the main thread in `Signals` (`start()` raises).
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from redis import Redis
from rq.cron import CronScheduler

from django_rediscron.core import RedisCronJob, RedisCronScheduler
from django_rediscron.core.dispatch import dispatcher as dispatch
from django_rediscron.core.process import outage as trouble
from django_rediscron.core.store.keys import INDEX, LOCK, SCHEDULERS
from tests import tasks
from tests.processes import next_job_id, start_python, wait_until, within

from . import edits
from .proxy import Proxy, RoundTrip, is_batch, proxy_before
from .schedulers import (
    Living,
    Run,
    assert_no_occurrence_twice,
    command,
    falls_silent,
    leads,
    listens,
    register_every_second,
)
from .servers import Server
from .victims import STOPPED
from .world import BATCHES, World, assert_whole, count_jobs

pytestmark = pytest.mark.outage

IDLE = 0.5
AWAY = 3.0
"""Seconds within which it has ended: with nothing to do, and where Redis does not answer."""

BATCH = len(BATCHES[0])

STOPPING = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxy_before(server.url) as proxy:
        yield proxy


def assert_nothing_left(client: Redis) -> None:
    assert not client.exists(LOCK)
    assert CronScheduler.all(client) == []
    assert client.keys("rq:cron_scheduler:*") == []


@contextmanager
def idle_command(server: Server, *declared: dict[str, object]) -> Iterator[subprocess.Popen[str]]:
    with command(server, *declared) as process:
        wait_until(lambda: leads(server.client(), "one") and listens(server.client()), timeout=30)
        yield process


@pytest.mark.parametrize("number", STOPPING)
def test_ends_when_idle(server: Server, number: int) -> None:
    """With all of its interpreter."""

    def stop() -> float:
        with idle_command(server) as process:
            started = time.monotonic()
            process.send_signal(number)
            assert process.wait(timeout=10) == 0
            taken = time.monotonic() - started
            assert_nothing_left(server.client())
        return taken

    within(IDLE, stop)


def test_a_signal_that_does_not_wake_it(server: Server, run: Run) -> None:
    """As one that comes in the very moment in which it falls asleep, or to another thread."""
    one = run("one", prepare=signal_another_thread)
    wait_until(lambda: leads(server.client(), "one") and listens(server.client()))
    wait_until(lambda: falls_silent(server.client()))
    server.client().rpush("go", 1)
    assert one.wait() == STOPPED
    assert_nothing_left(server.client())


def signal_another_thread(scheduler: RedisCronScheduler) -> None:
    def wait_for_word() -> None:
        while scheduler.connection.blpop(["go"], timeout=2) is None:
            pass
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    threading.Thread(target=wait_for_word, daemon=True).start()


@pytest.mark.parametrize("number", STOPPING)
def test_signals_without_end(server: Server, number: int) -> None:
    """It is not killed by one that comes while its interpreter ends, which takes a while."""
    with idle_command(server) as process:
        while process.poll() is None:
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.01)
        assert process.returncode == 0
        assert_nothing_left(server.client())


def test_a_signal_long_after_the_end_is_the_programs(server: Server) -> None:
    """A program that goes on can be killed as before."""
    process = start_python("-c", GOES_ON.format(url=server.url))
    try:
        wait_until(lambda: leads(server.client(), "one"))
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: not server.client().exists(LOCK))
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "it goes on\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == -signal.SIGTERM
    finally:
        process.kill()
        process.communicate()


GOES_ON = """
import time
from redis import Redis
from django_rediscron.core import RedisCronScheduler
from django_rediscron.core.process import inbox

inbox.GRACE = 2.0
RedisCronScheduler(Redis.from_url({url!r}), "ERROR", name="one").start()
time.sleep(2.5)
print("it goes on", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGINT], [*STOPPING, *STOPPING]])
def test_ends_with_the_batch_in_hand(
    server: Server, proxy: Proxy, run: Run, numbers: list[int]
) -> None:
    """That one is written, and no other one; a second signal changes nothing."""
    world = World(server.client())
    one = run("one", url=proxy.url, prepare=take_small_batches)

    def signal_it(trip: RoundTrip) -> None:
        for number in numbers:
            one.send(number)

    proxy.strike(is_batch, signal_it)
    assert one.wait() == STOPPED, one.error
    assert count_jobs(server.client()) == BATCH
    assert_nothing_left(server.client())
    assert_whole(server.client())
    world.assert_survived()


def take_small_batches(scheduler: RedisCronScheduler) -> None:
    dispatch.BATCH = BATCH


@pytest.mark.parametrize("number", STOPPING)
def test_a_second_signal_while_it_signs_off(
    server: Server, proxy: Proxy, run: Run, number: int
) -> None:
    one = run("one", url=proxy.url)
    wait_until(lambda: leads(server.client(), "one") and listens(server.client()))
    proxy.strike(lambda trip: f"ZREM {SCHEDULERS}" in str(trip), lambda trip: one.send(number))
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED
    assert proxy.struck
    assert_nothing_left(server.client())


def test_ends_while_redis_is_down(server: Server, run: Run) -> None:
    register_every_second(server.client())
    one = run("one")
    wait_until(lambda: leads(server.client(), "one"))
    server.stop()
    wait_until(lambda: one.said("trouble"))
    one.send(signal.SIGTERM)
    assert one.wait(timeout=AWAY) == STOPPED
    assert_harmless(server, run, one)


@pytest.mark.parametrize("busy", [False, True])
def test_ends_while_redis_is_frozen(server: Server, run: Run, busy: bool) -> None:
    """Asleep, and while it waits for an answer."""
    if busy:
        register_every_second(server.client())
    one = run("one")
    wait_until(lambda: leads(server.client(), "one") and listens(server.client()))
    server.freeze()
    if busy:
        wait_until(lambda: one.said("trouble"))
    one.send(signal.SIGTERM)
    assert one.wait(timeout=AWAY) == STOPPED
    server.thaw()
    assert_harmless(server, run, one)


def assert_harmless(server: Server, run: Run, one: Living) -> None:
    """The next one takes the lock that it could not give up, and does what was left to do."""
    assert one.said("could not sign off; a lock that it holds expires within")
    assert len(one.said("trouble")) == 1
    if server.is_stopped:
        server.start()
    if not server.client().exists(INDEX):
        register_every_second(server.client())
    run("two")
    wait_until(lambda: leads(server.client(), "two"))
    moment = time.time()
    wait_until(lambda: any(m[-1] > moment for m in server.read_writes().entered.values()))
    assert_no_occurrence_twice(server.read_writes())


def test_signs_off_when_redis_is_back_and_it_has_not_noticed(server: Server, run: Run) -> None:
    register_every_second(server.client())
    one = run("one", prepare=be_patient)
    wait_until(lambda: leads(server.client(), "one"))
    server.stop()
    wait_until(lambda: one.said("trouble"))
    server.start()
    one.send(signal.SIGTERM)
    assert one.wait(timeout=AWAY) == STOPPED
    assert_nothing_left(server.client())
    assert len(one.said("is back after")) == 1


def be_patient(scheduler: RedisCronScheduler) -> None:
    trouble.SHORTEST_BACK_OFF = trouble.LONGEST_BACK_OFF = 60


def test_sighup_syncs_what_is_declared_again(server: Server) -> None:
    client = server.client()
    declared = {"queue_name": "default", "id": "declared", "interval": 86400}
    with idle_command(server, declared) as process:
        next_job_id(client, "default")
        edits.foreign_delete(RedisCronJob.fetch("declared", client))  # ours would be respected
        process.send_signal(signal.SIGHUP)
        next_job_id(client, "default")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_a_thread_is_stopped_by_stop(server: Server) -> None:
    """And minds no signal: those belong to the program."""
    before = [signal.getsignal(number) for number in (*STOPPING, signal.SIGHUP)]
    scheduler = RedisCronScheduler(server.client(), name="one")
    with in_thread(scheduler) as thread:
        wait_until(lambda: leads(server.client(), "one") and listens(server.client()))
        scheduler.register(tasks.echo, "metrics", "a", interval=86400)
        next_job_id(server.client(), "metrics")
        assert [signal.getsignal(number) for number in (*STOPPING, signal.SIGHUP)] == before
        scheduler.stop()
        thread.join(10)
        assert not thread.is_alive()
    assert_nothing_left(server.client())
    with in_thread(scheduler):  # once more
        wait_until(lambda: leads(server.client(), "one"))


def test_a_thread_is_stopped_while_redis_is_frozen(server: Server) -> None:
    scheduler = RedisCronScheduler(server.client(), name="one")
    with in_thread(scheduler) as thread:
        wait_until(lambda: leads(server.client(), "one") and listens(server.client()))
        server.freeze()
        scheduler.stop()
        thread.join(AWAY)
        assert not thread.is_alive()
        server.thaw()


@contextmanager
def in_thread(scheduler: RedisCronScheduler) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=scheduler.start)
    thread.start()
    try:
        yield thread
    finally:
        if thread.is_alive():
            scheduler.stop()
        thread.join()
