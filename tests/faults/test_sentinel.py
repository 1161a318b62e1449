"""The master goes, a replica is promoted, and the scheduler follows.

Seen to fail, each with this taken out of the core: with redis-py's own clients of the sentinels in
`own_client`, which try one that is gone again and again (it follows too late); without the second
`pubsub.subscribe` in `ChangeListener` (it goes on listening to a master that is frozen).
"""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from redis.sentinel import Sentinel

from django_rediscron.core import RedisCronScheduler
from django_rediscron.core.process import listener
from django_rediscron.core.store.keys import LOCK
from tests.processes import start_python, wait_until
from tests.server import free_port

from .schedulers import (
    SCHEDULES,
    Run,
    assert_no_occurrence_twice,
    leads,
    listens,
    register_every_second,
)
from .servers import MASTER, SentinelServer, Server, is_master, is_replica_of

pytestmark = pytest.mark.outage

SOON = 3.0
"""Seconds after the promotion within which it goes on."""


@dataclass
class Watched:
    """A master, its replica, and where to ask for the master."""

    master: Server
    replica: Server
    addresses: list[tuple[str, int]]

    @property
    def url(self) -> str:
        return json.dumps(self.addresses)


@pytest.fixture
def watched(server: Server, server_binary: str, tmp_path: Path) -> Iterator[Watched]:
    """Of three sentinels, the first one hangs and the second one is gone."""
    replica = Server(server_binary, tmp_path)
    sentinel = SentinelServer(server_binary, tmp_path, server)
    try:
        replica.start().replicate(server)
        wait_until(lambda: is_replica_of(replica, server))
        sentinel.start()
        wait_until(lambda: sentinel.ask()["num-slaves"] == 1)
        with socket.create_server(("127.0.0.1", 0)) as mute:
            gone = ("127.0.0.1", free_port())
            addresses = [mute.getsockname(), gone, ("127.0.0.1", sentinel.port)]
            yield Watched(server, replica, addresses)
    finally:
        sentinel.close()
        replica.close()


COMMAND = """
import json, sys
import django
from django.conf import settings
from django.core.management import call_command

queue = {"SENTINELS": json.loads(sys.argv[1]), "MASTER_NAME": sys.argv[2], "DB": 0}
settings.configure(
    INSTALLED_APPS=["django_rq", "django_rediscron"],
    RQ_QUEUES={"default": queue, "metrics": queue},
)
django.setup()
call_command("rqcron_scheduler", name="one")
"""


@pytest.mark.slow
def test_follows_when_the_master_is_killed(watched: Watched) -> None:
    """The command of a Django project with `SENTINELS` in `RQ_QUEUES`, and defaults in all else."""
    one = start_python("-c", COMMAND, watched.url, MASTER)
    try:
        assert_follows(watched, lambda: watched.master.stop(signal.SIGKILL))
        one.send_signal(signal.SIGTERM)
        output, _ = one.communicate(timeout=20)
    finally:
        one.kill()
        one.wait()
    assert one.returncode == 0, output
    assert output.count("is in trouble") == output.count("is back after") == 1
    assert not watched.replica.client().exists(LOCK)


@pytest.mark.slow
def test_follows_when_the_master_hangs(watched: Watched, run: Run) -> None:
    """Its connections stand, and yet the scheduler soon hears of changes at the new master.

    On a client as redis-py makes them.
    """
    one = run("one", url=watched.url, connect=master_for, prepare=notice_silence)
    assert_follows(watched, watched.master.freeze)
    wait_until(lambda: listens(watched.replica.client()))
    assert len(one.said("is in trouble")) == len(one.said("is back after")) == 1


def master_for(url: str) -> Redis:
    addresses = [(host, port) for host, port in json.loads(url)]
    client: Redis = Sentinel(addresses).master_for(MASTER)
    return client


def notice_silence(scheduler: RedisCronScheduler) -> None:
    listener.SILENCE = listener.ANSWER = 1.0


def assert_follows(watched: Watched, fail: Callable[[], None]) -> None:
    """Of a scheduler named one."""
    register_every_second(watched.master.client())
    wait_until(lambda: leads(watched.master.client(), "one"))
    wait_until(lambda: len(watched.replica.read_writes().times) == SCHEDULES)
    fail()
    wait_until(lambda: is_master(watched.replica), timeout=20)
    promoted = time.time()

    def goes_on() -> bool:
        entered = watched.replica.read_writes().entered.values()
        return min(moments[-1] for moments in entered) > promoted

    wait_until(goes_on, timeout=SOON)
    assert leads(watched.replica.client(), "one")
    assert_no_occurrence_twice(watched.replica.read_writes())
