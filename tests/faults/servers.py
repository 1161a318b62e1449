"""Servers that a test may stop, freeze, restart, demote and deprive of their data."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.processes import wait_until
from tests.server import free_port

from .witness import Witness


class Server:
    """A server of its own port and folder; every write of its life stands in its append-only file.

    `options` are those of the configuration file, for every start.
    """

    def __init__(self, binary: str, folder: Path, **options: Any) -> None:
        self.binary = binary
        self.port = free_port()
        self.folder = folder / str(self.port)
        self.folder.mkdir()
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[Redis] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def is_stopped(self) -> bool:
        return self._process is None

    def client(self, **options: Any) -> Redis:
        """A client that fails at once where the server is away."""
        defaults = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 60}  # as long as tests wait
        client = Redis.from_url(self.url, **{**defaults, **options})
        self._clients.append(client)
        return client

    def start(self, **options: Any) -> Server:
        """Start it, with further options for this time; returns when it listens."""
        given: dict[str, Any] = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "save": "",
            "appendonly": "yes",
            "aof-use-rdb-preamble": "yes",
            "auto-aof-rewrite-percentage": 0,
            "repl-diskless-sync-delay": 0,
            **self.options,
            **options,
        }
        arguments = [text for name, value in given.items() for text in (f"--{name}", str(value))]
        self._run(*arguments)
        return self

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; as a crash with SIGKILL. What it was told it still knows when it starts again."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            process.wait()

    def lose_data(self) -> None:
        """Of a stopped server: it will know nothing."""
        shutil.rmtree(self._data)

    def keep_dump(self) -> None:
        """What it knows by now, for `restore_dump`."""
        shutil.copytree(self._data, self.folder / "dump")

    def restore_dump(self) -> None:
        """Of a stopped server: it will know what it knew then."""
        shutil.rmtree(self._data)
        (self.folder / "dump").rename(self._data)

    @property
    def _data(self) -> Path:
        return self.folder / "appendonlydir"

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def replicate(self, master: Server | None) -> None:
        """Become the replica of another one, whether or not that one is there; None: of none."""
        where = ("NO", "ONE") if master is None else ("127.0.0.1", str(master.port))
        self.client().execute_command("REPLICAOF", *where)

    def read_writes(self) -> Witness:
        """What schedulers wrote here, in all lives of this server since it lost its data."""
        seen = Witness()
        for file in sorted((self.folder / "appendonlydir").glob("*.incr.aof")):
            for command, _ in commands_of(file.read_bytes()):
                seen.see(command)
        return seen

    def close(self) -> None:
        """End it, and all clients."""
        self.stop(signal.SIGKILL)
        for client in self._clients:
            client.close()

    def _run(self, *arguments: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.binary, *arguments], stdout=log, stderr=subprocess.STDOUT
            )
        wait_until(self._listens)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def _send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class SentinelServer(Server):
    """A sentinel, run by the same program, that decides alone about one master."""

    def __init__(self, binary: str, folder: Path, master: Server) -> None:
        super().__init__(binary, folder)
        self._file = self.folder / "sentinel.conf"
        self._file.write_text(
            f"port {self.port}\n"
            "bind 127.0.0.1\n"
            f"dir {self.folder}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER}\n"
            f"sentinel failover-timeout {MASTER} 5000\n"
        )

    def start(self, **options: Any) -> Server:
        self._run(str(self._file), "--sentinel")
        return self

    def ask(self) -> dict[str, Any]:
        """What it knows of the master."""
        masters: dict[str, dict[str, Any]] = self.client().sentinel_masters()
        return masters[MASTER]


MASTER = "the-master"

DOWN_AFTER = 500
"""Milliseconds without an answer after which a sentinel holds a server for dead."""


def is_replica_of(replica: Server, master: Server) -> bool:
    """Whether it is, and is up to date."""
    facts = replica.client().info("replication")
    return facts.get("master_port") == master.port and facts["master_link_status"] == "up"


def is_master(server: Server) -> bool:
    """Whether it is one. Its connections are cut when it becomes one."""
    try:
        return bool(server.client().role()[0] == b"master")
    except (RedisError, OSError):
        return False


def answers(server: Server) -> bool:
    """Whether a client can write to it."""
    try:
        server.client().set("answers", 1)
    except (RedisError, OSError):
        return False
    return True


def commands_of(file: bytes) -> Iterator[tuple[list[str], int]]:
    """The commands in an append-only file, and where each ends; the last one may be incomplete."""
    position, whole = 0, len(file.rpartition(b"\r\n")[0]) + 2 if b"\r\n" in file else 0
    while position < whole:
        line = file.index(b"\r\n", position)
        count = int(file[position + 1 : line])
        position, command = line + 2, []
        while len(command) < count:
            line = file.find(b"\r\n", position)
            end = line + 2 + int(file[position + 1 : line]) if line >= 0 else whole
            if end + 2 > whole:
                return
            command.append(file[line + 2 : end].decode(errors="replace"))
            position = end + 2
        yield command, position
