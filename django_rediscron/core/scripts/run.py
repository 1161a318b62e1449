"""Running a script."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from redis import Redis
from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError


def run_script(
    connection: Redis, script: str, keys: Sequence[Any], arguments: Sequence[Any]
) -> Any:
    """Run a script that the server may know already; texts come back as bytes.

    They do so even where the client decodes replies: what stands in Redis need not be text.
    """
    rest = (len(keys), *keys, *arguments)
    run: Callable[..., Any] = connection.execute_command
    try:
        return run("EVALSHA", _digest(script), *rest, **{NEVER_DECODE: True})
    except NoScriptError:
        return run("EVAL", script, *rest, **{NEVER_DECODE: True})


@cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
