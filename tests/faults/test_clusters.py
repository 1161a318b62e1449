"""Servers in cluster mode, and servers that lack what the scripts need.

Seen to fail without its protection:

- the line that says what to set: without `explain` in `reaching` it is Redis's own, which names
  neither the variable nor the node;
- a server that lacks `cmsgpack`: without `probe` at birth the scheduler leads, and each pass fails.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisError

from django_rediscron.core import RedisCronScheduler
from django_rediscron.core.exceptions import UnsuitableServerError
from django_rediscron.core.store.keys import HAS_OWN_PREFIX, LOCK
from tests.processes import wait_until
from tests.server import free_port

from .proxy import Proxy, RoundTrip
from .schedulers import Run, project
from .servers import Server

SLOTS = 16384
PREFIX = "{rq}"
DECLARED = (
    '[{"queue_name": "default", "id": "a", "interval": 1},'
    ' {"queue_name": "reports", "id": "b", "interval": 1, "overlap": "skip", "max_runs": 3}]'
)
HINT = "set the environment variable RQ_KEY_PREFIX={rq}, braces included, for all processes"

needs_prefix = pytest.mark.skipif(not HAS_OWN_PREFIX, reason="RQ before 2.12 has one prefix")


class Cluster:
    """Masters that share all slots."""

    def __init__(self, binary: str, folder: Path, size: int) -> None:
        options = {"cluster-enabled": "yes", "appendonly": "no"}
        # The nodes talk to each other on a port that no outgoing connection may have taken either.
        buses = [free_port() for _ in range(size)]
        self.nodes = [
            Server(binary, folder, **options, **{"cluster-port": bus}).start() for bus in buses
        ]
        self._bounds = [SLOTS * number // size for number in range(size + 1)]
        for number, node in enumerate(self.nodes):
            first, last = self._bounds[number], self._bounds[number + 1] - 1
            node.client().execute_command("CLUSTER ADDSLOTSRANGE", first, last)
            meet = ("CLUSTER MEET", "127.0.0.1", node.port, buses[number])
            self.nodes[0].client().execute_command(*meet)
        clients = [node.client() for node in self.nodes]
        wait_until(lambda: all(_is_whole(client, size) for client in clients), timeout=60)

    def node_of(self, key: str) -> Server:
        slot = int(self.nodes[0].client().execute_command("CLUSTER KEYSLOT", key))
        return self.nodes[bisect_right(self._bounds, slot) - 1]

    def close(self) -> None:
        for node in self.nodes:
            node.close()


def _is_whole(client: Redis, size: int) -> bool:
    facts = client.execute_command("CLUSTER INFO")
    return facts["cluster_state"] == "ok" and facts["cluster_known_nodes"] == str(size)


@pytest.fixture(scope="module", params=[1, 3])
def cluster(
    request: pytest.FixtureRequest, server_binary: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    cluster = Cluster(server_binary, tmp_path_factory.mktemp("cluster"), request.param)
    try:
        yield cluster
    finally:
        cluster.close()


def manage(
    server: Server, *arguments: str, prefix: str = "", declared: str = DECLARED
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **project(server), "REDISCRON_TEST_DECLARED": declared}
    if prefix:
        environment["RQ_KEY_PREFIX"] = prefix
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


EDITS = """
import django; django.setup()
from django_rediscron import RedisCronJob, get_scheduler
from tests.tasks import echo
scheduler = get_scheduler()
job = scheduler.register(echo, "default", "made", interval=3600)
job.interval = 60; job.save()
job.disable(); job.enable()
with scheduler.connection.pipeline() as pipe:
    job.interval = 61; job.save(pipe); pipe.execute()
