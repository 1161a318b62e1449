"""Pauses: nothing of a queue, or of all of them, is enqueued until it is resumed.

The script of a batch looks at them, so that one counts from the moment at which `pause` returns,
whatever the leader is doing. Schedules are not changed by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args

from redis import Redis
from redis.exceptions import ResponseError
from rq.utils import now

from ..exceptions import InvalidScheduleError
from ..quoting import quoted
from ..schedule.definition import Definition, State
from ..schedule.option_checks import check_end, check_reason
from ..schedule.texts import load_object, parse_time, time_text
from ..timing.cron_times import utc_text
from ..timing.durations import Duration
from .actors import acting_as, current_actor
from .connections import bytes_client
from .keys import EVENTS, PAUSED, PAUSES
from .scripts import Script, run_script
from .search import Condition, every, one_of

ALL = "*"
"""Instead of the name of a queue."""

PAUSED_STATE: Literal["paused"] = "paused"
ShownState = State | Literal["paused"]
SHOWN_STATES: tuple[ShownState, ...] = (*get_args(State), PAUSED_STATE)
"""Of schedules as people are shown them."""

Missed = Literal["skip", "catch_up"]
MISSED: tuple[Missed, ...] = ("skip", "catch_up")

EARLIER_KEPT = 100
"""Pauses of a queue, each begun before the one before it was settled, of which that is known."""

PAUSE = Script("pause")
RESUME = Script("resume")


@dataclass(frozen=True)
class Pause:
    """A time in which nothing of a queue is enqueued.

    `queue`: its name; None: all queues. `at`: since when, `by`: the actor who paused it, as in the
    log of changes, `reason`: why, a line, which may be empty. `until`: when it ends by itself, if
    it does. `missed`: whether what comes due meanwhile is skipped (`skip`), or runs afterwards as
    each schedule's own policy says (`catch_up`). `ended` and `ended_by`: when and by whom it was
    resumed, or paused anew (`replaced`). All times are aware datetimes in UTC.
    """

    queue: str | None
    at: datetime
    by: str
    reason: str = ""
    until: datetime | None = None
    missed: Missed = "skip"
    ended: datetime | None = None
    ended_by: str = ""
    replaced: bool = False

    @property
    def end(self) -> datetime | None:
        """When it was over, or will be; None if it lasts until somebody ends it."""
        return self.ended or self.until

    def is_on(self, moment: datetime) -> bool:
        """Whether it is not over at this moment."""
        return self.end is None or self.end > moment

    def concerns(self, queue: str) -> bool:
        """Whether nothing of this queue is enqueued while it is on."""
        return self.queue is None or self.queue == queue

    @property
    def what(self) -> str:
        """`everything`, or `queue 'NAME'`."""
        return "everything" if self.queue is None else f"queue {quoted(self.queue)}"

    def describe(self, show: Callable[[datetime], str]) -> str:
        """`since TIME, by ACTOR, until TIME: REASON`, of which the last two may be missing."""
        until = f", until {show(self.until)}" if self.until else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"since {show(self.at)}, by {self.by}{until}{reason}"

    @classmethod
    def from_text(cls, queue: str | None, text: str | bytes) -> Pause | None:
        """What is stored of the pause of a queue; None for anything else."""
        facts = load_object(text) or {}
        try:
            return cls(
                queue,
                parse_time(facts["at"]),
                str(facts.get("by", "")),
                str(facts.get("reason", "")),
                parse_time(facts["until"]) if facts.get("until") else None,
                "catch_up" if facts.get("missed") == "catch_up" else "skip",
                parse_time(facts["ended"]) if facts.get("ended") else None,
                str(facts.get("ended_by", "")),
                bool(facts.get("replaced")),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


def pause(
    connection: Redis,
    queue: str | None = None,
    *,
    reason: str = "",
    until: datetime | Duration | None = None,
    missed: Missed = "skip",
    actor: str | None = None,
) -> Pause:
    """Enqueue nothing of a queue, or of any, until `resume`; only runs by hand.

    From the moment at which this returns no schedule of it is enqueued. `reason`: a line of at most
    200 characters. `until`: an aware datetime in the future or a duration from now, when the pause
    ends by itself. `missed`: what becomes of occurrences that come due meanwhile: `"skip"`, or
    `"catch_up"`: when the pause is over, each schedule's own `catch_up`, `misfire_grace` and
    `overlap` say which of them run. What is paused already is so in this way from now on.

    Raises `InvalidScheduleError` for anything else.
    """
    if missed not in MISSED:
        names = " or ".join(map(repr, MISSED))
        raise InvalidScheduleError(f"missed must be {names}, got {quoted(missed)}")
    begun = now()
    reason, end = check_reason(reason), check_end("until", until, begun)
    with acting_as(actor):
        paused = Pause(queue, begun, current_actor(), reason, end, missed)
    facts = {"at": utc_text(begun), "by": paused.by, "missed": missed}
    if reason:
        facts["reason"] = reason
    if end is not None:
        facts["until"] = time_text(end)
    arguments = [_field(queue), json.dumps(facts), EVENTS, _event("paused", queue), EARLIER_KEPT]
    run_script(connection, PAUSE, [PAUSED, PAUSES], arguments)
    return paused


def resume(
    connection: Redis, queue: str | None = None, *, actor: str | None = None
) -> Pause | None:
    """End the pause of this queue, or that of all queues.

    Returns the pause; None if there was none. A queue that is paused by itself stays so if that of
    all ends, and the other way round.
    """
    with acting_as(actor):
        arguments = [_field(queue), utc_text(now()), current_actor(), EVENTS]
    text = run_script(connection, RESUME, [PAUSED], [*arguments, _event("resumed", queue)])
    return None if text is None else Pause.from_text(queue, text)


def read_pauses(connection: Redis) -> list[Pause]:
    """What is paused now: that of all queues first, then by name."""
    moment = now()
    return [each for each in _stored(connection) if each.is_on(moment)]


def read_past_pauses(connection: Redis) -> list[Pause]:
    """The pauses that are over, at most about 100, newest first."""
    moment = now()
    over = [each for each in _stored(connection) if not each.is_on(moment)]
    try:
        texts: Any = bytes_client(connection).lrange(PAUSES, 0, -1)
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        texts = []  # the next one replaces it
    for text in texts:
        queue = (load_object(text) or {}).get("queue")
        found = Pause.from_text(None if queue == ALL else queue, text)
        if found is not None and isinstance(queue, str):
            over.append(found)
    return sorted(over, key=lambda each: each.at, reverse=True)


def pause_of(queue: str, pauses: Iterable[Pause]) -> Pause | None:
    """The first of `pauses` because of which nothing of a queue is enqueued; None without one."""
    return next((each for each in pauses if each.concerns(queue)), None)


def state_of(job: Definition, pauses: Iterable[Pause]) -> ShownState:
    """The state of a schedule; `paused` if it would be enqueued but for one of these pauses."""
    is_paused = job.state == "enabled" and pause_of(job.queue_name, pauses) is not None
    return PAUSED_STATE if is_paused else job.state


def in_state(state: str, pauses: Iterable[Pause]) -> Condition:
    """The schedules in a state, `paused` included; what is paused is enabled as well."""
    if state != PAUSED_STATE:
        return one_of("state", [state])
    queues = [each.queue for each in pauses]
    if None in queues:
        return one_of("state", ["enabled"])
    return every(one_of("state", ["enabled"]), one_of("queue_name", filter(None, queues)))


def _stored(connection: Redis) -> list[Pause]:
    client = bytes_client(connection)
    try:
        stored = cast("dict[bytes, bytes]", client.hgetall(PAUSED))
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        return []  # a pause could not be written either
    found = []
    for name, text in stored.items():
        queue = name.decode(errors="backslashreplace")
        found.append(Pause.from_text(None if queue == ALL else queue, text))
    pauses = [each for each in found if each is not None]
    return sorted(pauses, key=lambda each: each.queue or "")


def _field(queue: str | None) -> str:
    if queue is None:
        return ALL
    if not isinstance(queue, str) or queue in ("", ALL):
        raise InvalidScheduleError(
            f"queue must be the name of a queue, or None for all, got {quoted(queue)}"
        )
    return queue


def _event(name: str, queue: str | None) -> str:
    return json.dumps({"event": name, **({} if queue is None else {"queue": queue})})
