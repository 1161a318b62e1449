"""The wire format of a pass: what `lua/dispatch.lua` is sent, and what it answers.

Everything is packed as msgpack, https://github.com/msgpack/msgpack/blob/master/spec.md, by the few
functions that stand first. Redis's Lua unpacks its `str` family into plain strings of bytes, so
everything but a list goes as a text or a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from redis import Redis

from ..schedule.missed import SKIPS_KEPT, SKIPS_TTL
from ..store.keys import (
    COUNTS,
    DISABLED,
    ERRORS,
    HISTORY_SUFFIX,
    IN_FLIGHT,
    INDEX,
    JOB_PREFIX,
    LATE,
    LOCK,
    OCCURRENCE_FIELDS,
    OUTCOMES_PREFIX,
    QUEUE_PREFIX,
    SKIPPED_PREFIX,
    STORY_TTL,
)
from ..store.keys import PAUSED as PAUSED_QUEUES
from ..store.scripts import Script, run_script
from ..timing.cron_times import utc_text


def text(value: str | bytes) -> bytes:
    """A text as `str 8`, `str 16` or `str 32`."""
    raw = value if isinstance(value, bytes) else value.encode()
    length = len(raw)
    return (_SHORT[length] if length < 1 << 8 else text_head(length)) + raw


def text_head(length: int) -> bytes:
    """The head of a text of that many bytes."""
    if length < 1 << 8:
        return b"\xd9" + length.to_bytes(1, "big")
    if length < 1 << 16:
        return b"\xda" + length.to_bytes(2, "big")
    return b"\xdb" + length.to_bytes(4, "big")


def number(value: int) -> bytes:
    """A non-negative integer as `uint 32`."""
    return b"\xce" + value.to_bytes(4, "big")


def head(length: int) -> bytes:
    """The head of a list of that many items."""
    return b"\xdd" + length.to_bytes(4, "big")


def array(packed: Sequence[bytes]) -> bytes:
    """A list of items that are already packed."""
    return head(len(packed)) + b"".join(packed)


def texts(values: Iterable[str | bytes]) -> bytes:
    """A list of texts."""
    return array([text(value) for value in values])


_SHORT = [text_head(length) for length in range(1 << 8)]


NO, YES = number(0), number(1)

EMPTY = text("")

# What the script answers

WRITTEN, NEARLY_FULL, OVERLAPPED = "1", "f", "s"
CHANGED, BAD_HISTORY, BAD_QUEUE, REFUSED, PAUSED = "0", "h", "q", "r", "p"
"""Outcomes of an occurrence or a correction, one character each; see the head of the script."""

DONE = frozenset((WRITTEN, NEARLY_FULL, OVERLAPPED))
"""Outcomes after which nothing is left to do."""

OCCURRENCE_LENGTH = 14
"""Items of an occurrence as the script takes it, without the values of its RQ job."""


class LockLostError(Exception):
    """The token does not hold the lock, or no longer, so nothing was enqueued."""


# What it is sent

SEPARATOR = "\n"
"""Between the names and values of a hash that are compared as one text."""

LONGEST = 700
"""Bytes of all names and values; longer ones are compared by their SHA-1."""

HISTORY_LIMIT = 1000
HISTORY_TTL = 365 * 86400
"""Entries and seconds; RQ's own numbers."""

LOOKED_AT = 20
"""Newest jobs of the history that are looked at: if no runs overlap, older ones have ended."""

MISSING = 60
"""Seconds after which a job with status "queued" that is in no queue counts as lost. A worker takes
a job out of its queue a moment before it changes the status."""

DISPATCH = Script(
    "dispatch",
    JOB_PREFIX=JOB_PREFIX,
    HISTORY_SUFFIX=HISTORY_SUFFIX,
    SKIPPED_PREFIX=SKIPPED_PREFIX,
    OUTCOMES_PREFIX=OUTCOMES_PREFIX,
    COUNTS=COUNTS,
    STORY_TTL=STORY_TTL,
    IN_FLIGHT=IN_FLIGHT,
    LATE=LATE,
    QUEUE_PREFIX=QUEUE_PREFIX,
    DISABLED=DISABLED,
    ERRORS=ERRORS,
    SKIPS_TTL=SKIPS_TTL,
    LOOKED_AT=LOOKED_AT,
    MISSING=MISSING,
    SEPARATOR=SEPARATOR,
    LONGEST=LONGEST,
    OCCURRENCE_LENGTH=OCCURRENCE_LENGTH,
    WRITTEN=WRITTEN,
    NEARLY_FULL=NEARLY_FULL,
    OVERLAPPED=OVERLAPPED,
    CHANGED=CHANGED,
    BAD_HISTORY=BAD_HISTORY,
    BAD_QUEUE=BAD_QUEUE,
    REFUSED=REFUSED,
    PAUSED=PAUSED,
    PAUSED_QUEUES=PAUSED_QUEUES,
)

JOB_TIMES = ("created_at", "enqueued_at")
"""Fields of RQ jobs that are the same for all of one call."""

