"""One pass: due schedules become RQ jobs, each occurrence once, in batches of one round trip.

Reads are optimistic. A batch is one script call, and for each schedule the script first compares
what was read (its fingerprint) with what stands there; so nobody's edit is overrun, and no
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
from typing import Any

from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.exceptions import WatchError
from rq import Queue
from rq.job import Job
from rq.utils import now

from ..exceptions import InvalidScheduleError
from ..schedule.definition import FUNCTION_FIELDS
from ..schedule.record import Record
from ..store.batches import Pace, Step, in_steps, no_step
from ..store.keys import INDEX, OCCURRENCE_FIELDS
from ..store.rq_queues import overridden
from ..store.scripts import Script, run_script
from .applications import Applications, own_application
from .batch import HISTORY_LIMIT, HISTORY_TTL, Batch
from .custom_queues import enqueue_into
from .memory import Memory, Retries
from .next_times import Rule
from .prepared import Ready, Turn
from .run_now import run_here, write_unqueued
from .template import Templates, create_job

logger = logging.getLogger(__name__)

DUE = Script("due")

BATCH = 200
"""Schedules in one script call: it holds Redis for a few milliseconds."""

PATIENCE = 1.0
"""Seconds for reading what is due, and importing it, before what has been read is enqueued."""

TURNS = 4_000
"""Times that are remembered in a pass: more than twice as many as a day has minutes."""

ATTEMPTS = 3
"""How often a job that somebody asks for is sent to a Redis that does not answer."""


class Dispatcher:
    """Passes of one scheduler, which remembers what it read as long as nobody changes it."""

    def __init__(self, connection: Redis, application: str | None = None) -> None:
        self.connection = connection
        self.applications = Applications(application, connection)
        self.foreign: dict[bytes, float] = {}
        """Members of the index that are names of RQ's own cron, with their scores."""
        self.index_is_empty = True
        """Whether nothing waited to run when it was last asked for what is due next."""
        self.memory = Memory()
        self.oversized: set[bytes] = set()
        """Schedules that hold too much."""
        self.pace = Pace()
        self._retries = Retries()
        self.templates = Templates()
        self.turns: dict[tuple[object, ...], Turn] = {}
        """Times that plain schedules share in a pass, by what they follow from."""
        self.unwritten: dict[bytes, tuple[bytes, str]] = {}
        """Why schedules failed of which that could not be written yet, and what was read of them:
        where their modules took longer to fail than the lock lives, they are not tried again."""

    def enqueue_due(self, token: str, lock_ttl: float) -> Iterator[list[Record]]:
        """Enqueue all that is due now, oldest first; yields what each batch enqueued, if anything.

        Each batch extends the lock to `lock_ttl` seconds. Raises `LockLostError`.
        """
        begun = moment = now()
        before: dict[bytes, float] | None = None
        try:
            while True:
                postponed = yield from self._pass(moment, token, lock_ttl)
                is_done = all(place > begun.timestamp() for place in postponed.values())
                if is_done or postponed == before:
                    return
                before = postponed
                moment = now()  # what is light has come due again meanwhile
        except RedisTimeoutError:
            self.pace.slow_down()
            raise

    def _pass(
        self, moment: datetime, token: str, lock_ttl: float
    ) -> Generator[list[Record], None, dict[bytes, float]]:
        """All that is due; but of what is heavy only so much as fits into its batches.

        Returns the rest, by id with its place in the index.
        """
        self.templates.begin_pass()
        if self.applications.begin_pass():
            self.memory.clear()
        self.turns.clear()
        lowest, kept = float("-inf"), set[bytes]()
        postponed: dict[bytes, float] = {}
        while True:
            # What was seen has left, or stands before the lowest score, or is among those kept or
            # postponed; or it is one of many occurrences that a schedule missed, and the next one
            # is seen.
            size = self.pace.count(BATCH)
            limit = size + len(kept) + len(postponed)
            found = self._due(lowest, moment, limit)
            members = [
                member for member in found if member[0] not in kept and member[0] not in postponed
            ][:size]
            batch = Batch(self, members, moment, min(PATIENCE, lock_ttl / 3))
            if len(self.turns) > TURNS:
                self.turns.clear()
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
        """Time schedules anew whose next time is wrong by this rule. Raises `LockLostError`.

        Returns those that somebody changed meanwhile.
        """
        left: list[str] = []
        for part in in_steps(ids, BATCH, step):
            batch = Batch(self, [], now())
            batch.add_retimed(part, rule)
            if batch:
                batch.write(token, lock_ttl)
            left += [id for id in part if id.encode() in batch.kept]
        return left

    def seconds_until_due(self, longest: float) -> float:
        """Seconds until the next schedule is due, at most `longest`."""
        moment = time.time()
        with self.connection.pipeline(transaction=False) as pipe:
            count = len(self.foreign) + 1
            pipe.zrangebyscore(INDEX, "-inf", moment, start=0, num=count, withscores=True)
            pipe.zrangebyscore(INDEX, f"({moment}", "+inf", start=0, num=1, withscores=True)
            due, coming = pipe.execute()
        self.index_is_empty = all(id in self.foreign for id, _ in (*due, *coming))
        if any(self.foreign.get(id) != score for id, score in due):
            return 0
        until = coming[0][1] - moment if coming else longest
        return max(0.0, min(until, longest))

    def _due(self, lowest: float, moment: datetime, limit: int) -> list[tuple[bytes, float]]:
        reply = run_script(self.connection, DUE, [INDEX], [lowest, moment.timestamp(), limit])
        found = json.loads(reply.decode(errors="surrogateescape"))
        ids = [id.encode(errors="surrogateescape") for id in found[::2]]
        return list(zip(ids, map(float, found[1::2]), strict=True))

    def remember(self, id: bytes, ready: Ready) -> None:
        self._retries.succeeded(id)
        if ready.fingerprint.is_known:
            self.memory.add(id, ready)
        else:
            self.memory.discard(id)

    def forget(self, id: bytes) -> None:
        self.memory.discard(id)
        self.foreign.pop(id, None)

    def retry_at(
        self, id: bytes, reason: str, moment: datetime, due: datetime | None = None
    ) -> datetime:
        """When to try a schedule again that fails for this reason; `due`: its occurrence."""
        level = logging.DEBUG if id in self._retries else logging.ERROR
        shown = id.decode(errors="backslashreplace")
        extra = {"schedule_id": shown, **({"occurrence": due.isoformat()} if due else {})}
        logger.log(level, "Schedule %r cannot be enqueued: %s", shown, reason, extra=extra)
        return self._retries.plan(id, moment)


