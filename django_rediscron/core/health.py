"""Whether schedules run, as seen from Redis. Reads with plain commands, and writes nothing."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from redis import Redis
from rq.utils import utcparse

from .connections import own_client
from .keys import ERRORS, INDEX, JOB_PREFIX
from .leadership import Leadership, read_leadership
from .process import died_here

MAX_LAG = 60.0
"""Seconds: a pass takes far less, and Redis is back from a restart by then."""

MISSED = 2 / 3
"""Of the lock's life. Each heartbeat extends the lock, and three fit into its life: a leader as
silent as this has missed two of them, and is known to stall before it loses the lock."""

FORGOTTEN = 120.0
"""Seconds of silence, RQ's own number, where the lock has no life to compare with."""

PAGE, PAGES = 200, 50
"""Hashes read in one round trip, and the most round trips for that."""

Finding = tuple[str, str]
"""A problem in its stable word, and what to say of it."""


@dataclass(frozen=True)
class Health:
    """What a probe found.

    `problem` is empty, or the gravest one: `redis-unreachable`, `no-scheduler`,
    `stalled-scheduler`, `late-schedules` or `schedules-in-error`. `message` says it in one line.
    """

    ok: bool
    problem: str
    message: str
    leader: str | None = None
    """Name of the scheduler that holds the lock."""
    leader_host: str | None = None
    leader_pid: int | None = None
    heartbeat_age: float | None = None
    """Seconds since the leader's latest heartbeat, which follows a pass; None: there is none."""
    standbys: list[str] = field(default_factory=list)
    late: int = 0
    """Enabled schedules that have been due for longer than is allowed."""
    oldest_late: str | None = None
    oldest_lag: float = 0.0
    """Seconds for which the oldest due schedule has been due, late or not."""
    errors: int = 0
    """Schedules that could not be enqueued when they were last tried."""
    first_error: str | None = None

    @classmethod
    def unreachable(cls, reason: str) -> Health:
        """Nothing could be read, for this reason."""
        return _unhealthy(("redis-unreachable", reason))

    def to_json(self) -> str:
        """All of it as one JSON object on one line, in ASCII."""
        return json.dumps(asdict(self))


def check_health(
    connection: Redis, *, max_lag: float = MAX_LAG, fail_on_error: bool = False
) -> Health:
    """Whether a leader lives and no enabled schedule is due for longer than `max_lag` seconds.

    With `fail_on_error`, also whether every schedule could be enqueued when it was last tried.
    Uses a connection of its own, which waits for Redis two seconds at the most. Raises `RedisError`
    where Redis does not answer or refuses, and ValueError unless `max_lag` is a positive number.
    """
    if isinstance(max_lag, bool) or not (max_lag > 0 and math.isfinite(max_lag)):
        raise ValueError(f"max_lag must be a positive number of seconds, got {max_lag!r}")
    client = own_client(connection)
    try:
        leadership = read_leadership(client)
        trouble = _trouble(leadership, client)
        backlog = _read_backlog(client, max_lag)
        failures = _read_failures(client)
    finally:
        client.connection_pool.disconnect()
    if trouble is None and backlog.late:
        trouble = "late-schedules", str(backlog)
    if trouble is None and fail_on_error and failures.count:
        trouble = "schedules-in-error", str(failures)
    leader = leadership.leader
    facts: dict[str, Any] = {
        "leader": leader and leader.name,
        "leader_host": leader and leader.host,
        "leader_pid": leader and leader.pid,
        "heartbeat_age": leader and leader.age,
        "standbys": [standby.name for standby in leadership.standbys],
        "late": backlog.late,
        "oldest_late": backlog.oldest if backlog.late else None,
        "oldest_lag": backlog.lag,
        "errors": failures.count,
        "first_error": failures.first,
    }
    if trouble is not None:
        return _unhealthy(trouble, **facts)
    return Health(True, "", _one_line(f"ok: {_all_well(leadership, failures)}"), **facts)


def _unhealthy(finding: Finding, **facts: Any) -> Health:
    problem, text = finding
    return Health(False, problem, _one_line(f"{problem.replace('-', ' ')}: {text}"), **facts)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _all_well(leadership: Leadership, failures: _Failures) -> str:
    leader = leadership.leader
    assert leader is not None
    parts = [f"{leader} leads, its latest heartbeat was {leader.age:.1f} s ago"]
    if leadership.standbys:
        parts.append(f"standing by: {_names(leadership)}")
    if failures.count:
        parts.append(f"schedules in error: {failures}")
    return "; ".join(parts)


def _names(leadership: Leadership) -> str:
    return ", ".join(repr(standby.name) for standby in leadership.standbys)


# The scheduler


