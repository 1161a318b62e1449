"""The thread that tells one receiver, from where it was told last.

What it has told it notes in Redis, fenced by the lock: the next leader goes on from there. If a
leader dies between the two, that notification is told again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from threading import Event, Thread

from redis import Redis
from redis.exceptions import RedisError

from ..quoting import cut, flat
from ..schedule.record import Record
from ..store.connections import hide_passwords, is_passing
from ..store.reading import read_schedules
from . import streams
from .attempts import Attempt, Attempts
from .notification import Entry, Notification
from .receivers import Receiver
from .streams import Position, Taken
from .wanted import is_wanted

logger = logging.getLogger(__name__)

POLL = 1.0
"""Seconds until it looks for what another process entered, such as a new leader's predecessor."""

PAUSES = (1.0, 5.0)
"""Seconds before the second and the third attempt."""

RETRY = 1.0
"""Seconds between attempts to reach Redis."""

MOST_TAKEN = 100
"""Notifications that are read at a time."""

MOST_GATHERED = 1000
"""Notifications that are told at once to a receiver that gathers them."""

MOST_BYTES = 16 * 1024 * 1024
"""Bytes of schedules that are read to be told at once, but for those of the last one."""

GRACE = 2.0
"""Seconds that a call which runs may take when the scheduler stops."""


Read = tuple[Entry, "Record | None"]
"""An entry, and its schedule as it is now."""


