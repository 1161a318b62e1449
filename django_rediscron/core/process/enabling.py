"""Schedules that were disabled until some time: the leader enables them as if by hand."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError
from rq.utils import now

from ..dispatch.protocol import LockLostError
from ..exceptions import DamagedScheduleError, InvalidScheduleError
from ..schedule.record import Record
from ..store.actors import acting_as
from ..store.change import Change
from ..store.connections import is_passing
from ..store.keys import DISABLED_UNTIL, JOB_PREFIX, LOCK, holder_name
from ..store.reading import read_schedules
from ..store.saving import write_merged
from ..store.scripts import Script, run_script

logger = logging.getLogger(__name__)

BATCH = 100
"""Schedules that are enabled in one step, before what is due by now is enqueued."""

RETRY = 5.0
"""Seconds after which what Redis refused, or could not be read, is tried again."""

ENDED = Script("ended", JOB_PREFIX=JOB_PREFIX)


class Enabling:
    """Looks before each pass whether the time of a schedule has come.

    What has to be read for that, and computed, is compared by the script that writes: it enables
    nothing unless we lead and the schedule is still disabled until that time.
    """

    def __init__(self, connection: Redis) -> None:
        self._connection = connection
        self._refused_until = -math.inf

    def seconds_until_due(self, longest: float) -> float:
        """Seconds until the next schedule is to be enabled, at most `longest`."""
        moment = now().timestamp()
        try:
            until = max(self._first(), self._refused_until)
        except ResponseError:  # the next step tells it
            until = moment + RETRY
        return max(0.0, min(until - moment, longest))

    def step(self, token: str) -> None:
        """Enable some of those whose time has come. Raises `LockLostError`."""
        try:
            if self._first() <= now().timestamp():
                self._enable(self._ended(token), token)
        except ResponseError as error:
            if is_passing(error):  # an outage
                raise
            # A user with few rights: schedules run all the same.
            level = logging.WARNING if self._refused_until < 0 else logging.DEBUG
            logger.log(level, "Schedules are not enabled at the end of their time: %s", error)
            self._refused_until = now().timestamp() + RETRY
        else:
            self._refused_until = -math.inf

    def _first(self) -> float:
        first: Any = self._connection.zrange(DISABLED_UNTIL, 0, 0, withscores=True)
        return float(first[0][1]) if first else math.inf

    def _ended(self, token: str) -> dict[bytes, str]:
        """By id, until when they were disabled."""
        arguments = [token, now().timestamp(), BATCH, RETRY]
        reply = run_script(self._connection, ENDED, [LOCK, DISABLED_UNTIL], arguments)
        if reply is None:
            raise LockLostError
        found = json.loads(reply.decode(errors="surrogateescape"))
        ids = [id.encode(errors="surrogateescape") for id in found[::2]]
        return dict(zip(ids, found[1::2], strict=True))

    def _enable(self, ended: Mapping[bytes, str], token: str) -> None:
        found = read_schedules(list(ended), self._connection)
        with acting_as(f"scheduler:{holder_name(token)}"):
            for (id, until), (job, _) in zip(ended.items(), found, strict=True):
                if isinstance(job, Record):
                    self._enable_one(job, until, token)
                else:
                    self._postpone(id, "it cannot be read")

    def _enable_one(self, job: Record, until: str, token: str) -> None:
        change = Change.switch(job, True, f"until {until}")
        change.ends = {"token": token, "until": until}
        try:
            left = write_merged([change], self._connection)
        except (InvalidScheduleError, DamagedScheduleError) as error:
            self._postpone(job.id.encode(), str(error))
            return
        if not left:  # else it was changed, or we no longer lead
            extra = {"schedule_id": job.id}
            logger.info(
                "Schedule %r: enabled, as it was disabled until %s", job.id, until, extra=extra
            )

    def _postpone(self, id: bytes, reason: str) -> None:
        text = id.decode(errors="replace")
        logger.warning("Schedule %r: not enabled: %s", text, reason, extra={"schedule_id": text})
        self._connection.zadd(DISABLED_UNTIL, {id: now().timestamp() + RETRY}, xx=True)
