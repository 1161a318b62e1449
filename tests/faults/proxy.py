"""A TCP proxy before Redis that does harm at a chosen round trip.

A round trip is what a client writes before it waits, and the server's whole answer to that. They
are numbered from 0 over all connections, beginning with the greeting of the first one. redis-py
writes a pipeline of up to 6000 bytes at once, so the numbers of a process that does the same
again are the same again. A connection that subscribes is passed through and not counted.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

from django_rediscron.core.store.keys import CHANGES_PREFIX, INDEX, LOCK, LOGGED_SINCE
from django_rediscron.core.store.scripts import Script
from django_rediscron.core.story.following import END_RUNS, FOLLOW

from .resp import arguments, count_messages

LOG_KEYS = (CHANGES_PREFIX.encode(), LOGGED_SINCE.encode())

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class RoundTrip:
    """One request of a client, held by the proxy."""

    def __init__(self, number: int, request: bytes, client: socket.socket, server: socket.socket):
        self.number = number
        self.request = request
        self.count = count_messages(request)[0]
        self.reply: bytes | None = None
        self.is_over = False
        self._client = client
        self._server = server

    def execute(self) -> None:
        """Let the server have the request, and keep its answer here."""
        self._server.sendall(self.request)
        reply = b""
        while count_messages(reply)[0] < self.count:
            reply += _receive(self._server)
        self.reply = reply

    def send_half(self) -> None:
        """Let the server have the first half of the request."""
        self._server.sendall(self.request[: len(self.request) // 2])

    def answer(self) -> None:
        """Go on as if nothing were: the client gets its answer."""
        if self.reply is None:
            self.execute()
        assert self.reply is not None
        self._client.sendall(self.reply)
        self.is_over = True

    def cut(self) -> None:
        """Reset the connection on both sides."""
        _reset(self._client)
        _reset(self._server)
        self.is_over = True

    def __str__(self) -> str:
        return f"{self.number}: {b' '.join(arguments(self.request))[:100]!r}"


def is_batch(trip: RoundTrip) -> bool:
    """Whether this is a batch of a pass on its way to be written."""
    command = arguments(trip.request)
    return command[3:5] == [LOCK.encode(), INDEX.encode()]


def is_script(trip: RoundTrip, script: Script) -> bool:
    """Whether it calls this script."""
    return arguments(trip.request)[1:2] in [[text] for text in _names(script.text)]


def is_following(trip: RoundTrip) -> bool:
    """Whether it looks at jobs in flight or records their ends."""
    return is_script(trip, FOLLOW) or is_script(trip, END_RUNS)


def is_aside(trip: RoundTrip) -> bool:
    """Whether it follows jobs, looks for changes made outside, or is a greeting but for the first.

    `test_following.py` and `test_edits.py` have the former.
    """
    command = arguments(trip.request)
    return (
        is_following(trip)
        or command[0] in (b"CLIENT", b"ZSCAN")
        or any(argument.startswith(LOG_KEYS) for argument in command)
    )


def _names(text: str) -> tuple[bytes, bytes]:
    """A script as Redis is told which one to run."""
    return text.encode(), hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().encode()


def is_save(trip: RoundTrip) -> bool:
    """Whether this is an edit on its way to be written."""
    return b'"event"' in trip.request and b'"create"' in trip.request


Fault = Callable[[RoundTrip], None]
"""What to do at a round trip. It is answered afterwards unless the fault cut it."""


class Proxy:
    """Stands at `url` for the server of `redis_url`, from its construction until `close()`."""

    def __init__(self, redis_url: str) -> None:
        parts = urlsplit(redis_url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._listener = socket.create_server(("127.0.0.1", 0))
        credentials, at, _ = parts.netloc.rpartition("@")
        netloc = f"{credentials}{at}127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=netloc))
        self.trips: list[RoundTrip] = []
        self.struck: list[RoundTrip] = []
        self.errors: list[BaseException] = []
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._chosen: Callable[[RoundTrip], bool] = lambda trip: False
        self._limit = 0
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def strike(
        self, chosen: int | Callable[[RoundTrip], bool], fault: Fault, times: int | None = 1
    ) -> None:
        """Do this at the round trip of that number, or at those chosen; counts from 0 again."""
        with self._lock:
            self._chosen = chosen if callable(chosen) else lambda trip: trip.number == chosen
            self._fault, self._limit = fault, times if times is not None else 1 << 31
            self.trips, self.struck = [], []

    def forget(self) -> None:
        """Do no more harm, and count from 0 again."""
        self.strike(lambda trip: False, lambda trip: None)

    def close(self) -> None:
        """End all connections. Raises what a fault raised."""
        _reset(self._listener)
        for connected in self._sockets:
            _reset(connected)
        self.raise_errors()

    def raise_errors(self) -> None:
        """A fault runs in a thread of the proxy; what it raised there is raised here."""
        if self.errors:
            raise self.errors.pop()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._server)
                except OSError:
                    _reset(client)
                    continue
                for connected in (client, server):
                    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._sockets.append(connected)
                threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while True:
                request = _receive(client)
                while count_messages(request)[1] < len(request):
                    request += _receive(client)
                if arguments(request)[0].upper() in (b"SUBSCRIBE", b"MONITOR"):
                    self._pass_through(client, server, request)
                    return
                if not self._exchange(request, client, server):
                    return
        except OSError:
            pass  # one side has gone
        except BaseException as error:  # for the test that runs in another thread
            self.errors.append(error)
        finally:
            _reset(client)
            _reset(server)

    def _exchange(self, request: bytes, client: socket.socket, server: socket.socket) -> bool:
        with self._lock:
            trip = RoundTrip(len(self.trips), request, client, server)
            self.trips.append(trip)
            fault = None
            if len(self.struck) < self._limit and self._chosen(trip):
                self.struck.append(trip)
                fault = self._fault
        if fault is not None:
            fault(trip)
            if trip.is_over:
                return False
        trip.answer()
        return True

    def _pass_through(self, client: socket.socket, server: socket.socket, first: bytes) -> None:
        server.sendall(first)
        threading.Thread(target=_copy, args=(server, client), daemon=True).start()
        _copy(client, server)


@contextmanager
def proxy_before(redis_url: str) -> Iterator[Proxy]:
    """A proxy for the time of a `with` block."""
    proxy = Proxy(redis_url)
    try:
        yield proxy
    finally:
        proxy.close()


def cut_before(trip: RoundTrip) -> None:
    """The connection is reset; the server has got nothing."""
    trip.cut()


def cut_half_way(trip: RoundTrip) -> None:
    """The connection is reset when the server has got a part of the request."""
    trip.send_half()
    trip.cut()


def cut_after(trip: RoundTrip) -> None:
    """The server has done it, but the connection is reset before the reply."""
    trip.execute()
    trip.cut()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while True:
            target.sendall(_receive(source))
    _reset(source)
    _reset(target)


def _receive(source: socket.socket) -> bytes:
    received = source.recv(1 << 20)
    if not received:
        raise ConnectionResetError
    return received


def _reset(connected: socket.socket) -> None:
    """Close with a reset, and wake the thread that waits for it."""
    with suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RD)
    with suppress(OSError):
        connected.close()
