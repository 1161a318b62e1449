"""What a hash said when it was read, for a script to compare with what stands there."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1

from . import msgpack

SEPARATOR = "\n"

LONGEST = 500
"""Bytes of all values; longer ones are compared by their SHA-1, and read again for each run."""

_COMPACT_VALUE, _COMPACT_FIELDS = 64, 100
"""Bytes and fields up to which Redis keeps a hash as a list by default, to which it appends."""

_LATEST, _NEXT = "latest_enqueue_time", "next_enqueue_time"


class Fingerprint:
    """The values of one schedule's hash, in the order in which Redis returns them.

    So whatever was changed, by whatever program, is a change. After a run it is known beforehand,
    as long as nothing but the two times was written; where Redis does otherwise than expected, the
    schedule counts as changed and is read again.
    """

    __slots__ = ("_appends", "_latest", "_next", "_whole", "count", "is_known", "parts")

    def __init__(self, fields: Mapping[str, str]) -> None:
        values = {name: text.encode(errors="surrogateescape") for name, text in fields.items()}
        self.is_known = True
        """Whether it is that of the hash as it is now."""
        self.count = len(values)
        """Of its values."""
        self.parts: list[bytes] = []
        """What the script is told, of `count` values as msgpack, for speed in pieces."""
        self._whole = len(values) > 1 and sum(map(len, values.values())) <= LONGEST
        self._appends = self._whole and len(values) < _COMPACT_FIELDS
        self._latest = self._next = -1  # places among the parts
        if not self._whole:
            self.count = 1
            text = SEPARATOR.encode().join(values.values())
            self.parts.append(msgpack.text(sha1(text).hexdigest()))
            return
        other = b""
        for name, value in values.items():
            packed = msgpack.text(value)
            if name in (_LATEST, _NEXT):
                if other:
                    self.parts.append(other)
                    other = b""
                if name == _LATEST:
                    self._latest = len(self.parts)
                else:
                    self._next = len(self.parts)
                self.parts.append(packed)
            else:
                other += packed
                self._appends &= len(value) <= _COMPACT_VALUE
        if other:
            self.parts.append(other)

    def to_msgpack(self) -> bytes:
        """As a list by itself."""
        return msgpack.head(self.count) + b"".join(self.parts)

    def advance(self, latest: bytes | None, following: bytes) -> None:
        """The two times, as msgpack, have been written, or (None) only the next one, and nothing
        else."""
        if self._next < 0:
            self.is_known = False
            return
        self.parts[self._next] = following
        if latest is None:
            return
        if self._latest < 0:
            self.is_known &= self._appends
            self.count += 1
            self._latest = len(self.parts)
            self.parts.append(latest)
        else:
            self.parts[self._latest] = latest

    def forget(self) -> None:
        """Something else has been written, too."""
        self.is_known = False
