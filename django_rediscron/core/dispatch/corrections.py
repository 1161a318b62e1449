"""Schedules of a batch without an occurrence: what a pass sets right about them in one script."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ..timing.cron_times import utc_text
from . import msgpack

_ERROR_LENGTH = 500
_NO_HASH = msgpack.head(0)


class Corrections:
    """Errors to record, and places in the index, as the script of a pass takes them.

    `seen` is the fingerprint and the next time of the hash that was read, or the next time that an
    occurrence before it in the same call writes, as msgpack; empty where there was no hash. What
    was changed meanwhile is not corrected.
    """

    def __init__(self, moment: datetime) -> None:
        self.ids: list[bytes] = []
        self.packed: list[bytes] = []
        self.seen: list[bytes] = []
        self._moment = moment

    def __len__(self) -> int:
        return len(self.ids)

    def add(
        self,
        id: bytes,
        seen: bytes,
        fields: Sequence[str] = (),
        place: datetime | None = None,
        *,
        failed: bool = False,
        records: Sequence[str] = (),
        finished: bool = False,
    ) -> None:
        """Fields to set, and a place in the index, or (None) none."""
        packed = (
            msgpack.text(id),
            seen or _NO_HASH,
            msgpack.texts(fields),
            msgpack.text("" if place is None else f"{place.timestamp():.6f}"),
            msgpack.YES if failed else msgpack.NO,
            msgpack.texts(records),
            msgpack.YES if finished else msgpack.NO,
        )
        self.ids.append(id)
        self.seen.append(seen)
        self.packed.append(msgpack.array(packed))

    def add_next(
        self,
        id: bytes,
        seen: bytes,
        following: datetime | None,
        delay: float,
        records: Sequence[str] = (),
    ) -> None:
        """The next time, None where nothing is left to run, and what was skipped until then."""
        if following is None:
            self.add(id, seen, records=records, finished=True)
        else:
            times = ("next_enqueue_time", utc_text(following))
            self.add(id, seen, times, following + timedelta(seconds=delay), records=records)

    def add_error(self, id: bytes, seen: bytes, reason: str, retry_at: datetime) -> None:
        """Why it cannot be enqueued, and when it is tried again."""
        fields: tuple[str, ...] = ()
        if seen:  # else there is no hash, so nowhere to write the error
            text = reason[:_ERROR_LENGTH].encode(errors="backslashreplace").decode()
            fields = ("last_error", text, "last_error_at", utc_text(self._moment))
        self.add(id, seen, fields, retry_at, failed=True)