def enqueue_now(schedule: Record, connection: Redis) -> Job:
    """Enqueue one RQ job of a schedule apart from its times, and enter it in the history.

    On a queue with `ASYNC: False` it has run when this returns, successfully or not. What another
    application declares is enqueued by its name, as a leader does it.
    """
    applications = Applications(own_application(), connection)
    try:
        queue, importable = applications.target(schedule)
        if importable:
            schedule.import_functions(FUNCTION_FIELDS)
        job = create_job(schedule, queue, importable=importable)
    except InvalidScheduleError as error:
        raise type(error)(applications.explain(schedule, str(error))) from error
    for attempt in range(1, ATTEMPTS + 1):
        try:
            job = _write(job, schedule, queue, connection)
            break
        except WatchError:
            if attempt == ATTEMPTS:
                raise
    if not queue.is_async:
        run_here(schedule, queue, job)
    return job


def _write(job: Job, schedule: Record, queue: Queue, connection: Redis) -> Job:
    """The job, its place in the queue and in the history, in one transaction.

    Where the connection breaks, redis-py raises `WatchError` instead of sending again what Redis
    may have done already, though nobody heard of it. The history tells.
    """
    history = schedule.job_history_key
    pipe: Any
    with connection.pipeline() as pipe:
        pipe.watch(job.key)
        if pipe.zscore(history, job.id) is not None:
            return job
        pipe.multi()
        if queue.is_async and overridden(queue):
            job = enqueue_into(pipe, schedule, queue, job.id)
        elif queue.is_async:
            at_front = bool(schedule.job_options.get("at_front"))
            queue.enqueue_job(job, pipeline=pipe, at_front=at_front)
        else:
            write_unqueued(queue, job, pipe)
        pipe.hset(job.key, mapping=dict(zip(OCCURRENCE_FIELDS, (schedule.id, ""), strict=True)))
        pipe.zadd(history, {job.id: now().timestamp()})
        pipe.zremrangebyrank(history, 0, -HISTORY_LIMIT - 1)
        pipe.expire(history, HISTORY_TTL)
        pipe.execute()
    return job
