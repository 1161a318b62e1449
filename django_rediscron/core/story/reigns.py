"""Who led, from when to when, and what ended it.

The scripts of the lock record it (`lua/includes/reigns.lua`): the current reign in a hash, with its
latest heartbeat, those before in a list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from ..schedule.texts import lossy_text, parse_time
from ..store.connections import bytes_client
from ..store.keys import LOCK, REIGN, REIGNS, holder_name

DIED = "died"


@dataclass(frozen=True)
class Reign:
    """A time in which one scheduler held the lock."""

    leader: str
    """Its name."""
    host: str
    pid: int | None
    since: datetime
    until: datetime | None
    """None: it leads now. Of one that died or lost the lock, its last heartbeat."""
    end: str
    """`stopped`, `lock lost` or `died`; empty while it leads. One that is frozen or cut off counts
    as dead until it is back."""


def read_reigns(connection: Redis, start: int = 0, end: int = -1) -> list[Reign]:
    """Who led, newest first, in one round trip; `start` and `end` count as in Redis's LRANGE.

    The latest 1,000 reigns are on record. What Redis lost, and what cannot be read, is left out.
    """
    with bytes_client(connection).pipeline(transaction=False) as pipe:
        pipe.get(LOCK)
        pipe.hgetall(REIGN)
        pipe.lrange(REIGNS, 0, end if min(start, end) >= 0 else -1)
        holder, current, before = pipe.execute(raise_on_error=False)
    reigns = [_current(_value(current) or {}, _value(holder) or b"")]
    reigns += [_ended(text) for text in _value(before) or ()]
    return [reign for reign in reigns if reign is not None][start : end + 1 or None]


def _value(reply: Any) -> Any:
    """A reply; None for a key of another type."""
    if not isinstance(reply, Exception):
        return reply
    if "WRONGTYPE" not in str(reply):
        raise reply
    return None


def _current(fields: Mapping[bytes, bytes], holder: bytes) -> Reign | None:
    """The reign in the hash, which goes on if it holds the lock."""
    known = {lossy_text(name): lossy_text(value) for name, value in fields.items()}
    if known.get("token") == lossy_text(holder):
        return _reign({**known, "until": None, "end": ""})
    return _reign({**known, "until": known.get("alive"), "end": DIED})


def _ended(text: bytes) -> Reign | None:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _reign(entry) if isinstance(entry, dict) else None


def _reign(entry: Mapping[str, Any]) -> Reign | None:
    """None if it cannot be one."""
    try:
        since, until, pid = parse_time(entry["since"]), entry.get("until"), entry.get("pid")
        return Reign(
            leader=holder_name(entry["token"]),
            host=entry.get("host") or "",
            pid=int(pid) if pid else None,
            since=since,
            until=max(since, parse_time(until)) if until else None,
            end=entry["end"],
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None
