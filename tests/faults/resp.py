"""Where a message of the Redis protocol ends, RESP 2 and 3.

Format: https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

from __future__ import annotations

_SIZED = b"$=!"  # a length, then so many bytes
_LISTS = {b"*": 1, b"~": 1, b">": 1, b"%": 2}  # a length, then so many values


def count_messages(buffer: bytes) -> tuple[int, int]:
    """How many whole messages the buffer begins with, and where the last of them ends.

    What the server says unasked is not counted.
    """
    count, end = 0, 0
    while (following := _end(buffer, end)) is not None:
        if buffer[end : end + 1] != b">":
            count += 1
        end = following
    return count, end


def arguments(request: bytes) -> list[bytes]:
    """The arguments of all commands in a request, in one list."""
    found = []
    position = 0
    while position < len(request):
        line = request.index(b"\r\n", position)
        if request[position : position + 1] == b"$":
            length = int(request[position + 1 : line])
            found.append(request[line + 2 : line + 2 + length])
            position = line + 2 + length + 2
        else:
            position = line + 2
    return found


def _end(buffer: bytes, position: int) -> int | None:
    """The end of the message at `position`; None where the buffer does not hold all of it."""
    line = buffer.find(b"\r\n", position)
    if line < 0:
        return None
    kind = buffer[position : position + 1]
    after = line + 2
    if kind in _LISTS:
        for _ in range(int(buffer[position + 1 : line]) * _LISTS[kind]):
            inner = _end(buffer, after)
            if inner is None:
                return None
            after = inner
        return after
    if kind in _SIZED:
        length = int(buffer[position + 1 : line])
        after += length + 2 if length >= 0 else 0
        return after if after <= len(buffer) else None
    return after
