"""Pauses that are over: the leader settles what came due meanwhile, and forgets them.

What was to be skipped is skipped by passes, as the script of a batch knows the pause until it is
forgotten. What was held comes due again.
"""

from __future__ import annotations

import logging
from itertools import chain
from typing import Any, cast

from redis import Redis
from redis.exceptions import ResponseError
from rq.utils import now

from ..dispatch.paused import LOOK_AGAIN
from ..dispatch.protocol import LockLostError
from ..store.connections import is_passing
from ..store.keys import ERRORS, INDEX, JOB_PREFIX, LOCK, PAUSED, PAUSES, holder_name
from ..store.pauses import ALL, Pause
from ..store.scripts import Script, Step, no_step, run_script

logger = logging.getLogger(__name__)

BATCH = 500
"""Schedules in one step of waking those that were held."""

WAKE = Script("wake", JOB_PREFIX=JOB_PREFIX)
CLOSE = Script("close_pause", JOB_PREFIX=JOB_PREFIX)


class Pausing:
    """Looks before each pass which pauses are over, and after it whether they can be forgotten.

    All of it is done again by the next leader if this one dies meanwhile, and changes nothing then.
    """

    def __init__(self, connection: Redis) -> None:
        self._connection = connection
        self._known: dict[bytes, bytes] = {}
        """By queue, as they were read before this pass."""
        self._woken: set[tuple[bytes, bytes]] = set()
        """Those that were over then, and during which nothing is held any more."""
        self._is_refused = False

    def seconds_until_due(self, longest: float) -> float:
        """Seconds until the next pause ends by itself, at most `longest`."""
        moment = now()
        left = [longest]
        for queue, text in self._known.items():
            pause = _pause(queue, text)
            if pause is not None and pause.end is not None and (queue, text) not in self._woken:
                left.append((pause.end - moment).total_seconds())
        return max(0.0, min(left))

    def begin_pass(self, token: str, step: Step = no_step) -> None:
        """Let what was held come due if its pause is over. Raises `LockLostError`."""
        try:
            self._look()
            over = [item for item in self._known.items() if _is_over(*item)]
            if not self._woken.issuperset(over):
                self._wake(token, step)
            self._woken = set(over)
        except ResponseError as error:
            self._let_pass(error)

    def end_pass(self, token: str) -> None:
        """Forget pauses that were over before this pass, if nothing is left of them."""
        try:
            for queue, text in self._woken:
                self._close(queue, text, token)
        except ResponseError as error:
            self._let_pass(error)

    def _look(self) -> None:
        known = cast("dict[bytes, bytes]", self._connection.hgetall(PAUSED))
        for queue in known.keys() - self._known.keys():
            pause = _pause(queue, known[queue])
            if pause is not None and pause.is_on(now()):
                logger.info("%s paused by %s: %s", _name(queue), pause.by, pause.reason or "-")
        self._known = known

    def _wake(self, token: str, step: Step) -> None:
        moment = now()
        lowest, highest = moment.timestamp(), (moment + LOOK_AGAIN).timestamp() + 1
        left = 0
        while True:
            arguments = [token, lowest, highest, left, BATCH]
            reply: Any = run_script(self._connection, WAKE, [INDEX, LOCK], arguments)
            if reply is None:
                raise LockLostError
            looked, moved = reply
            if looked < BATCH:
                return
            left += looked - moved
            step()

    def _close(self, queue: bytes, text: bytes, token: str) -> None:
        keys = [LOCK, PAUSED, PAUSES, INDEX, ERRORS]
        who = f"scheduler:{holder_name(token)}"
        woken = chain.from_iterable(self._woken)
        arguments = [token, queue, text, now().timestamp(), who, *woken]
        reply = run_script(self._connection, CLOSE, keys, arguments)
        if reply is None:
            raise LockLostError
        if reply:
            self._known.pop(queue, None)
            logger.info("%s no longer paused", _name(queue))

    def _let_pass(self, error: ResponseError) -> None:
        """A user with few rights, or a key of another program: schedules run all the same."""
        if is_passing(error):  # an outage
            raise error
        level = logging.DEBUG if self._is_refused else logging.WARNING
        logger.log(level, "Pauses that are over are not settled: %s", error)
        self._is_refused = True


def _pause(queue: bytes, text: bytes) -> Pause | None:
    name = queue.decode(errors="replace")
    return Pause.from_text(None if name == ALL else name, text)


def _is_over(queue: bytes, text: bytes) -> bool:
    pause = _pause(queue, text)
    return pause is not None and not pause.is_on(now())


def _name(queue: bytes) -> str:
    name = queue.decode(errors="replace")
    return "All schedules are" if name == ALL else f"Queue {name!r} is"
