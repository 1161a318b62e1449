"""The little of msgpack that the dispatch script is fed with: texts, numbers and lists.

Format: https://github.com/msgpack/msgpack/blob/master/spec.md. Redis's Lua unpacks the `str`
family into plain strings of bytes, so everything but a list goes as one of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def text(value: str | bytes) -> bytes:
    """A text as `str 8`, `str 16` or `str 32`."""
    raw = value if isinstance(value, bytes) else value.encode()
    length = len(raw)
    return (_SHORT[length] if length < 1 << 8 else text_head(length)) + raw


def text_head(length: int) -> bytes:
    """What stands before a text of so many bytes."""
    if length < 1 << 8:
        return b"\xd9" + length.to_bytes(1, "big")
    if length < 1 << 16:
        return b"\xda" + length.to_bytes(2, "big")
    return b"\xdb" + length.to_bytes(4, "big")


def number(value: int) -> bytes:
    """A non-negative integer as `uint 32`."""
    return b"\xce" + value.to_bytes(4, "big")


def head(length: int) -> bytes:
    """What stands before the items of a list."""
    return b"\xdd" + length.to_bytes(4, "big")


def array(packed: Sequence[bytes]) -> bytes:
    """A list of things that are packed already."""
    return head(len(packed)) + b"".join(packed)


def texts(values: Iterable[str | bytes]) -> bytes:
    """A list of texts."""
    return array([text(value) for value in values])


_SHORT = [text_head(length) for length in range(1 << 8)]


NO, YES = number(0), number(1)
