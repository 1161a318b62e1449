"""Whether schedules run, as seen from Redis. Reads with plain commands, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from redis import Redis

from ..process.identity import died_here
from ..quoting import flat, quoted
from ..store.connections import own_client
from ..store.keys import INDEX, LOCK
from ..store.pauses import ALL, Pause, read_pauses
from ..timing.cron_times import utc_text
from ..timing.durations import Duration, positive_seconds
from .backlog import Failures, read_backlog, read_failures
from .leadership import Leadership, read_leadership

MAX_LAG = 60.0
"""Seconds: a pass takes far less, and a restart of Redis is over by then."""

MISSED = 2 / 3
"""Of the lock's TTL. Each heartbeat extends the lock, and three fit into its TTL: a leader that is
silent for this long has missed two, and counts as stalled before it loses the lock."""

FORGOTTEN = 120.0
"""Seconds of silence if the lock has no TTL to compare with; RQ's own number."""

Finding = tuple[str, str]
"""The stable name of a problem, and its description."""


@dataclass(frozen=True)
class Health:
    """What a probe found.

    `problem` is empty, or the most serious one: `redis-unreachable`, `no-scheduler`,
    `stalled-scheduler`, `late-schedules` or `schedules-in-error`. `message` is one line
    for people.
    """

    ok: bool
    problem: str
    message: str
    leader: str | None = None
    """Name of the scheduler that holds the lock."""
    leader_host: str | None = None
    leader_pid: int | None = None
    heartbeat_age: float | None = None
    """Seconds since the latest heartbeat of the leader's loop; None: there is none."""
    standbys: list[str] = field(default_factory=list)
    late: int = 0
    """Enabled schedules that have been due for longer than `max_lag`."""
    oldest_late: str | None = None
    oldest_lag: float = 0.0
    """Seconds for which the oldest due schedule has been due, late or not."""
    errors: int = 0
    """Schedules that could not be enqueued when they were last tried."""
    first_error: str | None = None
    paused: list[str] = field(default_factory=list)
    """What is paused: names of queues, `*` for everything."""

    @classmethod
    def unreachable(cls, reason: str) -> Health:
        """Redis could not be read, for this reason."""
        return _unhealthy(("redis-unreachable", reason))

    def to_json(self) -> str:
        """All of it as one JSON object on one line, in ASCII."""
        return json.dumps(asdict(self))


def check_health(
    connection: Redis,
    *,
    max_lag: Duration = MAX_LAG,
    fail_on_error: bool = False,
    application: str | None = None,
) -> Health:
    """Whether a leader lives and no enabled schedule is due for longer than `max_lag`, a duration.

    With `fail_on_error`, also whether every schedule could be enqueued when it was last tried. With
    `application`, if the scheduler of another one leads, also whether it could enqueue what this
    application declares.
    Uses its own connection, which waits for Redis for at most two seconds. Raises `RedisError` if
    Redis does not answer or refuses, and ValueError unless `max_lag` is positive.
    """
    longest = positive_seconds("max_lag", max_lag)
    client = own_client(connection)
    try:
        leadership = read_leadership(client)
        if leadership.leader is None:
            client.exists(INDEX, LOCK)  # a server in cluster mode refuses keys of several slots
        finding = _leader_problem(leadership, client)
        pauses = read_pauses(client)
        backlog = read_backlog(client, longest, pauses)
        failures = read_failures(client)
        neglect = _neglect(leadership, application, client)
    finally:
        client.connection_pool.disconnect()
    if finding is None and backlog.late:
        finding = "late-schedules", str(backlog)
    if finding is None and fail_on_error and failures.count:
        finding = "schedules-in-error", str(failures)
    finding = finding or neglect
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
        "paused": [each.queue or ALL for each in pauses],
    }
    if finding is not None:
        return _unhealthy(finding, **facts)
    return Health(True, "", flat(f"ok: {_all_well(leadership, failures, pauses)}"), **facts)


def _unhealthy(finding: Finding, **facts: Any) -> Health:
    problem, text = finding
    return Health(False, problem, flat(f"{problem.replace('-', ' ')}: {text}"), **facts)


def _all_well(leadership: Leadership, failures: Failures, pauses: Sequence[Pause]) -> str:
    leader = leadership.leader
    assert leader is not None
    parts = [f"{leader} leads, its latest heartbeat was {leader.age:.1f} s ago"]
    if leadership.standbys:
        parts.append(f"standing by: {_names(leadership)}")
    if failures.count:
        parts.append(f"schedules in error: {failures}")
    parts += [f"{each.what} is paused {each.describe(utc_text)}" for each in pauses]
    return "; ".join(parts)


def _neglect(leadership: Leadership, application: str | None, client: Redis) -> Finding | None:
    """Schedules of this application that the leader, of another one, cannot enqueue."""
    leader = leadership.leader
    if application is None or leader is None or leader.application in (None, application):
        return None
    failures = read_failures(client, application)
    if not failures.count:
        return None
    leading = f"while the scheduler of {quoted(leader.application)} leads"
    return "schedules-in-error", f"of application {quoted(application)}, {leading}: {failures}"


def _names(leadership: Leadership) -> str:
    return ", ".join(repr(standby.name) for standby in leadership.standbys)


# The scheduler


def _leader_problem(leadership: Leadership, client: Redis) -> Finding | None:
    """No scheduler, or a stalled one."""
    leader, expires_in = leadership.leader, leadership.expires_in
    if leader is None:
        return _vacancy(leadership, client)
    if died_here(leader.name, client, leadership.token):
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
    """No scheduler holds the lock: describe the one that held it last, unless it signed off."""
    deposed = leadership.deposed
    if deposed is not None:
        silence = f"its latest heartbeat was {deposed.age or 0:.1f} s ago"
        if died_here(deposed.name, client):
            return "no-scheduler", f"{deposed} died, {silence}"
        return "stalled-scheduler", f"{deposed} has lost the lock, {silence}"
    if leadership.standbys:
        return "no-scheduler", f"nobody holds the lock; standing by: {_names(leadership)}"
    return "no-scheduler", "nobody holds the lock and nobody stands by; start one"