JOB_ID_LENGTH = 36
_JOB_ID = text_head(JOB_ID_LENGTH)
_OCCURRENCE = b"".join(text(name) + EMPTY for name in OCCURRENCE_FIELDS)
_NO_HASH = head(0)


class SharedJobFields:
    """Where RQ jobs go, and the fields that many of them share; sent once in a call.

    `prefix`: the start of the keys of jobs. `ttl`: seconds that a job lives, 0 for ever. `push`:
    key of the queue, empty if the jobs are not pushed. `queues`: key of the set of queues.
    `variable`: names of the fields that differ from job to job. `terms`: see `in_flight.terms`.
    `queue`: its name.
    """

    __slots__ = ("_constant", "_count", "_head")

    def __init__(
        self,
        prefix: str | bytes,
        ttl: int,
        push: str,
        queues: str,
        at_front: bool,
        variable: Sequence[str],
        terms: str,
        queue: str,
        fields: Iterable[tuple[str, bytes]],
    ) -> None:
        target = text(prefix), number(ttl), text(push), text(queues)
        rest = number(int(at_front)), number(len(variable)), text(terms), text(queue)
        self._head = b"".join((head(9), *target, *rest))
        pairs = [*((name, b"") for name in variable), *fields]
        self._constant = b"".join([text(name) + text(value) for name, value in pairs])
        self._count = 2 * (len(pairs) + len(JOB_TIMES) + len(OCCURRENCE_FIELDS))

    def pack(self, times: bytes) -> bytes:
        """`times`: the packed fields of `JOB_TIMES`."""
        return b"".join((self._head, head(self._count), self._constant, times, _OCCURRENCE))


def pack_times(seen: bytes, latest: str, following: bytes, score: str) -> bytes:
    """Next time as read; new latest time (empty: the same), next time and score in the index."""
    return b"".join((text(seen), text(latest), text(following), text(score)))


def pack_occurrence(
    id: bytes,
    times: bytes,
    job_id: str,
    shared: bytes,
    read: bytes,
    values: bytes,
    policy: bytes,
    *,
    heal: bool,
    tidy: bool,
) -> bytes:
    """One occurrence, `OCCURRENCE_LENGTH` items and the values of its RQ job.

    `id`: of its schedule. `times`: see `pack_times`. `shared`: the packed number of its
    `SharedJobFields`. `read`: its hash as read, see `Fingerprint`. `heal`: delete the last error.
    `tidy`: keep the history short.
    """
    return b"".join(
        (
            text(id),
            times,
            YES if heal else NO,
            _JOB_ID,
            job_id.encode(),
            shared,
            YES if tidy else NO,
            read,
            values,
            policy,
        )
    )


def pack_policy(
    records: Sequence[str],
    overlap: str,
    overlapping: str,
    max_runs: int | None,
    commands: Iterable[bytes] = (),
) -> bytes:
    """The options of a schedule that concern an occurrence.

    `records`: skips before it. `overlap`: the option, empty to allow it. `overlapping`: the record
    to write if it overlaps. `commands`: those that enqueue the job, for custom queues.
    """
    most = EMPTY if max_runs is None else text(str(max_runs))
    return array([texts(records), text(overlap), text(overlapping), most, *commands])


def pack_correction(
    id: bytes,
    seen: bytes,
    fields: Sequence[str],
    score: float | None,
    records: Sequence[str],
    *,
    failed: bool,
    finished: bool,
) -> bytes:
    """A correction: see `Corrections.add`."""
    return array(
        [
            text(id),
            seen or _NO_HASH,
            texts(fields),
            EMPTY if score is None else text(f"{score:.6f}"),
            YES if failed else NO,
            texts(records),
            YES if finished else NO,
        ]
    )


def dispatch(
    connection: Redis,
    token: str,
    lock_ttl: float,
    moment: datetime,
    shared: Iterable[SharedJobFields],
    occurrences: Sequence[bytes],
    length: int,
    corrections: Sequence[bytes],
    skips_kept: int = SKIPS_KEPT,
    late: bytes = b"",
) -> tuple[str, Iterator[str]]:
    """Call the script. Returns the outcomes of all occurrences and then of all corrections, and a
    line for each that was refused, the reason, or paused, the pause as JSON.

    `length`: items of all occurrences together. `skips_kept`: records of each schedule.
    `late`: see `Lateness.pack`. Raises `LockLostError`.
    """
    now = text(utc_text(moment))
    times = b"".join([text(name) + now for name in JOB_TIMES])
    lists = (
        array([fields.pack(times) for fields in shared]),
        head(length) + b"".join(occurrences),
        array(corrections),
    )
    arguments = (
        token,
        int(lock_ttl * 1000),
        HISTORY_LIMIT,
        HISTORY_TTL,
        f"{moment.timestamp():.6f}",
        array(lists),
        utc_text(moment),
        skips_kept,
        late,
    )
    reply = run_script(connection, DISPATCH, [LOCK, INDEX], arguments)
    if reply is None:
        raise LockLostError
    outcomes, *lines = reply.decode(errors="backslashreplace").split("\n")
    return outcomes, iter(lines)
