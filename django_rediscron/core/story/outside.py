"""What programs changed that keep no log, as rq-rediscron and redis-cli: the leader enters it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from redis import Redis
from redis.exceptions import ResponseError
from rq.utils import now

from ..store.connections import bytes_client
from ..store.keys import CHANGES_PREFIX, DISABLED, INDEX, JOB_PREFIX, LOGGED_SINCE
from ..store.scripts import Script, run_script
from ..timing.cron_times import utc_text

logger = logging.getLogger(__name__)

SLICE = 100
"""Schedules in one script call: it blocks Redis for about two milliseconds."""

SLICE_BYTES = 256 * 1024
"""Bytes of schedules after which a call leaves the rest to the next one."""

RATE = 10_000
"""Schedules that are looked at in a second, so that it takes a fifth of Redis's time at most."""

SCANNED = 1000
"""Keys of any kind that Redis looks at in one step of a scan."""

SWEEP_INTERVAL = 60.0
"""Least seconds between two looks at all schedules: few changes show only there."""

SWEEP_SHARE = 0.005
"""Greatest part of the time that is spent in them: that of 10,000 schedules takes a second."""

RENEWED_AFTER = 86400
"""Seconds after which the TTL of the log of a schedule that has not changed is renewed."""

NOTE_OUTSIDE = Script(
    "note_outside", JOB_PREFIX=JOB_PREFIX, SLICE_BYTES=SLICE_BYTES, RENEWED_AFTER=RENEWED_AFTER
)

_END = object()


class OutsideWatch:
    """Compares schedules with their logs, step by step, while the leader has nothing else to do."""

    def __init__(self, connection: Redis, suspects: set[bytes]) -> None:
        """`suspects`: ids that are to be looked at first; others may add some at any time."""
        self._connection = connection
        self._suspects = suspects
        self._sweep: Iterator[None] | None = None
        self._is_refused = False
        self._due = self._begun = self._ended = time.monotonic()

    def begin(self) -> None:
        """All schedules are to be looked at, and all logs of schedules that are gone."""
        self._begin(gone_too=True)

    def _begin(self, *, gone_too: bool) -> None:
        self._sweep, self._begun = self._look_at_all(gone_too=gone_too), time.monotonic()

    def suspect(self, ids: Iterable[str | bytes]) -> None:
        """These schedules are to be looked at first."""
        self._suspects.update(id if isinstance(id, bytes) else id.encode() for id in ids)

    @property
    def pause(self) -> float:
        """Seconds until the next step is due; 0 if it is."""
        is_busy = self._suspects or self._sweep
        due = self._due if is_busy else self._next_sweep
        return max(0.0, due - time.monotonic())

    @property
    def _next_sweep(self) -> float:
        return self._ended + max(SWEEP_INTERVAL, (self._ended - self._begun) / SWEEP_SHARE)

    def step(self) -> bool:
        """Look at some schedules, for about two milliseconds; returns whether there may be more."""
        if self._sweep is None and time.monotonic() >= self._next_sweep:
            self._begin(gone_too=False)
        try:
            if self._suspects:
                some = [self._suspects.pop() for _ in range(min(SLICE, len(self._suspects)))]
                self._suspects.update(self._look_at(some))
            elif self._sweep is not None and next(self._sweep, _END) is _END:
                self._end()
        except ResponseError as error:  # a user with few rights: schedules run all the same
            level = logging.DEBUG if self._is_refused else logging.WARNING
            logger.log(level, "Changes by other programs are not logged: %s", error)
            self._is_refused = True
            self._suspects.clear()
            self._end()
        except BaseException:
            self.begin()
            raise
        return bool(self._suspects or self._sweep)

    def _end(self) -> None:
        self._sweep, self._ended = None, time.monotonic()

    def _look_at_all(self, *, gone_too: bool) -> Iterator[None]:
        begun, seen = utc_text(now()), set[bytes]()
        for members in self._members():
            seen.update(members)
            yield from self._look_at_each(members)
        if gone_too:
            for ids in self._logged():
                yield from self._look_at_each([id for id in ids if id not in seen])
        # From now on, one without a log is new.
        self._connection.set(LOGGED_SINCE, begun, nx=True)

    def _look_at_each(self, ids: Sequence[bytes]) -> Iterator[None]:
        while ids:
            ids = [*self._look_at(ids[:SLICE]), *ids[SLICE:]]
            yield

    def _look_at(self, ids: Sequence[bytes]) -> Sequence[bytes]:
        """Returns those that there was no time for."""
        self._due = time.monotonic() + len(ids) / RATE
        arguments = [utc_text(now()), *ids]
        return ids[run_script(self._connection, NOTE_OUTSIDE, [LOGGED_SINCE], arguments) :]

    def _members(self) -> Iterator[list[bytes]]:
        """Members of both indexes, in pages."""
        client = bytes_client(self._connection)
        for index in (INDEX, DISABLED):
            cursor: Any = None
            while cursor != 0:
                cursor, page = client.zscan(index, cursor or 0, count=SLICE)
                yield [cast(bytes, member) for member, _ in page]

    def _logged(self) -> Iterator[list[bytes]]:
        """Ids that have a log, in pages."""
        client, prefix = bytes_client(self._connection), CHANGES_PREFIX.encode()
        cursor: Any = None
        while cursor != 0:
            cursor, keys = client.scan(
                cursor or 0, match=f"{CHANGES_PREFIX}*", count=SCANNED, _type="list"
            )
            yield [cast(bytes, key)[len(prefix) :] for key in keys]