job = RedisCronJob.fetch("made", scheduler.connection)
assert job.interval == 61, job.interval
job.enqueue(scheduler.connection)
job.delete()
scheduler.register(echo, "default", "made", interval=3600)
"""


@needs_prefix
def test_with_a_prefix_in_braces_everything_works(cluster: Cluster) -> None:
    server = cluster.node_of(f"{PREFIX}:cron_jobs")
    client = server.client()
    client.flushall()
    environment = {**project(server), "RQ_KEY_PREFIX": PREFIX, "REDISCRON_TEST_DECLARED": DECLARED}
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "django", "rqcron_scheduler", "--name", "one"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until(lambda: client.llen(f"{PREFIX}:queue:default") >= 2, timeout=60)
        assert manage(server, "rqcron_health", prefix=PREFIX).stdout.startswith("ok: 'one'")
        edits = subprocess.run(
            [sys.executable, "-c", EDITS],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert edits.returncode == 0, edits.stderr
        worked = manage(server, "rqworker", "--burst", "default", prefix=PREFIX)
        assert worked.returncode == 0, worked.stderr
        assert client.zcard(f"{PREFIX}:finished:default") >= 1
        assert client.llen(f"{PREFIX}:queue:reports") >= 1
    finally:
        scheduler.send_signal(signal.SIGTERM)
        output, _ = scheduler.communicate(timeout=30)
    assert scheduler.returncode == 0, output
    assert not re.search("error|Traceback|trouble", output, re.IGNORECASE), output

    listed = manage(server, "rqrcron_info", prefix=PREFIX).stdout
    assert [line.split("  ")[0] for line in listed.splitlines()[:2]] == ["a", "made"]
    synced = manage(server, "rqrcron_sync", "--prune", prefix=PREFIX, declared="[]")
    assert "2 orphans" in synced.stdout or "2 deleted" in synced.stdout
    assert all(key.startswith(PREFIX.encode()) for key in client.scan_iter())


@pytest.mark.parametrize(
    "command",
    ["rqcron_scheduler --burst", "rqcron_scheduler --standby", "rqrcron_info", "rqcron_health"],
)
def test_without_braces_one_line_says_what_to_set(cluster: Cluster, command: str) -> None:
    done = manage(cluster.nodes[-1], *command.split(), "-v", "0")
    assert done.returncode == 1
    (line,) = (done.stdout + done.stderr).splitlines()
    assert line.count("it is in cluster mode") == 1
    assert ("upgrade to RQ 2.12" in line) == (not HAS_OWN_PREFIX)
    assert line.endswith(HINT)


@needs_prefix
@pytest.mark.parametrize("command", ["rqcron_scheduler", "rqrcron_info", "rqcron_health"])
def test_a_node_that_holds_other_keys_names_the_right_one(cluster: Cluster, command: str) -> None:
    right = cluster.node_of(f"{PREFIX}:cron_jobs")
    for node in cluster.nodes:
        if node is not right:
            done = manage(node, command, prefix=PREFIX)
            assert done.returncode == 1
            assert f"connect to 127.0.0.1:{right.port}" in (done.stdout + done.stderr)


def test_a_client_of_a_whole_cluster_is_refused_by_name(cluster: Cluster) -> None:
    client = RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    with pytest.raises(TypeError, match=r"client of one server, .* got a RedisCluster"):
        RedisCronScheduler(client)  # type: ignore[arg-type]
    client.close()


# Servers that are not all there


def _lacks(old: bytes, new: bytes) -> object:
    """A fault: what a script asks for is not there."""
    assert len(old) == len(new)

    def fault(trip: RoundTrip) -> None:
        trip.request = trip.request.replace(old, new)

    return fault


@pytest.mark.parametrize("standby", [False, True])
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"return cmsgpack", b"return nomsgpack"[:15], "its scripts cannot use cmsgpack"),
        (b"'EXISTS'", b"'EXITED'", "its scripts cannot use keys that are not declared"),
        (b"EVALSHA", b"EVALSHO", "it runs no scripts"),
    ],
)
def test_what_a_server_lacks_is_named_at_start(
    connection: Redis, proxy: Proxy, old: bytes, new: bytes, words: str, standby: bool
) -> None:
    connection.script_flush()  # so that the script itself is sent, and not its digest
    scheduler = RedisCronScheduler(Redis.from_url(proxy.url))
    proxy.strike(lambda trip: old in trip.request, _lacks(old, new), None)  # type: ignore[arg-type]

    with pytest.raises(UnsuitableServerError, match=words) as error:
        scheduler.start(burst=True, standby=standby)

    assert "in tests, a real server" in str(error.value)
    assert not connection.exists(LOCK)


def test_a_server_that_goes_away_at_the_probe_is_only_away(
    server: Server, run: Run, tmp_path: Path
) -> None:
    server.stop()
    one = run(standby=True)
    wait_until(lambda: one.said("Redis is in trouble"), timeout=30)
    server.start()
    wait_until(lambda: _holds(server), timeout=30)


def _holds(server: Server) -> bool:
    try:
        return bool(server.client().exists(LOCK))
    except (RedisError, OSError):
        return False
