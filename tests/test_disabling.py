"""Why and until when schedules are disabled, and how the leader enables them.

Seen to fail without: `forget_off` in `save.lua` and `note_outside.lua`, the `ZREM` in `delete.lua`,
the conditions in `ended.lua`, the lines in `reindex.lua`, `enabling.step` in `Leading._pass` and
`enabling.seconds_until_due` in `calculate_sleep_interval`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis import Redis
from rq.utils import now

from django_rediscron import (
    InvalidScheduleError,
    RedisCronJob,
    RedisCronScheduler,
    ScheduleLockedError,
    acting_as,
    read_deleted,
)
from django_rediscron.core.declared.declared_schedule import DeclaredSchedule
from django_rediscron.core.declared.merging import UNCHANGED, merge
from django_rediscron.core.declared.orphans import mark_orphan
from django_rediscron.core.store import reindex
from django_rediscron.core.store.keys import (
    DISABLED_UNTIL,
    EVENTS,
    LAST_UPDATE,
    OFF_FIELDS,
    job_key,
)
from django_rediscron.core.store.reading import read_schedules
from django_rediscron.core.store.saving import write_merged
from django_rediscron.core.story.changes import LoggedChange, read_changes
from django_rediscron.core.timing.cron_times import utc_text
from tests import tasks
from tests.clock import Clock, set_clock
from tests.processes import running_scheduler, wait_until

HOUR = timedelta(hours=1)
NOON = datetime(2026, 6, 3, 12, tzinfo=timezone.utc)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch, NOON)


def make(connection: Redis, id: str = "a", **options: Any) -> RedisCronJob:
    options = {"interval": 3600, **options}
    job = RedisCronJob(id, "default", tasks.echo, connection=connection, **options)
    job.save()
    return job


def fetch(connection: Redis, id: str = "a") -> RedisCronJob:
    return RedisCronJob.fetch(id, connection)


def off(job: RedisCronJob) -> tuple[Any, ...]:
    return job.disabled_at, job.disabled_by, job.disabled_reason, job.disabled_until


def newest(connection: Redis, id: str = "a") -> LoggedChange:
    return read_changes(id, connection)[0]


ON = (None, None, "", None)


# What is on record


def test_it_is_on_record_since_when_by_whom_why_and_until(connection: Redis, clock: Clock) -> None:
    job = make(connection)
    job.disable(reason=" the bank is closed ", until=2 * HOUR, actor="api:alice")
    said = (NOON, "api:alice", "the bank is closed", NOON + 2 * HOUR)
    assert off(job) == off(fetch(connection)) == said
    assert off(RedisCronJob.from_dict(job.to_dict())) == said
    change = newest(connection)
    assert (change.what, change.reason, change.until) == ("disabled", said[2], said[3])
    assert set(change.fields) == {"enabled"}
    job.enable()
    assert off(job) == off(fetch(connection)) == ON
    assert not connection.exists(DISABLED_UNTIL)
    assert connection.hmget(job_key("a"), OFF_FIELDS) == [None] * 4


def test_without_a_reason_only_the_time_and_the_actor_are(connection: Redis, clock: Clock) -> None:
    make(connection).disable(actor="me")
    assert off(fetch(connection)) == (NOON, "me", "", None)
    assert off(make(connection, "b", enabled=False)) == ON  # it never was enabled


def test_a_disabled_one_may_be_so_for_another_reason(connection: Redis, clock: Clock) -> None:
    job = make(connection)
    job.disable(reason="first", until=HOUR, actor="one")
    clock.advance(HOUR / 2)
    job.disable(reason="second", until=clock.time + 3 * HOUR, actor="two")
    assert off(fetch(connection)) == (NOON, "two", "second", clock.time + 3 * HOUR)
    assert connection.zrange(DISABLED_UNTIL, 0, -1, withscores=True) == [
        (b"a", (clock.time + 3 * HOUR).timestamp())
    ]
    change = newest(connection)
    assert (change.what, change.actor, change.reason) == ("disabled", "two", "second")
    assert not change.fields
    job.disable()
    assert off(job)[2:] == off(fetch(connection))[2:] == ("", None)
    assert not connection.exists(DISABLED_UNTIL)


def test_other_edits_leave_it_as_it_is(connection: Redis, clock: Clock) -> None:
    make(connection).disable(reason="why", until=HOUR, actor="me")
    job = fetch(connection)
    job.interval = 7
    job.save()
    assert off(job) == off(fetch(connection)) == (NOON, "me", "why", NOON + HOUR)
    assert set(newest(connection).fields) == {"interval"}


def enable_in_a_pipeline(job: RedisCronJob, connection: Redis) -> None:
    with connection.pipeline() as pipe:
        job.enable(pipe)
        pipe.execute()


def save_enabled(job: RedisCronJob, connection: Redis) -> None:
    job.enabled = True
    job.save()


def enable_outside(job: RedisCronJob, connection: Redis) -> None:
    connection.hset(job.key, "enabled", "1")
    assert off(fetch(connection)) == ON  # nobody has noticed it yet
    connection.set(LAST_UPDATE, "1")
    RedisCronScheduler(connection).start(burst=True)


@pytest.mark.parametrize(
    "enable",
    [
        lambda job, connection: job.enable(),
        enable_in_a_pipeline,
        save_enabled,
        lambda job, connection: make(connection),
        lambda job, connection: job.revert(0),
        enable_outside,
    ],
)
def test_every_way_to_enable_it_ends_it(
    connection: Redis, enable: Callable[[RedisCronJob, Redis], object]
) -> None:
    job = make(connection)
    job.disable(reason="why", until=HOUR)
    enable(job, connection)
    assert fetch(connection).enabled
    assert connection.hmget(job.key, OFF_FIELDS) == [None] * 4
    assert not connection.exists(DISABLED_UNTIL)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"until": NOON}, "until must be in the future, got 2026-06-03T12:00:00"),
        ({"until": NOON - HOUR}, "until must be in the future"),
        ({"until": NOON.replace(tzinfo=None)}, "until must be an aware datetime, got"),
        ({"until": "soon"}, "until must be an aware datetime or a duration, got 'soon'"),
        ({"until": -5}, "until must be an aware datetime or a duration, got -5"),
        ({"reason": "x" * 201}, "reason must be one line of at most 200 characters, got 'xxx"),
        ({"reason": "a\nb"}, r"got 'a\\nb'"),
        ({"reason": "\x7f"}, "reason must be one line"),
        ({"reason": None}, "reason must be one line of at most 200 characters, got None"),
    ],
)
def test_what_makes_no_sense_is_refused(
    connection: Redis, clock: Clock, said: dict[str, Any], complaint: str
) -> None:
    job = make(connection)
    with pytest.raises(InvalidScheduleError, match=complaint):
        job.disable(**said)
    assert job.enabled
    assert fetch(connection).enabled


def test_a_locked_one_is_disabled_by_nobody(connection: Redis) -> None:
    make(connection, enabled=False)
    lock = {"source": "code", "locked": "1", "place": "apps.py:7"}
    connection.hset(job_key("a"), mapping=lock)
    with pytest.raises(ScheduleLockedError):
        fetch(connection).disable(until=HOUR)
    assert not connection.exists(DISABLED_UNTIL)


def test_what_code_declares_is_merged_as_before(connection: Redis, clock: Clock) -> None:
    job = make(connection)
    job.disable(reason="why", until=HOUR, actor="me")
    wanted = DeclaredSchedule(
        RedisCronJob("a", "default", tasks.echo, interval=7), "site", "apps.py:7"
    )
    for outcome in ("updated", UNCHANGED):
        ((found, fields),) = read_schedules(["a"], connection)
        merged = merge(found, fields, wanted)
        assert merged.outcome == outcome
        if merged.change:
            assert not write_merged([merged.change], connection)
    merged_job = fetch(connection)
    assert (merged_job.interval, merged_job.source) == (7, "code")
    assert off(merged_job) == (NOON, "me", "why", NOON + HOUR)


def test_orphans_say_why_they_are_disabled(connection: Redis, clock: Clock) -> None:
    make(connection)
    connection.hset(job_key("a"), mapping={"source": "code", "application": "site"})
    ((found, fields),) = read_schedules(["a"], connection)
    merged = mark_orphan(found, fields, None, disable=True)
    assert merged.change is not None
    with acting_as("code:site"):
        assert not write_merged([merged.change], connection)
    assert off(fetch(connection)) == (NOON, "code:site", "no longer declared", None)


# The leader enables it


def passed(connection: Redis, id: str = "a") -> str:
    """Its end was a minute ago."""
    moment = now() - timedelta(minutes=1)
    connection.hset(job_key(id), "disabled_until", utc_text(moment))
    connection.zadd(DISABLED_UNTIL, {id: moment.timestamp()})
    return utc_text(moment)


def test_a_running_scheduler_enables_it_when_the_time_comes(
    connection: Redis, redis_url: str
) -> None:
    job = make(connection, cron="0 0 1 1 *", interval=None)
    with running_scheduler(redis_url, "one"):
        job.disable(until=1)
        until = job.disabled_until
        wait_until(lambda: fetch(connection).enabled)
    change = newest(connection)
    assert until is not None
    assert (change.what, change.actor) == ("enabled", "scheduler:one")
    assert change.reason == f"until {utc_text(until)}"
    assert until <= change.at
    assert off(fetch(connection)) == ON
    assert fetch(connection).next_enqueue_time == job.next_enqueue_time


def test_an_end_that_passed_while_nobody_led_counts_and_nothing_is_caught_up(
    connection: Redis, leader: RedisCronScheduler
) -> None:
    start = now() - 10.5 * HOUR
    make(connection, catch_up="all", latest_enqueue_time=start, next_enqueue_time=start + HOUR)
    fetch(connection).disable(reason="why", until=HOUR)
    until = passed(connection)
    assert leader.enqueue_jobs() == []
    job = fetch(connection)
    assert job.enabled
    assert job.next_enqueue_time is not None
    assert now() < job.next_enqueue_time
    assert not job.get_skips(connection)
    assert newest(connection).reason == f"until {until}"
    assert leader.calculate_sleep_interval() > 1
    job.disable()
    assert leader.enqueue_jobs() == []
    assert not fetch(connection).enabled


def test_a_leader_sleeps_until_then(connection: Redis, leader: RedisCronScheduler) -> None:
    make(connection).disable(until=30)
    leader.enqueue_jobs()
    assert 0 < leader.calculate_sleep_interval() <= 30


def disable_outside_again(connection: Redis) -> None:
    """As a program that knows nothing of ends, which replaces the schedule."""
    fields = connection.hgetall(job_key("a"))
    connection.delete(job_key("a"))
    kept: dict[Any, Any] = {n: text for n, text in fields.items() if n.decode() not in OFF_FIELDS}
    connection.hset(job_key("a"), mapping=kept)


def disable_and_lock(connection: Redis) -> None:
    lock = {"source": "code", "locked": "1", "place": "apps.py:7"}
    connection.hset(job_key("a"), mapping=lock)


def create_again(connection: Redis) -> None:
    fetch(connection).delete()
    make(connection, enabled=False)


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        (lambda connection: fetch(connection).disable(), False),
        (lambda connection: fetch(connection).disable(until=HOUR), True),
        (lambda connection: fetch(connection).delete(), False),
        (create_again, False),
        (disable_outside_again, False),
        (disable_and_lock, False),
    ],
)
def test_an_end_that_no_longer_holds_enables_nothing(
    connection: Redis, leader: RedisCronScheduler, change: Callable[[Redis], object], goes_on: bool
) -> None:
    """Even if the sorted set does not know that yet."""
    make(connection).disable(until=HOUR)
    passed(connection)
    change(connection)
    connection.zadd(DISABLED_UNTIL, {"a": 1})
    leader.enqueue_jobs()
    assert connection.hget(job_key("a"), "enabled") != b"1"
    assert ((connection.zscore(DISABLED_UNTIL, "a") or 0) > now().timestamp()) is goes_on
    assert leader.calculate_sleep_interval() > 1


def test_what_cannot_be_enabled_keeps_no_other_from_it(
    connection: Redis, leader: RedisCronScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    for id in ("broken", "fine"):
        make(connection, id).disable(until=HOUR)
        passed(connection, id)
    connection.hset(job_key("broken"), "interval", "often")
    leader.enqueue_jobs()
    assert fetch(connection, "fine").enabled
    assert "'broken': not enabled: it cannot be read" in caplog.text
    assert connection.hget(job_key("broken"), "enabled") == b"0"
    assert leader.calculate_sleep_interval() > 1


def test_a_key_of_another_type_does_not_stop_what_is_due(
    connection: Redis, leader: RedisCronScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    make(connection)
    connection.set(DISABLED_UNTIL, "not ours")
    assert [job.id for job in leader.enqueue_jobs()] == ["a"]
    assert "not enabled at the end of their time" in caplog.text


def test_a_sorted_set_that_was_lost_is_restored(connection: Redis) -> None:
    job = make(connection)
    job.disable(until=HOUR)
    end = connection.zscore(DISABLED_UNTIL, "a")
    connection.delete(DISABLED_UNTIL)
    reindex(connection)
    assert connection.zscore(DISABLED_UNTIL, "a") == end


def test_others_are_told_that_it_was_enabled(connection: Redis, leader: RedisCronScheduler) -> None:
    make(connection).disable(until=HOUR)
    passed(connection)
    with connection.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(EVENTS)
        pubsub.get_message(timeout=5)
        leader.enqueue_jobs()
        assert pubsub.get_message(timeout=5)["data"] == b'{"event":"enabled","job_id":"a"}'


def test_a_deleted_one_is_created_again_as_it_was(connection: Redis) -> None:
    job = make(connection)
    job.disable(reason="why", until=HOUR)
    job.delete()
    assert [each.id for each in read_deleted(connection)] == ["a"]
    assert not connection.exists(DISABLED_UNTIL)
    make(connection)
    assert fetch(connection).enabled
