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


def run_scripts(
    connection: Redis, script: str, calls: Sequence[tuple[Sequence[Any], Sequence[Any]]]
) -> list[Any]:
    """Run a script many times in one round trip, each time with these keys and arguments.

    Between two runs others get their turn, so that many short ones hold nobody up.
    """
    replies: list[Any] = [None] * len(calls)
    pending, name, body = list(range(len(calls))), "EVALSHA", _digest(script)
    while pending:
        with connection.pipeline(transaction=False) as pipe:
            queue: Callable[..., Any] = pipe.execute_command
            for number in pending:
                keys, arguments = calls[number]
                queue(name, body, len(keys), *keys, *arguments, **{NEVER_DECODE: True})
                name, body = "EVALSHA", _digest(script)
            for number, reply in zip(pending, pipe.execute(raise_on_error=False), strict=True):
                replies[number] = reply
        for reply in replies:
            if isinstance(reply, Exception) and not isinstance(reply, NoScriptError):
                raise reply
        pending = [number for number in pending if isinstance(replies[number], NoScriptError)]
        name, body = "EVAL", script
    return replies