def _trouble(leadership: Leadership, client: Redis) -> Finding | None:
    """No scheduler, or a stalled one."""
    leader, expires_in = leadership.leader, leadership.expires_in
    if leader is None:
        return _vacancy(leadership, client)
    if died_here(leader.name, client):
        life = "never expires" if expires_in is None else f"expires in {expires_in:.1f} s"
        return "no-scheduler", f"{leader} died, the lock that it held {life}"
    if leader.age is None:
        return "stalled-scheduler", f"{leader} holds the lock, but no heartbeat of it is known"
    life_of_lock = FORGOTTEN if expires_in is None else leader.age + expires_in
    if leader.age > life_of_lock * MISSED:
        silence = f"its latest heartbeat was {leader.age:.1f} s ago"
        return "stalled-scheduler", f"{leader} holds the lock, but {silence}"
    return None


def _vacancy(leadership: Leadership, client: Redis) -> Finding:
    """Nobody holds the lock: what is known of the one that held it last, unless it signed off."""
    deposed = leadership.deposed
    if deposed is not None:
        silence = f"its latest heartbeat was {deposed.age or 0:.1f} s ago"
        if died_here(deposed.name, client):
            return "no-scheduler", f"{deposed} died, {silence}"
        return "stalled-scheduler", f"{deposed} has lost the lock, {silence}"
    if leadership.standbys:
        return "no-scheduler", f"nobody holds the lock; standing by: {_names(leadership)}"
    return "no-scheduler", "nobody holds the lock and nobody stands by; start one"


# Late schedules


@dataclass(frozen=True)
class _Backlog:
    late: int = 0
    oldest: str | None = None
    lag: float = 0.0

    def __str__(self) -> str:
        return f"{self.late}, the oldest {self.oldest!r} by {self.lag:.1f} s"


def _read_backlog(client: Redis, max_lag: float) -> _Backlog:
    """What is due by the index, the oldest of it confirmed by the hashes.

    Names of RQ's own cron stand in the same index, without a hash. A hash may say that a schedule
    is disabled, in error or not yet due, and its place is put right in the leader's next pass.
    Members beyond the first page with a late one are counted as the index has them.
    """
    moment = time.time()
    deadline = moment - max_lag
    late = client.zcount(INDEX, "-inf", deadline)
    oldest: tuple[float, bytes] | None = None
    for page in range(PAGES):
        members: Any = client.zrangebyscore(
            INDEX, "-inf", moment, start=page * PAGE, num=PAGE, withscores=True
        )
        hashes = _read_hashes([id for id, _ in members], client)
        for (id, place), fields in zip(members, hashes, strict=True):
            due = _due_time(place, fields)
            if place <= deadline < due:
                late -= 1
            if due <= moment:
                oldest = min(oldest, (due, id)) if oldest else (due, id)
        if len(members) < PAGE or (oldest and oldest[0] <= deadline):
            break
    if oldest is None:
        return _Backlog()
    due, id = oldest
    return _Backlog(late if due <= deadline else 0, _shown(id), moment - due)


def _due_time(place: float, fields: _Fields | None) -> float:
    """Epoch seconds; infinite for what does not wait to run."""
    if fields is None or fields.last_error or fields.enabled == b"0":
        return math.inf
    try:
        return max(place, utcparse((fields.next_enqueue_time or b"").decode()).timestamp())
    except ValueError:  # no time: the leader enqueues it, or records an error
        return place


# Schedules in error


@dataclass(frozen=True)
class _Failures:
    count: int = 0
    first: str | None = None
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.count}, the first {self.first!r}: {self.reason}"


def _read_failures(client: Redis) -> _Failures:
    """The schedules that the leader lists as failed, confirmed by the hashes of the first ones.

    A program that does not keep this list may have healed or deleted a schedule.
    """
    with client.pipeline(transaction=False) as pipe:
        pipe.zcard(ERRORS)
        pipe.zrange(ERRORS, 0, PAGE - 1)
        count, ids = pipe.execute()
    failed = [
        (id, fields.last_error)
        for id, fields in zip(ids, _read_hashes(ids, client), strict=True)
        if fields is not None and fields.last_error
    ]
    count -= len(ids) - len(failed)
    if not failed:
        return _Failures(count)
    id, reason = failed[0]
    return _Failures(count, _shown(id), _shown(reason))


class _Fields(NamedTuple):
    """Of a hash, what decides here."""

    enabled: bytes | None
    next_enqueue_time: bytes | None
    last_error: bytes | None


def _read_hashes(ids: Sequence[bytes], client: Redis) -> list[_Fields | None]:
    """For each id; None where there is no hash."""
    with client.pipeline(transaction=False) as pipe:
        for id in ids:
            pipe.hmget(JOB_PREFIX.encode() + id, *_Fields._fields)
        replies = pipe.execute(raise_on_error=False)
    return [_fields(reply) for reply in replies]


def _fields(reply: list[bytes | None] | Exception) -> _Fields | None:
    if isinstance(reply, Exception):
        if "WRONGTYPE" not in str(reply):
            raise reply
        return _Fields(None, None, b"its key does not hold a hash")
    return None if reply == [None, None, None] else _Fields(*reply)


def _shown(value: bytes) -> str:
    return value.decode(errors="backslashreplace")