class Teller(Thread):
    """Tells one receiver while this process leads.

    `token` returns what the lock holds while this process leads, else ''.
    """

    def __init__(
        self, receiver: Receiver, attempts: Attempts, client: Redis, token: Callable[[], str]
    ) -> None:
        super().__init__(name=f"rediscron-receiver-{receiver.name}", daemon=True)
        self._receiver = receiver
        self._stream = receiver.stream or ""
        self._attempts = attempts
        self._client = client
        self._token = token
        self._bell = Event()
        self._stop_at: float | None = None
        self._is_finishing = False
        self._is_in_trouble = False

    def wake(self) -> None:
        """There may be something to tell."""
        self._bell.set()

    def finish(self) -> None:
        """Let it end when it has told all that there is."""
        self._is_finishing = True
        self._bell.set()

    def stop(self) -> None:
        """Let it end as soon as a call that runs has ended, or `GRACE` is over."""
        self._stop_at = time.monotonic() + GRACE
        self._bell.set()

    def run(self) -> None:
        while self._stop_at is None:
            is_finishing = self._is_finishing  # before it looks what there is
            try:
                has_told = self._tell_some()
            except Exception as error:
                self._trouble(error)
                self._pause(RETRY)
                continue
            if not has_told and is_finishing:
                break
            if not has_told:
                self._wait(POLL)
        self._client.close()

    # Waiting

    def _wait(self, seconds: float) -> None:
        """Wait until the bell rings, at most so long."""
        self._bell.wait(seconds)
        self._bell.clear()

    def _pause(self, seconds: float) -> None:
        """Wait so long, unless it is to stop."""
        until = time.monotonic() + seconds
        while self._stop_at is None and (left := until - time.monotonic()) > 0:
            self._wait(left)

    def _gather(self, seconds: float) -> None:
        """Wait so long for more, unless it is to finish or to stop."""
        until = time.monotonic() + seconds
        while self._stop_at is None and not self._is_finishing:
            if (left := until - time.monotonic()) <= 0:
                return
            self._wait(left)

    # Telling

    def _tell_some(self) -> bool:
        """Tell what there is, up to a limit. Whether there was anything."""
        token, gather = self._token(), self._receiver.gather
        taken = self._take(token)
        if taken and taken.entries and gather and not self._is_finishing:
            self._gather(gather)
            taken = self._take(token) if self._stop_at is None else None
        if taken is None or not self._count_lost(taken):
            return False
        position, entries = taken.position.lost(taken.lost), taken.entries
        at = 0
        while at < len(entries):
            group = list(self._read(entries[at:] if gather else entries[at : at + 1]))
            after = self._tell_group(group, position, token)
            if after is None:
                return False
            position = after
            at += len(group)
        return bool(entries)

    def _read(self, entries: Sequence[Entry]) -> Iterator[Read]:
        """These entries with their schedules, as far as the schedules fit into memory."""
        schedules: dict[str, Record | None] = {"": None}
        size = 0
        for entry in entries:
            id = entry.fields.get("id", "") if self._is_for_it(entry) else ""
            if id not in schedules and size > MOST_BYTES:
                return
            if id not in schedules:
                ((found, fields),) = read_schedules([id], self._client)
                schedules[id] = found if isinstance(found, Record) else None
                size += sum(map(len, fields.values()))
            yield entry, schedules[id]

    def _tell_group(self, group: Sequence[Read], position: Position, token: str) -> Position | None:
        """Tell these at once, and note that. The new position; None if it was not noted."""
        told = self._wanted(group)
        dropped = self._tell(told, token) if told else 0
        after = position.after(group[-1][0])
        if dropped is None or not self._note(position, after, dropped):
            return None
        return after

    def _take(self, token: str) -> Taken | None:
        """None if this process does not lead."""
        if not token:
            return None
        name, most = self._receiver.name, MOST_GATHERED if self._receiver.gather else MOST_TAKEN
        taken = streams.take(self._client, token, self._stream, name, most)
        self._is_in_trouble = False
        return taken

    def _count_lost(self, taken: Taken) -> bool:
        """Note how many had to make room for others. False if that could not be noted."""
        if not taken.lost:
            return True
        if not self._note(taken.position, taken.position.lost(taken.lost), taken.lost):
            return False
        logger.error(
            "Receiver %s: %d notifications are dropped, because it was told too slowly",
            *(self._receiver.name, taken.lost),
        )
        return True

    def _is_for_it(self, entry: Entry) -> bool:
        return entry.fields.get("kind") in self._receiver.kinds

    def _wanted(self, group: Sequence[Read]) -> list[Notification]:
        """What its receiver and the schedules want told."""
        wanted = []
        for entry, schedule in group:
            if not self._is_for_it(entry):
                continue
            try:
                notification = Notification.of(entry, schedule)
            except Exception as error:  # of what another program entered: it must not block others
                logger.error("Notification %s cannot be read: %s", entry.id, _told(error))
                continue
            if is_wanted(notification, getattr(schedule, "notify", True)):
                wanted.append(notification)
        return wanted

    def _tell(self, told: Sequence[Notification], token: str) -> int | None:
        """Tell it, in three attempts. How many are dropped; None to leave it to another time."""
        error: BaseException | None = None
        for pause in (0, *PAUSES):
            self._pause(pause)
            while self._stop_at is None and not self._attempts.has_room:
                self._pause(POLL)
            if self._stop_at is not None or self._token() != token:
                return None
            attempt = self._attempts.begin(told, self._bell.set)
            if not self._has_ended(attempt):
                self._attempts.abandon(attempt)
                if self._stop_at is not None:
                    return None
                error = TimeoutError(f"it took longer than {self._receiver.timeout:g} s")
            elif attempt.error is None:
                return 0
            else:
                error = attempt.error
            logger.info("Receiver %s: %s", self._receiver.name, _told(error))
        logger.error(
            "Receiver %s: dropped after %d attempts: %s: %s",
            *(self._receiver.name, 1 + len(PAUSES)),
            *("; ".join(cut(each.text) for each in told[:3]), _told(error)),
        )
        return len(told)

    def _has_ended(self, attempt: Attempt) -> bool:
        """Wait for the end of a call, as long as it may take."""
        until = time.monotonic() + self._receiver.timeout
        while not attempt.is_over:
            limit = until if self._stop_at is None else min(until, self._stop_at)
            if (left := limit - time.monotonic()) <= 0:
                return False
            self._wait(left)
        return True

    def _note(self, before: Position, after: Position, dropped: int) -> bool:
        """Note how far it was told, also if this process leads again by then.

        False if that was not possible before the scheduler stopped.
        """
        name, is_last_try = self._receiver.name, False
        while not is_last_try:
            is_last_try = self._stop_at is not None
            try:
                token = self._token()
                if token and streams.note(
                    self._client, token, self._stream, name, before, after, dropped
                ):
                    return True
                is_last_try |= self._is_finishing  # another scheduler leads
            except (RedisError, OSError) as error:
                self._trouble(error)
            self._pause(RETRY)
        return False

    def _trouble(self, error: Exception) -> None:
        """Log what keeps this receiver from being told, once; the scheduler logs outages."""
        is_news = not isinstance(error, (RedisError, OSError)) or not is_passing(error)
        level = logging.ERROR if is_news and not self._is_in_trouble else logging.DEBUG
        self._is_in_trouble = True
        text = hide_passwords(cut(error))
        logger.log(level, "Receiver %s cannot be told: %s", self._receiver.name, text)


def _told(error: BaseException | None) -> str:
    """An error in one line."""
    return cut(flat(f"{type(error).__name__}: {error}"))
