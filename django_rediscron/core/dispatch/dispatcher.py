"""One pass: due schedules become RQ jobs, each occurrence once, in batches of one round trip.

Reads are optimistic. A batch is one script call, and for each schedule the script first compares
what was read (its fingerprint) with what is stored now; so no edit is overwritten, and no
occurrence is enqueued twice, not even by a process that froze between reading and writing. The same
script checks the lock, so a scheduler that lost it writes nothing.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime

from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq.utils import now

from ..schedule.missed import SKIPS_KEPT
from ..schedule.record import Record
from ..store.keys import INDEX
from ..store.scripts import CALL_BYTES, Script, Step, in_steps, no_step, run_script
from .batch import Batch
from .memory import Memory
from .next_times import Rule

logger = logging.getLogger(__name__)

DUE = Script("due")

BATCH = 200
"""Schedules in one script call: it blocks Redis for a few milliseconds."""

PATIENCE = 1.0
"""Seconds for reading what is due, and importing it, before what has been read is enqueued."""

SHARED_TIMES = 4_000
"""Times that are remembered in a pass: more than twice as many as a day has minutes."""


class Dispatcher:
    """Passes of one scheduler, which remembers what it read until somebody changes it."""

    def __init__(
        self, connection: Redis, application: str | None = None, skips_kept: int = SKIPS_KEPT
    ) -> None:
        self.memory = Memory(connection, application)
        self.memory.skips_kept = skips_kept
        self.pace = Pace()
        self.index_is_empty = True
        """Whether no schedule was waiting when it last looked for what is due next."""

    def enqueue_due(self, token: str, lock_ttl: float) -> Iterator[list[Record]]:
        """Enqueue all that is due now, oldest first; yields what each batch enqueued, if anything.

        Each batch extends the lock to `lock_ttl` seconds. Raises `LockLostError`.
        """
        begun = moment = now()
        before: dict[bytes, float] | None = None
        try:
            while True:
                postponed = yield from self._pass(moment, token, lock_ttl)
                is_done = all(score > begun.timestamp() for score in postponed.values())
                if is_done or postponed == before:
                    return
                before = postponed
                moment = now()  # light schedules may have come due again meanwhile
        except RedisTimeoutError:
            self.pace.slow_down()
            raise

    def _pass(
        self, moment: datetime, token: str, lock_ttl: float
    ) -> Generator[list[Record], None, dict[bytes, float]]:
        """Enqueue all that is due, but only as many heavy schedules as fit into its batches.

        Returns the rest, by id with their scores in the index.
        """
        self.memory.begin_pass()
        patience = min(PATIENCE, lock_ttl / 3)
        lowest, kept = float("-inf"), set[bytes]()
        postponed: dict[bytes, float] = {}
        while True:
            # What was seen has left, or has a score below the lowest one, or is among those kept or
            # postponed; or it is one of many occurrences that a schedule missed, and the next one
            # is seen.
            size = self.pace.count(BATCH)
            limit = size + len(kept) + len(postponed)
            found = self._due(lowest, moment, limit)
            members = [
                member for member in found if member[0] not in kept and member[0] not in postponed
            ][:size]
            batch = Batch(self.memory, moment, patience, self.pace.call_bytes)
            batch.read(members)
            if len(self.memory.shared_times) > SHARED_TIMES:
                self.memory.shared_times.clear()
            yield batch.write(token, lock_ttl) if batch else []
            self.pace.speed_up()
            postponed |= batch.postponed
            if len(found) < limit and batch.left_from == math.inf:
                self.memory.sweep(moment.timestamp())
                return postponed
            lowest = min(members[-1][1], batch.left_from)
            kept |= batch.kept
            kept = {id for id, score in found if score >= lowest and id in kept}

    def retime(
        self,
        ids: Sequence[str],
        rule: Rule,
        token: str,
        lock_ttl: float,
        step: Step = no_step,
    ) -> list[str]:
        """Correct next times that are wrong by this rule. Raises `LockLostError`.

        Returns the ids of schedules that were changed meanwhile.
        """
        left: list[str] = []
        for part in in_steps(ids, BATCH, step):
            batch = Batch(self.memory, now())
            batch.add_retimed(part, rule)
            if batch:
                batch.write(token, lock_ttl)
            left += [id for id in part if id.encode() in batch.kept]
        return left

    def seconds_until_due(self, longest: float) -> float:
        """Seconds until the next schedule is due, at most `longest`."""
        moment = time.time()
        with self.memory.connection.pipeline(transaction=False) as pipe:
            count = len(self.memory.foreign) + 1
            pipe.zrangebyscore(INDEX, "-inf", moment, start=0, num=count, withscores=True)
            pipe.zrangebyscore(INDEX, f"({moment}", "+inf", start=0, num=1, withscores=True)
            due, coming = pipe.execute()
        self.index_is_empty = all(id in self.memory.foreign for id, _ in (*due, *coming))
        if any(self.memory.foreign.get(id) != score for id, score in due):
            return 0
        until = coming[0][1] - moment if coming else longest
        return max(0.0, min(until, longest))

    def _due(self, lowest: float, moment: datetime, limit: int) -> list[tuple[bytes, float]]:
        reply = run_script(
            self.memory.connection, DUE, [INDEX], [lowest, moment.timestamp(), limit]
        )
        found = json.loads(reply.decode(errors="surrogateescape"))
        ids = [id.encode(errors="surrogateescape") for id in found[::2]]
        return list(zip(ids, map(float, found[1::2]), strict=True))


class Pace:
    """The share of a full batch that goes through one script call.

    What Redis does not manage in time is not tried again in the same size.
    """

    def __init__(self) -> None:
        self._share = 1.0

    def slow_down(self) -> None:
        """Redis did not answer in time."""
        self._share = max(self._share / 2, 1e-6)

    def speed_up(self) -> None:
        """It did."""
        self._share = min(self._share * 2, 1.0)

    def count(self, full: int) -> int:
        """How many schedules of so many."""
        return max(1, int(full * self._share))

    @property
    def call_bytes(self) -> int:
        """Bytes after which only what is light is read; 0 means to weigh each schedule first."""
        return CALL_BYTES if self._share == 1 else 0
