"""What the checks were told, kept in Redis: a new leader sends only what changed."""

from __future__ import annotations

import json
from typing import NamedTuple, cast

from redis import Redis

KEPT = 365 * 86400
"""Seconds after the latest change of a check."""


class Sent(NamedTuple):
    """What one check was told."""

    code: str
    """Its UUID at Healthchecks."""
    digest: str
    """Of its fields; empty: none was sent yet."""
    is_paused: bool


class SentChecks:
    """A hash: slug -> `Sent` as a JSON array."""

    def __init__(self, connection: Redis, key: str) -> None:
        self._connection = connection
        self._key = key
        stored = cast("dict[bytes, bytes]", connection.hgetall(key))
        read = {slug.decode(errors="replace"): _parsed(text) for slug, text in stored.items()}
        self._sent = {slug: sent for slug, sent in read.items() if sent is not None}

    def slugs(self) -> set[str]:
        return set(self._sent)

    def get(self, slug: str) -> Sent | None:
        return self._sent.get(slug)

    def note(self, slug: str, sent: Sent) -> None:
        self._sent[slug] = sent
        self._connection.hset(self._key, slug, json.dumps(sent))
        self._connection.expire(self._key, KEPT)

    def forget(self, slug: str) -> None:
        self._sent.pop(slug, None)
        self._connection.hdel(self._key, slug)


def _parsed(text: bytes) -> Sent | None:
    """None for what is damaged: it is sent again."""
    try:
        code, digest, is_paused = json.loads(text)
        return Sent(str(code), str(digest), bool(is_paused))
    except (ValueError, TypeError):
        return None
