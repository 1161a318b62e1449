"""An HTTP server on loopback that records what it is sent, and misbehaves as it is told."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Received(NamedTuple):
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class Reply(NamedTuple):
    """What is answered."""

    status: int = 200
    body: bytes = b"OK"
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    hangs: bool = False
    """Whether the answer never comes."""
    trickles: bool = False
    """Whether the body never ends."""


OK = Reply()
HANGS = Reply(hangs=True)
TRICKLES = Reply(trickles=True)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # without asking for its own name, which may take long


class HttpServer:
    """Answers with `reply`, a `Reply` or a function that makes one of what was received."""

    def __init__(self) -> None:
        self.reply: Reply | Callable[[Received], Reply] = OK
        self.received: queue.Queue[Received] = queue.Queue()
        self.is_closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def next(self, timeout: float = 30) -> Received:
        """Await the next request."""
        return self.received.get(timeout=timeout)

    def refuse(self) -> None:
        """Close the port: connections are refused from now on."""
        self.is_closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, received: Received) -> Reply:
        return self.reply(received) if callable(self.reply) else self.reply


@contextmanager
def http_server() -> Iterator[HttpServer]:
    """A server that is closed at the end."""
    server = HttpServer()
    try:
        yield server
    finally:
        server.refuse()


def _handler(server: HttpServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            received = Received(self.command, parts.path, query, headers, body)
            reply = server.answer(received)
            server.received.put(received)
            with suppress(OSError):  # the client gave up
                self._send(reply)

        def _send(self, reply: Reply) -> None:
            if reply.hangs:
                server.is_closing.wait()
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
            while reply.trickles and not server.is_closing.wait(0.05):
                self.wfile.write(b".")

        do_GET = do_POST = do_DELETE = do_HEAD = _handle

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler
